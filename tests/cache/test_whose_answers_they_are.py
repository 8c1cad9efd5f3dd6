"""Answers are a team's own, and what they took is counted once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from penstock.accounts import secret
from penstock.accounts.ledger.entry import Entry, decode, encode, new_uid
from penstock.accounts.ledger.report import Question, UsageReport
from penstock.config import AnswerCache
from penstock.gateway.catalog import ModelEntry
from support.gateways import Behaviour, Gateway, ask, chat, connected, eventually, head, post, running_gateway, streams
from support.keys import listed, opened
from support.limits import open_limits

pytestmark = pytest.mark.integration

ALICE, ANNE, BOB, ODD = (secret.new_key() for _ in range(4))
KEYS = {
    "alice": listed(ALICE, owner="research"),
    "anne": listed(ANNE, owner="research"),
    "bob": listed(BOB, owner="sales"),
    "odd": listed(ODD, owner="anonymous"),
}
MODELS = [ModelEntry("demo", ("default",), 1_700_000_000, cache=AnswerCache())]


def said(key: str | None, model: str = "demo", **more: Any) -> bytes:
    headers = [("authorization", f"Bearer {key}")] if key else []
    return post(chat(model, temperature=0, **more), headers=headers)


@asynccontextmanager
async def gateway_with_keys(
    tmp_path: Path, *behaviours: Behaviour, anonymous: bool = False, **limits: Any
) -> AsyncIterator[tuple[Gateway, Any]]:
    wanted: dict[str, Any] = {"database": {"sqlite": str(tmp_path / "accounts.db")}, "usage": {"flush": 0.05}}
    async with (
        opened({**wanted, "anonymous": anonymous}, KEYS) as accounts,
        open_limits(limits) as opened_limits,
        running_gateway(*behaviours, accounts=accounts, limits=opened_limits, models=MODELS) as gateway,
    ):
        yield gateway, accounts


async def entered(accounts: Any, requests: int, *, by: tuple[Any, ...] = ("key",)) -> UsageReport:
    async with asyncio.timeout(60):
        while True:
            report: UsageReport = await accounts.usage.report(Question(by=by))
            if report.total.requests >= requests:
                return report
            await asyncio.sleep(0.05)


async def test_a_team_has_answers_of_its_own(tmp_path: Path) -> None:
    async with gateway_with_keys(tmp_path, anonymous=True) as (gateway, _):
        words = [(await ask(gateway, said(key))).headers["x-penstock-cache"] for key in (ALICE, ANNE, BOB, ODD, None)]
        assert words == ["miss", "hit", "miss", "miss", "miss"]
        again = [(await ask(gateway, said(key))).headers["x-penstock-cache"] for key in (None, ODD, BOB)]
        assert again == ["hit", "hit", "hit"]
        assert len(gateway.engine.seen) == 4


async def test_equal_requests_of_two_teams_are_not_joined(tmp_path: Path) -> None:
    last = asyncio.Event()
    async with (
        gateway_with_keys(tmp_path, streams(2, wait=last)) as (gateway, _),
        connected(gateway) as alice,
        connected(gateway) as anne,
        connected(gateway) as bob,
    ):
        for client, key in ((alice, ALICE), (anne, ANNE), (bob, BOB)):
            await client.send(said(key, stream=True))
            await client.head()
        assert len(gateway.engine.seen) == 2
        last.set()
        for client in (alice, anne, bob):
            await client.reader.readuntil(b"0\r\n\r\n")


async def test_a_hit_takes_no_tokens_and_is_told_apart(tmp_path: Path) -> None:
    async with gateway_with_keys(tmp_path) as (gateway, accounts):
        for key in (ALICE, ALICE, ANNE):
            assert (await ask(gateway, said(key))).status == 200
        report = await entered(accounts, 3)
    assert (report.total.requests, report.total.cache_hits, report.total.failed) == (3, 2, 0)
    assert (report.total.prompt_tokens, report.total.completion_tokens) == (3, 5)
    assert {row.key: (row.requests, row.cache_hits, row.prompt_tokens) for row in report.rows} == {
        "document:alice": (2, 1, 3),
        "document:anne": (1, 1, 0),
    }


USED = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}\n\n'


def counted_stream(go: asyncio.Event) -> Behaviour:
    """A stream whose usage comes at its end, as vLLM's."""

    async def behave(engine: Any, seen: Any, reader: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(head(200, [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")]))
        first = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'
        writer.write(b"%x\r\n%b\r\n" % (len(first), first))
        await go.wait()
        end = USED + b"data: [DONE]\n\n"
        writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(end), end))

    return behave


async def test_the_first_one_pays_or_where_it_left_one_that_is_still_there(tmp_path: Path) -> None:
    go = asyncio.Event()
    async with gateway_with_keys(tmp_path, counted_stream(go)) as (gateway, accounts):
        async with connected(gateway) as alice, connected(gateway) as anne:
            for client, key in ((alice, ALICE), (anne, ANNE)):
                await client.send(said(key, stream=True))
                await client.head()
            alice.writer.transport.abort()
            await eventually(lambda: gateway.listener.connections == 1)
            go.set()
            rest = await anne.reader.readuntil(b"0\r\n\r\n")
            assert b"usage" not in rest, "she did not ask for it"
        report = await entered(accounts, 2)
        assert {row.key: (row.failed, row.prompt_tokens, row.completion_tokens) for row in report.rows} == {
            "document:alice": (1, 0, 0),
            "document:anne": (0, 3, 2),
        }
        again = await ask(gateway, said(ALICE, stream=True))
        assert again.headers["x-penstock-cache"] == "hit"
        assert b"usage" not in again.body
        told = await ask(gateway, said(ALICE, stream=True, stream_options={"include_usage": True}))
        assert told.headers["x-penstock-cache"] == "miss", "its stream has another form"
        assert USED in told.body


async def test_a_hit_is_a_request_and_no_tokens_to_limits(tmp_path: Path) -> None:
    limits = {"everyKey": {"requestsPerMinute": 3, "tokensPerMinute": 100_000}}
    async with gateway_with_keys(tmp_path, **limits) as (gateway, _):
        answers = [await ask(gateway, said(ALICE, max_tokens=10)) for _ in range(4)]
        assert [answer.status for answer in answers] == [200, 200, 200, 429]
        left = {answer.headers["x-ratelimit-remaining-requests"] for answer in answers[:3]}
        assert left == {"2", "1", "0"}
        estimates = [100_000 - int(answer.headers["x-ratelimit-remaining-tokens"]) for answer in answers[:3]]
        assert estimates[1] == estimates[2] == estimates[0] + 8, "of the first, 8 tokens stay counted, of a hit none"


def test_lines_of_the_version_before_are_read() -> None:
    entry = Entry(new_uid(), 1.0, "k", "t", "m", "/v1", 200, 1, 2, 0, True, None, 3, "id")
    line = encode(entry._replace(cache="hit"))
    assert decode(line) == entry._replace(cache="hit")
    before = b",".join(line.split(b",")[:14]) + b"]\n"
    assert decode(before) == entry
