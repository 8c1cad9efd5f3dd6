"""Limits that stand with a key: in the store, in the list, on the command line and over `/admin`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError
from sqlalchemy import NullPool, create_engine, text

from penstock.accounts import secret
from penstock.accounts.address import Address
from penstock.accounts.listed import accounts_of, read_file
from penstock.accounts.migrating import migrate
from penstock.accounts.records import KeyRecord, NewKey, NewLimits
from penstock.accounts.service import KeyService
from penstock.accounts.store import Store
from penstock.cli.main import main
from penstock.config.accounts import Accounts
from penstock.config.limits import KeyLimits
from support.gateways import ask, get, post, running_gateway
from support.keys import listed, opened

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ME = "cli:test"
SOME = KeyLimits(requests_per_minute=60, money_per_month=12.5, share=3)


async def test_a_stored_key_has_the_limits_that_it_was_given(store: Store):
    service = KeyService(store)
    made = await service.create(NewKey(name="alice", limits=SOME), actor=ME)
    found = await store.find(secret.digest(made.key.get_secret_value().encode()))
    assert found is not None
    assert found.limits == SOME
    assert (await service.get("alice")).limits == SOME
    (entry,) = await service.changes()
    assert entry.details["limits"] == {"requestsPerMinute": 60, "moneyPerMonth": 12.5, "share": 3}


async def test_limits_are_changed_as_a_whole_and_taken_away(store: Store):
    service = KeyService(store)
    await service.create(NewKey(name="alice", limits=SOME), actor=ME)
    other = KeyLimits(tokens_per_day=1000)
    assert (await service.limit("alice", NewLimits(limits=other), actor=ME)).limits == other
    assert (await service.limit("alice", NewLimits(limits=None), actor=ME)).limits is None
    assert [entry.action for entry in await service.changes()] == ["limit", "limit", "create"]


def test_keys_that_there_are_live_on_without_limits_of_their_own(address: Address):
    migrate(address)
    engine = create_engine(address.url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO penstock_keys (id, name, owner, models, roles, created, disabled)"
                " VALUES ('key_old', 'old', 'default', '[\"*\"]', '[\"user\"]', :now, :off)"
            ),
            {"now": NOW, "off": False},
        )
    assert main(["keys", "show", "old", *_where(address)]) == 0


def _where(address: Address) -> list[str]:
    return ["--sqlite", str(address.url.database)] if address.is_sqlite else ["--database-env", "TEST_DATABASE"]


def test_listed_keys_have_limits_too(tmp_path: Path):
    key = secret.new_key()
    (account,) = accounts_of({"ci": listed(key, limits={"requestsAtOnce": 4})}, "document").values()
    assert account.limits == KeyLimits(requests_at_once=4)


def test_they_are_made_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    where = ["--sqlite", str(tmp_path / "a.db")]
    assert main(["keys", "create", "alice", "--limit", "requestsPerMinute=60", "--limit", "share=2", *where]) == 0
    assert "requestsPerMinute=60, share=2" in capsys.readouterr().err
    assert main(["keys", "limit", "alice", "moneyPerDay=2.5", "--json", *where]) == 0
    record = KeyRecord.model_validate_json(capsys.readouterr().out)
    assert record.limits == KeyLimits(money_per_day=2.5)
    assert main(["keys", "limit", "alice", "--json", *where]) == 0
    assert json.loads(capsys.readouterr().out)["limits"] is None


def test_an_entry_to_list_has_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["keys", "create", "ci", "--limit", "tokensPerDay=1000", "--print-entry"]) == 0
    entry = capsys.readouterr().err.partition("\n")[2].partition("\n")[2]
    file = tmp_path / "keys.yaml"
    file.write_text(entry)
    assert read_file(file)["ci"].limits == KeyLimits(tokens_per_day=1000)


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ("requestsPerMinut=60", "requestsPerMinute"),
        ("requestsPerMinute", "Write for example"),
        ("requestsPerMinute=0", "greater than or equal to 1"),
        ("moneyPerDay=nan", "finite"),
        ("share=101", "100"),
    ],
)
def test_wrong_limits_are_told(limit: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["keys", "create", "alice", "--limit", limit, "--sqlite", str(tmp_path / "a.db")]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.integration
async def test_they_are_changed_over_http(tmp_path: Path):
    boss = secret.new_key()
    lines = [("authorization", f"Bearer {boss}")]
    settings = {"database": {"sqlite": str(tmp_path / "accounts.db")}}
    async with (
        opened(settings, {"boss": listed(boss, roles=["admin"])}) as accounts,
        running_gateway(accounts=accounts) as gateway,
    ):
        body = b'{"name": "alice", "limits": {"requestsPerMinute": 60}}'
        made = (await ask(gateway, post(body, "/admin/keys", lines))).json()
        assert made["limits"]["requestsPerMinute"] == 60
        path = f"/admin/keys/{made['id']}"
        answer = await ask(gateway, post(b'{"limits": {"tokensPerDay": 5}}', f"{path}/limits", lines))
        assert answer.status == 200
        shown = (await ask(gateway, get(path, headers=lines))).json()
        assert (shown["limits"]["tokensPerDay"], shown["limits"]["requestsPerMinute"]) == (5, None)
        wrong = await ask(gateway, post(b'{"limits": {"tokensPerDay": 0}}', f"{path}/limits", lines))
        assert wrong.status == 400
        assert "tokensPerDay" in wrong.error["message"]
        missing = await ask(gateway, post(b"{}", f"{path}/limits", lines))
        assert missing.status == 400


def test_a_budget_in_money_needs_prices():
    with pytest.raises(ValidationError, match="no model has a price"):
        Accounts.model_validate({"limits": {"teams": {"research": {"moneyPerDay": 5}}}})
    prices = {"qwen": {"prompt": 0.1}}
    assert Accounts.model_validate({"limits": {"teams": {"research": {"moneyPerDay": 5}}, "prices": prices}})
