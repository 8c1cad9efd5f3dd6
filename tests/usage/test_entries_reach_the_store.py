"""The ledger: entries go through the journal into the store, each once, whatever is restarted or killed between."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

from penstock.accounts.address import Address, sqlite
from penstock.accounts.ledger import journal
from penstock.accounts.ledger.entry import Entry, decode, encode, new_uid
from penstock.accounts.ledger.journal import Journal
from penstock.accounts.ledger.report import Question, bounds, grain_of, hour_of
from penstock.accounts.ledger.store import UsageStore
from penstock.accounts.ledger.writer import Ledger
from penstock.config.usage import UsageSettings

NOW = datetime(2026, 11, 21, 19, 30, tzinfo=UTC)
LIMIT = 60.0


def entry(**more: Any) -> Entry:
    usual = Entry(
        uid=new_uid(),
        at=NOW.timestamp(),
        key="key_a",
        team="research",
        model="demo",
        endpoint="/v1/chat/completions",
        status=200,
        prompt=7,
        completion=2,
        cached=1,
        exact=True,
        first_byte_ms=12,
        duration_ms=90,
        request_id="r",
    )
    return usual._replace(**more)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.01)


@contextmanager
def running(address: Address, folder: Path, **settings: Any) -> Iterator[Ledger]:
    ledger = Ledger(UsageSettings.model_validate({"flush": 0.05, **settings}), UsageStore(address), folder, lambda: NOW)
    ledger.start()
    try:
        yield ledger
    finally:
        ledger.close()


@contextmanager
def opened(address: Address) -> Iterator[UsageStore]:
    store = UsageStore(address)
    store.open()
    try:
        yield store
    finally:
        store.close()


def totals(address: Address, **question: Any) -> tuple[int, int, int]:
    """Requests, prompt and completion tokens."""
    with opened(address) as store:
        found = store.report(Question(since=NOW.replace(year=2020, hour=0), **question), NOW).total
        return found.requests, found.prompt_tokens, found.completion_tokens


def rows_in(address: Address, table: str = "penstock_usage") -> int:
    engine = create_engine(address.url)
    with engine.connect() as connection:
        count = connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
    engine.dispose()
    return int(count)


TEXTS = st.text(max_size=20)
COUNTS = st.integers(0, 2**31 - 1)
ENTRIES = st.builds(
    entry,
    key=TEXTS,
    team=TEXTS,
    model=TEXTS,
    status=COUNTS,
    prompt=COUNTS,
    exact=st.booleans(),
    first_byte_ms=st.none() | COUNTS,
    at=st.floats(0, 4e9),
)


@given(ENTRIES)
def test_a_line_of_the_journal_is_its_entry(made: Entry) -> None:
    assert decode(encode(made)) == made


@given(ENTRIES, st.integers(0, 400))
def test_a_line_that_was_cut_is_no_entry(made: Entry, cut: int) -> None:
    line = encode(made)
    assert decode(line[: min(cut, len(line) - 2)]) is None


def test_a_text_that_is_none_is_written_as_far_as_it_is_one() -> None:
    made = entry(team="a\ud800")
    assert decode(encode(made)) == made._replace(team="a?")


@given(st.binary())
def test_any_line_may_stand_in_a_journal(line: bytes) -> None:
    decode(line)


def test_what_is_noted_is_in_the_store_when_the_ledger_is_closed(address: Address, tmp_path: Path):
    with running(address, tmp_path / "usage") as ledger:
        for _ in range(1000):
            ledger.note(entry())
    assert totals(address) == (1000, 7000, 2000)
    assert not list((tmp_path / "usage").iterdir()), "nothing is left on disk"


def test_what_is_noted_is_in_the_store_within_moments(address: Address, tmp_path: Path):
    with running(address, tmp_path / "usage") as ledger:
        ledger.note(entry())
        until(lambda: ledger.stored == 1)
        assert totals(address) == (1, 7, 2)


def test_an_entry_that_comes_twice_counts_once(address: Address):
    many = [entry(prompt=number) for number in range(700)]
    with opened(address) as store:
        store.add(many)
        store.add([*many[:300], entry(prompt=1000)])
    assert totals(address) == (701, sum(range(700)) + 1000, 1402)


def test_two_gateways_that_write_the_same_sums_lose_none(address: Address):
    with opened(address) as store:
        store.add([])

    def work(seed: int) -> int:
        chosen = random.Random(seed)
        with opened(address) as store:
            for _ in range(20):
                store.add([entry(key=f"key_{chosen.randrange(5)}") for _ in range(20)])
        return seed

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(work, range(4))) == [0, 1, 2, 3]
    assert totals(address) == (1600, 11200, 3200)


def test_an_entry_that_the_store_never_takes_holds_up_no_other(address: Address, tmp_path: Path):
    with running(address, tmp_path / "usage") as ledger:
        ledger.note(entry(team="a\0b", request_id="x" * 1000, at=0.0))
        ledger.note(entry())
        until(lambda: ledger.stored == 2)
    assert totals(address) == (1, 7, 2)
    with opened(address) as store:
        found = store.report(Question(since=datetime(1970, 1, 1, tzinfo=UTC), by=("team",)), NOW)
    assert {row.team for row in found.rows} == {"ab", "research"}


def test_the_sums_tell_apart_what_is_asked_for(address: Address):
    yesterday = (NOW - timedelta(days=1)).timestamp()
    with opened(address) as store:
        store.add(
            [
                entry(),
                entry(status=499, exact=False),
                entry(key="key_b", team="sales", model="other", prompt=100),
                entry(at=yesterday, completion=50),
            ]
        )
        by_day = store.report(Question(by=("day",)), NOW)
        by_hour = store.report(Question(by=("hour", "team")), NOW)
        of_sales = store.report(Question(by=(), team="sales"), NOW)
        since_noon = store.report(Question(by=(), since=NOW.replace(hour=12, minute=20)), NOW)
        until_today = store.report(Question(by=(), until=NOW.replace(hour=0)), NOW)
    assert [(row.start, row.requests, row.failed, row.guessed) for row in by_day.rows] == [
        (datetime(2026, 11, 20, tzinfo=UTC), 1, 0, 0),
        (datetime(2026, 11, 21, tzinfo=UTC), 3, 1, 1),
    ]
    assert [(row.start, row.team, row.prompt_tokens) for row in by_hour.rows] == [
        (datetime(2026, 11, 20, 19, tzinfo=UTC), "research", 7),
        (datetime(2026, 11, 21, 19, tzinfo=UTC), "sales", 100),
        (datetime(2026, 11, 21, 19, tzinfo=UTC), "research", 14),
    ]
    assert of_sales.total.prompt_tokens == 100
    assert since_noon.total.requests == 3
    assert until_today.total.completion_tokens == 50
    assert by_day.total == by_hour.total


@pytest.mark.parametrize(
    ("question", "grain"),
    [
        (Question(), "days"),
        (Question(by=("hour",)), "hours"),
        (Question(since=NOW), "hours"),
        (Question(until=NOW), "hours"),
        (Question(since=NOW.replace(hour=0), until=NOW.replace(hour=0) + timedelta(days=1)), "days"),
    ],
)
def test_few_sums_are_added_where_few_are_enough(question: Question, grain: str) -> None:
    assert grain_of(question, *bounds(question, NOW)) == grain


@pytest.mark.parametrize(
    "wrong",
    [{"by": ("day", "hour")}, {"by": ("team", "team")}, {"since": NOW, "until": NOW}, {"by": ("colour",)}],
)
def test_questions_without_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"twice|both|before|Input should be"):
        Question(**wrong)


def test_an_hour_is_that_of_utc() -> None:
    assert hour_of(datetime.fromisoformat("2026-11-21T20:45:00+05:30")) == datetime(2026, 11, 21, 15, tzinfo=UTC)


def test_old_requests_go_and_their_sums_stay(address: Address, tmp_path: Path):
    old = (NOW - timedelta(days=8)).timestamp()
    older = (NOW - timedelta(days=100)).timestamp()
    with opened(address) as store:
        store.add([entry(at=old) for _ in range(2500)] + [entry(at=older), entry()])
    with running(address, tmp_path / "usage") as ledger:
        until(lambda: rows_in(address) == 1)
        assert not ledger.store_fails
    assert rows_in(address, "penstock_usage_hours") == 2, "of the day a hundred days ago, only its sum by day is left"
    assert totals(address)[0] == 2502


def test_a_journal_takes_over_what_a_dead_one_left_and_nothing_of_a_living(tmp_path: Path):
    living, dead = Journal(tmp_path), Journal(tmp_path)
    living.append([encode(entry())])
    lines = [encode(entry()) for _ in range(3)]
    dead.append(lines)
    # As the system does when its process is gone.
    dead.turn()
    dead._lock.close()
    heir = Journal(tmp_path)
    assert [decode(line) for line in lines] == [found for path in heir.closed() for found in journal.read(path)]
    assert heir.size == sum(map(len, lines))
    heir.drop(heir.closed()[0])
    assert heir.size == 0
    heir.close()
    assert living.size > 0
    living.close()


def test_lines_that_the_disk_does_not_take_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    written = Journal(tmp_path)
    written.append([encode(entry())])
    size = written.size

    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", no_space)
        with pytest.raises(OSError, match="No space left"):
            written.append([encode(entry())])
    written.append([encode(entry(prompt=9))])
    written.turn()
    assert [found.prompt for path in written.closed() for found in journal.read(path) if found] == [7, 9]
    assert written.size == 2 * size
    written.close()


def test_a_store_that_is_away_fills_the_disk_up_to_its_bound(tmp_path: Path):
    nowhere = sqlite(tmp_path / "file" / "accounts.db")
    (tmp_path / "file").write_text("a file where a folder should be")
    with running(nowhere, tmp_path / "usage", buffer=2**20, when_full="lose") as ledger:
        assert not ledger.is_full
        for _ in range(15_000):
            ledger.note(entry())
        until(lambda: ledger.is_full)
        ledger.note(entry())
        until(lambda: ledger.lost > 0)
        assert not ledger.refuses
        assert ledger.store_fails
        left = 15_001 - ledger.lost
    (tmp_path / "file").unlink()
    with running(nowhere, tmp_path / "usage") as again:
        until(lambda: again.stored == left)
        assert not again.is_full
    assert totals(nowhere)[0] == left


def test_a_file_that_somebody_took_away_holds_up_no_other(tmp_path: Path):
    address = sqlite(tmp_path / "file" / "accounts.db")
    (tmp_path / "file").write_text("")
    with running(address, tmp_path / "usage") as ledger:
        ledger.note(entry())
        until(lambda: ledger._journal is not None and bool(ledger._journal.closed()))
        (taken,) = (tmp_path / "usage").glob("*/*.journal")
        taken.unlink()
        (tmp_path / "file").unlink()
        ledger.note(entry(prompt=9))
        until(lambda: ledger.stored == 1)
        until(lambda: ledger.buffered == 0)
    assert totals(address) == (1, 9, 2)


def test_a_defect_ends_no_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    address = sqlite(tmp_path / "accounts.db")
    with running(address, tmp_path / "usage") as ledger:
        with monkeypatch.context() as patch:
            patch.setattr(UsageStore, "add", lambda *_: 1 / 0)
            ledger.note(entry())
            until(lambda: ledger.store_fails)
        until(lambda: ledger.stored == 1)
        until(lambda: not ledger.store_fails)
    assert totals(address) == (1, 7, 2)


def test_where_it_says_so_a_full_disk_refuses(tmp_path: Path):
    nowhere = sqlite(tmp_path / "file" / "accounts.db")
    (tmp_path / "file").write_text("")
    with running(nowhere, tmp_path / "usage", buffer=2**20) as ledger:
        for _ in range(15_000):
            ledger.note(entry())
        until(lambda: ledger.refuses)


def test_a_disk_that_takes_nothing_refuses_until_it_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    address = sqlite(tmp_path / "accounts.db")
    with running(address, tmp_path / "usage") as ledger:

        def no_space(_: int) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr("os.fsync", no_space)
            ledger.note(entry())
            until(lambda: ledger.refuses)
        until(lambda: ledger.stored == 1)
        assert not ledger.refuses
        assert ledger.lost == 0
    assert totals(address)[0] == 1


WRITER = """
import sys, time
from pathlib import Path
from penstock.accounts.address import sqlite
from penstock.accounts.ledger.entry import Entry, new_uid
from penstock.accounts.ledger.store import UsageStore
from penstock.accounts.ledger.writer import Ledger
from penstock.config.usage import UsageSettings

folder = Path(sys.argv[1])
ledger = Ledger(UsageSettings(flush=0.1), UsageStore(sqlite(folder / "accounts.db")), folder / "usage")
ledger.start()
number = 0
while True:
    number += 1
    at = time.time()
    ledger.note(Entry(new_uid(), at, "key_a", "t", "demo", "/v1", 200, number, 0, 0, True, None, 0, "r"))
    print(number, at, flush=True)
    time.sleep(0.001)
"""


@pytest.mark.integration
def test_a_writer_that_is_killed_loses_the_last_second_at_most(tmp_path: Path):
    with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        noted: list[tuple[int, float]] = []
        for line in writer.stdout:
            number, at = line.split()
            noted.append((int(number), float(at)))
            if len(noted) == 1500:
                writer.send_signal(signal.SIGKILL)
                break
        killed = time.time()
        noted += [(int(number), float(at)) for number, at in map(str.split, writer.stdout)]
    safe = [number for number, at in noted if at < killed - 1]
    assert safe, "the writer ran for more than a second"
    with running(sqlite(tmp_path / "accounts.db"), tmp_path / "usage"):
        pass
    engine = create_engine(sqlite(tmp_path / "accounts.db").url)
    with engine.connect() as connection:
        stored = list(connection.execute(text("SELECT prompt FROM penstock_usage")).scalars())
    engine.dispose()
    assert len(stored) == len(set(stored))
    assert set(safe) <= set(stored) <= {number for number, _ in noted}
    with opened(sqlite(tmp_path / "accounts.db")) as store:
        found = store.report(Question(since=datetime(2020, 1, 1, tzinfo=UTC)), datetime.now(UTC))
    assert (found.total.requests, found.total.prompt_tokens) == (len(stored), sum(stored)), "the sums say the same"
