"""The watchdog's decision, over made-up looks."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.engine.vitals import Vitals, read_vitals
from penstock.engine.watchdog import LONGEST_GAP, Look, Watchdog
from penstock.in_flight import OPEN, UNANSWERED

STALL, LONGEST = 120.0, 600.0
STEP = 10.0
BUSY = Vitals(3, (100.0, 10.0, 5.0, 0.5))


def _looks(count: int, *, vitals: Vitals | None = BUSY, worker: float = 0.0, server: float = 0.0) -> list[Look]:
    """A look every ten seconds; `worker` and `server` are shares of a core."""
    return [
        Look(number * STEP, vitals, worker_seconds=number * STEP * worker, server_seconds=number * STEP * server)
        for number in range(count)
    ]


def _found(looks: Iterable[Look], stall: float = STALL) -> tuple[float, str] | None:
    """When it was found stuck, and why."""
    watchdog = Watchdog(stall)
    for look in looks:
        if (cause := watchdog.observe(look, longest_request=LONGEST)) is not None:
            return look.at, cause
    return None


def test_an_engine_with_requests_that_does_nothing_is_stuck_after_the_stall() -> None:
    found = _found(_looks(100))
    assert found == (130.0, "The engine had 3 requests and made no progress for 130s.")


def test_an_idle_engine_is_never_stuck() -> None:
    assert _found(_looks(10_000, vitals=Vitals(0, BUSY.done))) is None


@pytest.mark.parametrize("counter", range(4))
def test_any_counter_that_changes_is_progress(counter: int) -> None:
    done = list(BUSY.done or ())
    looks = []
    for look in _looks(1000):
        done[counter] += 0.001
        looks.append(look._replace(vitals=Vitals(3, tuple(done))))
    assert _found(looks) is None


def test_a_long_prefill_is_no_hang_while_it_computes() -> None:
    assert _found(_looks(int(LONGEST / STEP), worker=0.9)) is None


def test_an_engine_that_computes_for_ever_without_a_result_is_stuck_after_the_longest_request() -> None:
    found = _found(_looks(1000, worker=1.0))
    assert found is not None
    assert LONGEST < found[0] <= LONGEST + STALL + 2 * STEP
    assert found[1] == "The engine was busy with 3 requests for 730s without a token or a finished request."


def test_the_time_of_the_http_server_is_no_work_of_the_engine() -> None:
    found = _found(_looks(100, server=0.9))
    assert found is not None
    assert found[0] == 130.0


def test_lines_of_workers_are_progress_but_do_not_help_for_ever() -> None:
    looks = [look._replace(worker_lines=number) for number, look in enumerate(_looks(1000))]
    found = _found(looks)
    assert found is not None
    assert found[0] > LONGEST


def test_an_engine_whose_server_is_silent_is_stuck_with_or_without_requests() -> None:
    looks = [*_looks(5, vitals=Vitals(0, BUSY.done)), *_looks(100, vitals=None)[5:]]
    assert _found(looks) == (
        170.0,
        "The engine's HTTP server answered nothing for 130s, though its process lived.",
    )


def test_a_silent_server_that_computes_gets_the_time_of_the_longest_request() -> None:
    found = _found(_looks(1000, vitals=None, server=0.5))
    assert found is not None
    assert LONGEST < found[0] <= LONGEST + STALL + 2 * STEP


def test_one_answer_ends_a_silence() -> None:
    looks = [look._replace(vitals=None if number % 10 else Vitals(0, None)) for number, look in enumerate(_looks(1000))]
    assert _found(looks) is None


def test_an_engine_that_does_not_tell_what_it_did_is_not_judged_by_it() -> None:
    assert _found(_looks(1000, vitals=Vitals(5, None))) is None


def test_requests_that_are_given_up_do_not_make_a_hang_look_well() -> None:
    # Clients wait for 50 s, go, and the next come 20 s later.
    looks = [
        look._replace(vitals=Vitals(0 if number % 7 >= 5 else 2, BUSY.done)) for number, look in enumerate(_looks(200))
    ]
    found = _found(looks)
    assert found is not None
    assert found[0] < 3 * STALL


def test_requests_that_come_and_go_between_looks_are_no_hang() -> None:
    looks = [look._replace(vitals=Vitals(number % 2, BUSY.done)) for number, look in enumerate(_looks(1000))]
    assert _found(looks) is None


def test_a_machine_that_slept_makes_no_engine_stuck() -> None:
    looks = [Look(0.0, BUSY), Look(10.0, BUSY), Look(86400.0, BUSY), Look(86410.0, Vitals(3, (101.0, 10.0, 5.0, 0.5)))]
    assert _found(looks) is None


def test_processes_that_end_are_no_work() -> None:
    looks = [look._replace(worker_seconds=1000.0 if number < 3 else 0.0) for number, look in enumerate(_looks(100))]
    found = _found(looks)
    assert found is not None
    assert found[0] == 130.0


@given(
    st.lists(
        st.tuples(
            st.floats(0, 100),
            st.one_of(st.none(), st.tuples(st.integers(0, 3), st.integers(0, 2))),
            st.floats(0, 2),
            st.floats(0, 2),
        ),
        max_size=60,
    )
)
def test_nothing_is_stuck_before_the_stall_has_passed(
    steps: list[tuple[float, tuple[int, int] | None, float, float]],
) -> None:
    watchdog = Watchdog(STALL)
    at = worker = server = 0.0
    for number, (passed, seen, worked, served) in enumerate(steps):
        at, worker, server = at + passed, worker + worked * passed, server + served * passed
        vitals = Vitals(seen[0], (float(seen[1]),)) if seen else None
        cause = watchdog.observe(Look(at, vitals, worker, server), longest_request=LONGEST)
        if at <= STALL or number * LONGEST_GAP <= STALL:
            assert cause is None


METRICS = """\
# HELP vllm:num_requests_running Requests.
vllm:num_requests_running{engine="0",model_name="m"} 2.0
vllm:num_requests_running{engine="1",model_name="m"} 1.0
vllm:num_requests_waiting{engine="0",model_name="m"} 4.0
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.25
vllm:prompt_tokens_total{engine="0",model_name="m"} 10.0
vllm:generation_tokens_total{engine="0",model_name="m"} 1.5e+06
vllm:generation_tokens_created{engine="0",model_name="m"} 7.0
vllm:request_success_total{engine="0",finished_reason="stop",model_name="m"} 3.0
vllm:request_success_total{engine="0",finished_reason="length",model_name="m"} 4.0
"""


def _headers(count: int, unanswered: int) -> dict[str, str]:
    return {OPEN: str(count), UNANSWERED: str(unanswered)}


def test_vitals_are_read_from_what_vllm_says() -> None:
    assert read_vitals(METRICS, {}) == Vitals(7, (1.5e6, 10.0, 7.0, 0.25))


def test_requests_that_the_engine_never_took_up_are_seen_by_the_guard() -> None:
    idle = METRICS.replace("} 2.0", "} 0.0").replace("} 1.0", "} 0.0").replace('m"} 4.0', 'm"} 0.0', 1)
    assert read_vitals(idle, _headers(2, 2)).requests == 2
    # Two clients read slowly what the engine has long finished.
    assert read_vitals(idle, _headers(2, 0)).requests == 0


def test_gauges_that_nobody_renewed_are_no_requests() -> None:
    assert read_vitals(METRICS, _headers(0, 0)).requests == 0
    assert read_vitals(METRICS, _headers(1, 0)).requests == 7


def test_a_server_without_such_metrics_tells_nothing() -> None:
    assert read_vitals("", {}) == Vitals(0, None)
    assert read_vitals("python_info 1.0\n", {OPEN: "x", UNANSWERED: "-1"}) == Vitals(0, None)
