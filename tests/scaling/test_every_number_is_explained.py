"""What people are told about a number of replicas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from rich.console import Console

from penstock.assembly.status import GatewayStatus, ModelStatus, State, Status
from penstock.board.decisions import ScalingDecision
from penstock.cli.why import why
from penstock.scaling.explanation import Explanation, Rule
from penstock.scaling.observation import Observation, Report, Settings
from penstock.scaling.policy import INITIAL, PERIOD, decide


def _after(
    periods: int, settings: Settings, *, asked: int, reports: Mapping[str, Report], waiting: float = 0.0
) -> Explanation:
    """The explanation after as many decisions on the same."""
    state = INITIAL
    for period in range(periods):
        seen = Observation(period * PERIOD, asked, frozenset(f"r{place}" for place in range(asked)), reports, waiting)
        decision = decide(seen, settings, state)
        state = decision.state
    return decision.explanation


def _load(*running: float, **facts: Any) -> dict[str, Report]:
    return {f"r{place}": Report(load, **{"queued": 0.0, **facts}) for place, load in enumerate(running)}


SETTINGS = Settings(0, 8, target=16)

REASONS = [
    (
        _after(1, SETTINGS, asked=0, reports={}, waiting=40),
        Rule.FIRST,
        "40 requests in progress or waiting, and no replica is there, so 3 replicas start at once.",
    ),
    (
        _after(2, SETTINGS, asked=1, reports=_load(64)),
        Rule.BURST,
        (
            "64 requests in progress or waiting need 4 replicas at 16 each, seen twice in a row and far more than the 1"
            " asked for."
        ),
    ),
    (
        _after(2, SETTINGS, asked=2, reports=_load(20, 20)),
        Rule.CONFIRMING,
        (
            "40 requests in progress or waiting need 3 replicas at 16 each, and more than 2 will be asked for once that"
            " has lasted 10s."
        ),
    ),
    (
        _after(7, SETTINGS, asked=2, reports=_load(20, 20)),
        Rule.LOAD,
        "40 requests in progress or waiting need 3 replicas at 16 each, and 2 have been too few for 10s.",
    ),
    (
        _after(20, SETTINGS, asked=1, reports=_load(6, queued=3.0, kv_usage=0.97)),
        Rule.KV_CACHE,
        "The KV caches are 97% full and 3 requests queue in engines, so one more replica starts.",
    ),
    (
        _after(1, SETTINGS, asked=1, reports=_load(1)),
        Rule.STEADY,
        "1 request in progress or waiting needs 1 replica at 16 each, and 1 is asked for.",
    ),
    (
        _after(3, SETTINGS, asked=2, reports=_load(4, 4)),
        Rule.LULL,
        (
            "8 requests in progress or waiting need 1 replica at 16 each, and fewer than 2 must suffice for 5m before"
            " one stops."
        ),
    ),
    (
        _after(152, SETTINGS, asked=2, reports=_load(4, 4)),
        Rule.LESS_LOAD,
        "8 requests in progress or waiting need 1 replica at 16 each, and more than 1 was not needed for 5m.",
    ),
    (
        _after(22, SETTINGS, asked=1, reports=_load(0)),
        Rule.LULL,
        "There was no request for 42s, and the last replica stops after 10m.",
    ),
    (
        _after(302, SETTINGS, asked=1, reports=_load(0)),
        Rule.IDLE,
        "There was no request for 10m, so no replica is kept.",
    ),
    (
        _after(152, SETTINGS, asked=3, reports=_load(4, 4)),
        Rule.MISSING_REPORTS,
        "1 of 3 replicas did not report lately, so none is stopped.",
    ),
    (
        _after(9, SETTINGS._replace(most=2), asked=2, reports=_load(40, 40)),
        Rule.AT_MOST,
        "80 requests in progress or waiting need 5 replicas at 16 each, and replicas.max is 2.",
    ),
    (
        _after(9, SETTINGS._replace(least=2), asked=2, reports=_load(0, 0)),
        Rule.AT_LEAST,
        "Nothing is in progress or waiting, and replicas.min is 2.",
    ),
]


@pytest.mark.parametrize(("explanation", "rule", "text"), REASONS, ids=[rule for _, rule, _ in REASONS])
def test_the_rule_that_decided_says_why_in_a_sentence(explanation: Explanation, rule: Rule, text: str) -> None:
    assert (explanation.rule, explanation.text) == (rule, text)


def test_every_rule_is_shown_above() -> None:
    assert {rule for _, rule, _ in REASONS} == set(Rule)


def _printed(*models: ModelStatus) -> str:
    console = Console(width=300)
    with console.capture() as capture:
        status = Status(gateway=GatewayStatus(url="http://h", state=State.READY), models=list(models))
        console.print(why(status, now=1000.0))
    return capture.get()


def _decision(**facts: Any) -> ScalingDecision:
    given = {"replicas": 4, "rule": "burst", "text": "Because.", "since": 940.0, "updated": 995.0}
    return ScalingDecision(**{"model": "m", "least": 0, "most": 8, "target": 16, **given, **facts})


def test_a_person_is_told_the_number_the_rule_since_when_and_what_was_seen() -> None:
    decision = _decision(
        ready=1, starting=3, running_requests=60, waiting_requests=4, start_seconds=150, missing_reports=1
    )
    said = _printed(ModelStatus(name="m", state=State.READY, scaling=decision))
    for part in (
        "m: 4 replicas  burst, this number since 1:00",
        "Because.",
        "1 ready, 3 starting, from 0 to 8",
        "60 in engines, 0 queued there, 4 waiting in gateways",
        "1 without a report",
        "a start takes 2:30",
    ):
        assert part in said
    assert "not again since" not in said


def test_a_person_is_told_that_a_decision_is_old() -> None:
    said = _printed(ModelStatus(name="m", state=State.READY, scaling=_decision(updated=880.0)))
    assert "Decided 2:00 ago, and not again since." in said


def test_a_person_is_told_that_nothing_was_decided_yet() -> None:
    assert "m: no decision yet" in _printed(ModelStatus(name="m", state=State.READY))
