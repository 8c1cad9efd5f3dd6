"""From slots to summaries, comparisons, table, Markdown, JSON and picture."""

from __future__ import annotations

import builtins
import io
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from penstock.bench import Plan, Progress, Result, Target, live_progress, render_table, to_json, to_markdown
from penstock.bench.figures import error_counts, number
from penstock.bench.load import Slot
from penstock.bench.machine import cpu_name, this_machine
from penstock.bench.picture import write_png
from penstock.bench.result import write_json
from penstock.bench.summary import compare, summarise
from penstock.errors import DocumentError, MachineError

BARE, PENSTOCK = "bare vLLM", "Penstock"


def slot(target: str, number: int, *, seconds: float = 1.0, concurrency: int = 1, **more: Any) -> Slot:
    values: dict[str, Any] = {
        "tokens": 100,
        "first_token": [0.01 * seconds, 0.02 * seconds],
        "gaps": [0.001, 0.002],
        "errors": {},
        "requests": 2,
        "cpu": {"engine": 0.5, "client": 0.01},
    }
    return Slot(target=target, concurrency=concurrency, round=number, seconds=seconds, **{**values, **more})


def result(slots: list[Slot], concurrencies: tuple[int, ...] = (1,)) -> Result:
    targets = [
        Target(BARE, "http://127.0.0.1:1/v1", "demo", pids={"engine": [1]}),
        Target(PENSTOCK, "http://127.0.0.1:2/v1", "demo", api_key="very-secret", pids={"gateway": [2], "engine": [3]}),
    ]
    date = datetime(2026, 1, 31, 12, tzinfo=UTC)
    return Result(date, this_machine(), Plan(concurrencies=concurrencies, rounds=9), targets, slots, 12.5)


def two_targets() -> Result:
    pairs = [(slot(BARE, n, seconds=1 + n), slot(PENSTOCK, n, seconds=1.25 * (1 + n))) for n in range(9)]
    return result([one for pair in pairs for one in pair])


def test_targets_are_compared_within_their_round_only() -> None:
    # The machine grows nine times slower during the run; every pair says 0.8 all the same.
    (comparison,) = two_targets().comparisons
    assert comparison.throughput.median == pytest.approx(0.8)
    assert comparison.throughput.interval.low == pytest.approx(0.8)
    assert comparison.throughput.size == 9
    assert comparison.first_token.median == pytest.approx(0.015 * 5 * 0.25)
    assert comparison.gap.median == 0


def test_a_pair_with_a_slot_that_gave_nothing_is_left_out() -> None:
    broken = slot(PENSTOCK, 1, first_token=[], gaps=[], tokens=0, errors={"HTTP 503": 2})
    slots = [slot(BARE, 0), slot(PENSTOCK, 0), slot(BARE, 1), broken, slot(PENSTOCK, 2)]
    (comparison,) = compare(slots, BARE)
    assert comparison.throughput.size == 1


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=20), st.floats(0.2, 5))
def test_a_target_that_is_always_so_much_slower_is_seen_as_that_whatever_the_drift(
    drift: list[float], factor: float
) -> None:
    slots = [slot(BARE, n, seconds=pace) for n, pace in enumerate(drift)]
    slots += [slot(PENSTOCK, n, seconds=pace * factor) for n, pace in enumerate(drift)]
    (comparison,) = compare(slots, BARE)
    assert comparison.throughput.median == pytest.approx(1 / factor)


def test_summaries_add_up_requests_errors_and_cpu() -> None:
    slots = [slot(BARE, 0), slot(BARE, 1, errors={"timeout": 1}), slot(BARE, 0, concurrency=8)]
    one, eight = summarise(slots)
    assert (one.requests, one.tokens, one.errors, one.concurrency) == (4, 200, {"timeout": 1}, 1)
    assert one.cpu == {"engine": 1.0, "client": 0.02}
    assert one.cpu_per_thousand_tokens("engine") == 5
    assert one.first_token.p50 == pytest.approx(0.015)
    assert eight.requests == 2


def test_the_json_is_complete_and_holds_no_key(tmp_path: Path) -> None:
    write_json(two_targets(), tmp_path / "deep" / "bench.json")
    text = (tmp_path / "deep" / "bench.json").read_text()
    found = orjson.loads(text)
    assert "very-secret" not in text
    assert found["format"] == 1
    assert found["date"] == "2026-01-31T12:00:00+00:00"
    assert found["machine"]["cores"] >= 1
    assert found["machine"]["versions"]["python"]
    assert found["plan"]["rounds"] == 9
    assert [target["roles"] for target in found["targets"]] == [["engine"], ["gateway", "engine"]]
    assert len(found["slots"]) == 18
    assert found["slots"][0]["first_token"]["p50"] == pytest.approx(0.015)
    assert found["comparisons"][0]["throughput"]["median"] == pytest.approx(0.8)
    assert set(found["summaries"][0]["tokens_per_second"]) == {"median", "low", "high", "coverage", "count"}


def test_figures_that_do_not_exist_are_null_in_the_json() -> None:
    empty = slot(BARE, 0, first_token=[], gaps=[], tokens=0, errors={"timeout": 2})
    assert orjson.loads(orjson.dumps(to_json(result([empty]))))["summaries"][0]["gaps"]["p99"] is None


def test_the_table_shows_figures_errors_and_roles() -> None:
    bad = slot(PENSTOCK, 0, errors={"HTTP 503": 2, "cut stream": 1})
    sink = io.StringIO()
    Console(file=sink, width=240).print(render_table(result([slot(BARE, 0), bad])))
    text = sink.getvalue()
    for expected in (BARE, "2 HTTP 503, 1 cut stream", "gateway", "client", "1.00 [1.00, 1.00]", "Against bare vLLM"):
        assert expected in text


def test_one_target_alone_is_compared_with_nothing() -> None:
    alone = replace(result([slot(BARE, 0)]), targets=[Target(BARE, "http://127.0.0.1:1/v1", "demo")])
    sink = io.StringIO()
    Console(file=sink, width=240).print(render_table(alone))
    assert "Against" not in sink.getvalue()
    assert "Against" not in to_markdown(alone)


def test_the_markdown_has_whole_tables() -> None:
    text = to_markdown(two_targets())
    tables = [line for line in text.splitlines() if line.startswith("|")]
    widths = {line.replace("\\|", "").count("|") for line in tables}
    assert len(tables) == 3 + 4
    assert len(widths) == 2
    assert "0.80 [0.80, 0.80]" in text
    assert text.endswith("|\n")


def test_the_picture_is_a_png(tmp_path: Path) -> None:
    slots = [slot(name, n, concurrency=count) for n in range(3) for count in (1, 32) for name in (BARE, PENSTOCK)]
    write_png(result(slots, (1, 32)), tmp_path / "pictures" / "bench.png")
    drawn = (tmp_path / "pictures" / "bench.png").read_bytes()
    assert drawn.startswith(b"\x89PNG")
    assert len(drawn) > 20_000


def test_a_target_that_gave_nothing_is_drawn_as_nothing(tmp_path: Path) -> None:
    empty = slot(PENSTOCK, 0, first_token=[], gaps=[], tokens=0, errors={"timeout": 2})
    write_png(result([slot(BARE, 0), empty]), tmp_path / "bench.png")
    assert (tmp_path / "bench.png").stat().st_size > 20_000


def test_without_matplotlib_the_error_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    importing = builtins.__import__

    def refuse(name: str, *more: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return importing(name, *more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MachineError, match=r'pip install "penstock\[bench\]"'):
        write_png(two_targets(), tmp_path / "bench.png")


def test_progress_is_shown_slot_by_slot() -> None:
    sink = io.StringIO()
    with live_progress(Console(file=sink, force_terminal=True, width=200)) as on_progress:
        on_progress(Progress(1, 4, slot(BARE, -1), warm_up=True))
        on_progress(Progress(2, 4, slot(PENSTOCK, 0), warm_up=False))
    assert "Warming up" in sink.getvalue()
    assert "Penstock, 1 streams: 100 tokens/s" in sink.getvalue()


@pytest.mark.parametrize(
    ("value", "written"), [(1234.5, "1,234"), (99.96, "100"), (12.345, "12.3"), (1.234, "1.23"), (float("nan"), "–")]
)
def test_figures_have_three_digits(value: float, written: str) -> None:
    assert number(value) == written


def test_no_errors_are_a_nought() -> None:
    assert error_counts({}) == "0"


def test_the_name_of_the_processor_is_read() -> None:
    assert cpu_name("processor : 0\nmodel name\t: AMD EPYC 9\nflags : fpu\n") == "AMD EPYC 9"
    assert cpu_name("processor : 0\n") is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"concurrencies": ()},
        {"concurrencies": (0,)},
        {"concurrencies": (1, 1)},
        {"rounds": 0},
        {"max_tokens": 0},
        {"warm_up": -1},
        {"timeout": 0.0},
        {"timeout": float("nan")},
    ],
)
def test_a_plan_that_cannot_be_run_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(DocumentError, match="plan"):
        Plan(**wrong)


@pytest.mark.parametrize("address", ["127.0.0.1:8000", "ftp://host/v1", "http://", ""])
def test_a_target_without_an_address_is_refused(address: str) -> None:
    with pytest.raises(DocumentError, match="no http address"):
        Target("demo", address, "demo")


def test_a_key_is_not_shown() -> None:
    assert "very-secret" not in repr(Target("demo", "http://h/v1", "demo", api_key="very-secret"))


def test_the_plan_for_first_tokens_sends_one_request_a_slot() -> None:
    plan = Plan.first_token(50)
    assert (plan.rounds, plan.requests_of_slot(1)) == (50, 1)
    assert Plan().requests_of_slot(1) == 8
    assert Plan().requests_of_slot(32) == 64


def test_requests_are_those_of_the_endpoint() -> None:
    chat = Plan().body("demo")
    text = Plan(endpoint="completions", extra_body={"seed": 1}).body("demo")
    assert chat["messages"][0]["content"] == text["prompt"]
    assert chat["stream_options"] == {"include_usage": True}
    assert chat["ignore_eos"] is True
    assert "messages" not in text
    assert text["seed"] == 1
