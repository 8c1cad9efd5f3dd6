"""What the gateway counts is told by `/admin/usage`, Prometheus and `penstock usage`."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from penstock.accounts import secret
from penstock.accounts.address import sqlite
from penstock.accounts.ledger.entry import Entry, new_uid
from penstock.accounts.ledger.report import Question, Sums, UsageReport, UsageRow, total
from penstock.accounts.ledger.store import UsageStore
from penstock.cli.main import main
from penstock.cli.usage_picture import OTHERS, bars_of
from penstock.config.accounts import Accounts
from support.gateways import (
    Gateway,
    answers,
    ask,
    chat,
    connected,
    dies,
    eventually,
    get,
    post,
    refuses,
    running_gateway,
    streams,
)
from support.keys import listed, opened

ALICE, BOB, BOSS = secret.new_key(), secret.new_key(), secret.new_key()
KEYS = {
    "alice": listed(ALICE, owner="research"),
    "bob": listed(BOB, owner="sales"),
    "boss": listed(BOSS, roles=["admin"]),
}


def bearer(key: str) -> tuple[str, str]:
    return ("authorization", f"Bearer {key}")


@asynccontextmanager
async def counting(tmp_path: Path, *behaviours: Any, **settings: Any) -> AsyncIterator[Gateway]:
    """A gateway with keys and a ledger in a file."""
    wanted = {"database": {"sqlite": str(tmp_path / "accounts.db")}, "usage": {"flush": 0.05, **settings}}
    async with opened(wanted, KEYS) as accounts, running_gateway(*behaviours, accounts=accounts) as gateway:
        yield gateway


async def usage_of(gateway: Gateway, query: str = "by=key,team,model") -> dict[str, Any]:
    answer = await ask(gateway, get(f"/admin/usage?{query}", headers=[bearer(BOSS)]))
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json()
    return found


async def requests_in_ledger(gateway: Gateway, count: int) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while (found := await usage_of(gateway))["total"]["requests"] < count:  # noqa: ASYNC110  # nothing tells of it
            await asyncio.sleep(0.02)
    return found


@pytest.mark.integration
async def test_requests_are_told_by_key_team_and_model(tmp_path: Path):
    async with counting(tmp_path) as gateway:
        for key, times in ((ALICE, 2), (BOB, 1)):
            for _ in range(times):
                assert (await ask(gateway, post(chat(), headers=[bearer(key)]))).status == 200
        found = await requests_in_ledger(gateway, 3)
        metrics = (await ask(gateway, get("/metrics"))).body.decode()
    rows = {row["key"]: row for row in found["rows"]}
    assert set(rows) == {"document:alice", "document:bob"}
    alice = rows["document:alice"]
    assert (alice["team"], alice["model"], alice["requests"]) == ("research", "demo", 2)
    assert (alice["prompt_tokens"], alice["completion_tokens"]) == (6, 10)
    assert found["total"]["prompt_tokens"] == 9
    for line in (
        'penstock_usage_requests_total{model="demo",team="research"} 2.0',
        'penstock_usage_tokens_total{kind="completion",model="demo",team="sales"} 5.0',
        "penstock_usage_lost_total 0.0",
        "penstock_usage_buffered_bytes",
        "penstock_usage_store_gone 0.0",
    ):
        assert line in metrics


@pytest.mark.integration
async def test_what_fails_is_counted_and_what_names_no_model_is_not(tmp_path: Path):
    async with counting(tmp_path, refuses(400, b'{"error":{"message":"no"}}'), dies) as gateway:
        await ask(gateway, post(chat("nothing"), headers=[bearer(ALICE)]))
        await ask(gateway, post(b"{", headers=[bearer(ALICE)]))
        await ask(gateway, post(chat()))
        assert (await ask(gateway, post(chat(), headers=[bearer(ALICE)]))).status == 400
        gateway.engines[0].behaviour = dies
        assert (await ask(gateway, post(chat(), headers=[bearer(ALICE)]))).status == 502
        gateway.engines[0].behaviour = streams(3, die=True, chunk=b'data: {"choices":[{}]}\n\n')
        gateway.engines[1].behaviour = gateway.engines[0].behaviour
        await ask(gateway, post(chat(stream=True), headers=[bearer(ALICE)]))
        found = await requests_in_ledger(gateway, 3)
    (row,) = found["rows"]
    assert (row["requests"], row["failed"], row["guessed"]) == (3, 3, 1)
    assert row["completion_tokens"] == 3


@pytest.mark.integration
async def test_where_usage_cannot_be_kept_requests_are_refused_or_lost_as_the_document_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    for when_full, status in (("refuse", 503), ("lose", 200)):
        async with counting(tmp_path / when_full, whenFull=when_full) as gateway:
            with monkeypatch.context() as patch:
                patch.setattr("os.fsync", no_space)
                assert (await ask(gateway, post(chat(), headers=[bearer(ALICE)]))).status == 200
                accounts = gateway.app._accounts
                assert accounts is not None
                assert accounts.usage is not None
                ledger = accounts.usage.ledger
                await eventually(lambda ledger=ledger: ledger.is_full)  # type: ignore[misc]
                answer = await ask(gateway, post(chat(), headers=[bearer(ALICE)]))
                assert answer.status == status
                if status == 503:
                    assert answer.error["code"] == "usage_unavailable"
                    assert answer.headers["x-penstock-layer"] == "accounts"
            await requests_in_ledger(gateway, 1)
            await eventually(lambda ledger=ledger: not ledger.is_full)  # type: ignore[misc]
            assert (await ask(gateway, post(chat(), headers=[bearer(ALICE)]))).status == 200


@pytest.mark.integration
@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("by=colour", "Input should be"),
        ("by=day,hour", "not both"),
        ("since=yesterday", "is no time"),
        ("since=2027-01-02T00:00:00Z&until=2027-01-01T00:00:00Z", "not before"),
    ],
)
async def test_a_question_without_sense_is_refused(tmp_path: Path, query: str, said: str):
    async with counting(tmp_path) as gateway:
        answer = await ask(gateway, get(f"/admin/usage?{query}", headers=[bearer(BOSS)]))
    assert answer.status == 400
    assert said in answer.error["message"]


@pytest.mark.integration
async def test_only_an_admin_is_told(tmp_path: Path):
    async with counting(tmp_path) as gateway:
        assert (await ask(gateway, get("/admin/usage", headers=[bearer(ALICE)]))).status == 403
        assert (await ask(gateway, get("/admin/usage"))).status == 401
        document = (await ask(gateway, get("/admin/openapi.json", headers=[bearer(BOSS)]))).json()
    parameters = {parameter["name"] for parameter in document["paths"]["/admin/usage"]["get"]["parameters"]}
    assert parameters == {"by", "since", "until", "key", "team", "model"}


@pytest.mark.integration
async def test_where_it_is_switched_off_there_is_none(tmp_path: Path):
    async with counting(tmp_path, enabled=False) as gateway:
        assert (await ask(gateway, post(chat(), headers=[bearer(ALICE)]))).status == 200
        answer = await ask(gateway, get("/admin/usage", headers=[bearer(BOSS)]))
        assert (answer.status, answer.error["code"]) == (404, "usage_off")
        assert b"penstock_usage" not in (await ask(gateway, get("/metrics"))).body


@pytest.mark.parametrize(
    ("accounts", "counts"),
    [
        ({}, False),
        ({"anonymous": True}, False),
        ({"anonymous": False}, True),
        ({"database": {}}, True),
        ({"database": {}, "anonymous": True}, True),
        ({"database": {}, "usage": {"enabled": False}}, False),
        ({"keysFile": "/keys.yaml"}, False),
    ],
)
def test_usage_is_kept_where_there_is_a_store(accounts: dict[str, Any], counts: bool):
    assert Accounts.model_validate(accounts).counts_usage is counts


def test_usage_without_a_store_is_refused():
    with pytest.raises(ValidationError, match="asks for a store"):
        Accounts.model_validate({"usage": {"enabled": True}})


NOW = datetime.now(UTC).replace(microsecond=0)


@contextmanager
def filled(path: Path) -> Iterator[Path]:
    store = UsageStore(sqlite(path))
    store.open()
    at = NOW.timestamp()
    usual = Entry(new_uid(), at, "key_a", "research", "demo", "/v1", 200, 1000, 500, 0, True, 5, 9, "r")
    store.add(
        [
            usual,
            usual._replace(uid=new_uid(), key="key_b", team="sales", status=499),
            usual._replace(uid=new_uid(), at=(NOW - timedelta(days=3)).timestamp()),
        ]
    )
    store.close()
    yield path


def told(capsys: pytest.CaptureFixture[str], path: Path, *arguments: str, status: int = 0) -> str:
    assert main(["usage", "--sqlite", str(path), *arguments]) == status
    said = capsys.readouterr()
    return said.out if status == 0 else said.err


def test_the_command_line_shows_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any):
    monkeypatch.setenv("COLUMNS", "200")
    with filled(tmp_path / "accounts.db") as path:
        table = told(capsys, path)
    assert "research" in table
    assert "2,000" in table
    assert table.splitlines()[-1].startswith("all")


def test_the_command_line_gives_csv_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with filled(tmp_path / "accounts.db") as path:
        rows = list(csv.DictReader(io.StringIO(told(capsys, path, "--by", "key,day", "--csv"))))
        assert (rows[0]["key"], rows[0]["day"]) == ("key_a", f"{NOW - timedelta(days=3):%Y-%m-%d}")
        assert sum(int(row["prompt_tokens"]) for row in rows) == 3000
        document = json.loads(told(capsys, path, "--by", "hour", "--since", "1d", "--json"))
        assert document["total"]["requests"] == 2
        of_sales = json.loads(told(capsys, path, "--team", "sales", "--json"))
        assert (of_sales["total"]["requests"], of_sales["total"]["failed"]) == (1, 1)
        assert "Nothing was used" in told(capsys, path, "--since", "2001-01-01", "--until", "2001-01-02")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--by", "colour"], "--by"),
        (["--since", "yesterday"], "or a day such as"),
        (["--json", "--csv"], "two forms"),
        (["--url", "http://localhost"], "two stores"),
        (["--admin-key-env", "X"], "--url"),
    ],
)
def test_wrong_options_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str):
    assert said in told(capsys, tmp_path / "accounts.db", *arguments, status=2)


def test_the_command_line_draws_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with filled(tmp_path / "accounts.db") as path:
        told(capsys, path, "--by", "day,team", "--picture", str(tmp_path / "pictures" / "usage.png"))
    assert (tmp_path / "pictures" / "usage.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.integration
async def test_the_command_line_asks_a_gateway(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ADMIN", BOSS)
    async with counting(tmp_path, answers) as gateway, connected(gateway) as client:
        await client.ask(post(chat(), headers=[bearer(ALICE)]))
        await requests_in_ledger(gateway, 1)
        where = ["--url", gateway.url, "--admin-key-env", "ADMIN"]
        assert await asyncio.to_thread(main, ["usage", *where, "--by", "team", "--since", "1h", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["rows"][0]["team"] == "research"


def report_of(by: tuple[Any, ...], *rows: UsageRow) -> UsageReport:
    return UsageReport(since=NOW, until=None, by=list(by), rows=list(rows), total=total(rows))


def test_bars_stand_by_time_and_small_parts_are_put_together():
    start = NOW.replace(hour=0, minute=0, second=0)
    rows = [UsageRow(team=f"t{n}", start=start, prompt_tokens=100 - n, requests=1) for n in range(10)]
    bars = bars_of(report_of(("day", "team"), *rows))
    assert bars.places == [f"{start:%Y-%m-%d}"]
    assert list(bars.parts)[:2] == ["t0", "t1"]
    assert bars.parts[OTHERS] == [93 + 92 + 91]


def test_bars_without_time_stand_by_what_comes_first():
    rows = [UsageRow(team="a", model="x", prompt_tokens=5), UsageRow(team="b", model="x", completion_tokens=7)]
    assert bars_of(report_of(("team", "model"), *rows)) == (["a", "b"], {"x": [5, 7]})
    assert bars_of(report_of((), UsageRow(prompt_tokens=1))) == (["all"], {"tokens": [1]})


def test_sums_of_nothing_are_nothing():
    assert total([]) == Sums()
    assert Question().by == ("team", "model")
