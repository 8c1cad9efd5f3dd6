"""`penstock bench --accounts`: what is compared, and that all of it is started, used and ended."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from penstock.accounts.address import address_of
from penstock.accounts.ledger.report import Question
from penstock.accounts.ledger.store import UsageStore
from penstock.assembly import accounts_cost
from penstock.assembly.accounts_cost import accounts_of_one_gateway, accounts_of_several_gateways, runs
from penstock.assembly.own_servers import postgres_programs
from penstock.bench import Plan, run_bench
from penstock.config.accounts import Accounts
from penstock.config.limits import KeyLimits


def kinds_of_limits(accounts: Accounts) -> set[str]:
    limits = accounts.limits.every_key
    return {name for name in KeyLimits.model_fields if getattr(limits, name) is not None} - {"share"}


def test_both_kinds_of_accounts_ask_for_keys_count_every_kind_of_limit_and_keep_usage() -> None:
    for accounts in (
        accounts_of_one_gateway(Path("/one")),
        accounts_of_several_gateways(Path("/postgres"), Path("/redis"), Path("/several")),
    ):
        assert accounts.asks_for_keys
        assert accounts.counts_usage
        kinds = {"requests_per_minute", "tokens_per_minute", "requests_at_once", "tokens_per_day", "money_per_month"}
        assert kinds_of_limits(accounts) == kinds
        assert accounts.limits.prices.keys() == {accounts_cost.PACED, accounts_cost.FOR_NOTHING}


def test_one_gateway_needs_no_server_and_several_share_two() -> None:
    one = accounts_of_one_gateway(Path("/one"))
    several = accounts_of_several_gateways(Path("/postgres"), Path("/redis"), Path("/several"))
    assert one.limits.redis is None
    assert one.database is not None
    assert one.database.sqlite == "/one/accounts.db"
    assert several.limits.redis is not None
    assert several.limits.redis.file == "/redis"
    assert several.database is not None
    assert several.database.file == "/postgres"


def test_throughput_is_measured_with_32_streams_and_the_first_token_with_one() -> None:
    load, first_token, for_nothing = runs(rounds=7, pairs=50, max_tokens=64)
    assert (load.model, load.plan.concurrencies, load.plan.rounds) == (accounts_cost.PACED, (32,), 7)
    assert (first_token.plan.concurrencies, first_token.plan.rounds) == ((1,), 50)
    assert (for_nothing.model, for_nothing.plan.concurrencies) == (accounts_cost.FOR_NOTHING, (32,))


def test_the_newest_postgresql_is_taken_by_its_number(tmp_path: Path) -> None:
    for version in ("9.6", "15", "17"):
        programs = tmp_path / version / "bin"
        programs.mkdir(parents=True)
        (programs / "initdb").touch()
    (tmp_path / "18" / "bin").mkdir(parents=True)
    assert postgres_programs(tmp_path, None) == tmp_path / "17" / "bin"


def test_where_no_folder_of_versions_is_the_path_decides(tmp_path: Path) -> None:
    program = tmp_path / "real" / "initdb"
    program.parent.mkdir()
    program.touch()
    link = tmp_path / "initdb"
    link.symlink_to(program)
    assert postgres_programs(tmp_path / "none", str(link)) == program.parent
    assert postgres_programs(tmp_path / "none", None) is None


@pytest.mark.integration
@pytest.mark.skipif(
    postgres_programs(Path("/usr/lib/postgresql"), shutil.which("initdb")) is None
    or shutil.which("redis-server") is None,
    reason="needs the servers of PostgreSQL and Redis: apt-get install postgresql redis-server",
)
async def test_all_three_gateways_answer_two_of_them_keep_usage_and_nothing_stays(tmp_path: Path) -> None:
    plan = replace(Plan.first_token(2), warm_up=0)
    async with accounts_cost.with_and_without(tmp_path, lambda _: None) as targets_of:
        targets = targets_of(accounts_cost.PACED)
        result = await run_bench(plan, targets, on_progress=lambda _: None)
        pids = {pid for target in targets for listed in target.pids.values() for pid in listed}
        started = [psutil.Process(pid) for pid in pids]
    assert [summary.errors for summary in result.summaries] == [{}, {}, {}]
    assert [target.api_key is None for target in targets] == [True, False, False]
    assert len(started) >= 6
    assert not [process for process in started if process.is_running()]
    database = accounts_of_one_gateway(tmp_path / "one").database
    assert database is not None
    store = UsageStore(address_of(database))
    store.open()
    try:
        total = store.report(Question(by=(), team="bench"), datetime.now(UTC)).total
    finally:
        store.close()
    assert (total.requests, total.completion_tokens) == (2, 2 * plan.max_tokens)
