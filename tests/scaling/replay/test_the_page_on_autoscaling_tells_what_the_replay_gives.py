"""docs/autoscaling.md against the code. When this fails, and rightly so, `make autoscaling` writes the page anew."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from penstock.scaling.explanation import Rule
from penstock.scaling.replay import picture, table
from penstock.scaling.replay.matched import best_within
from penstock.scaling.replay.scenarios import OWN, RAY, RAY_TUNED, RULES, SCENARIOS, play
from penstock.scaling.replay.score import score

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "autoscaling.md").read_text()


def cells(name: str) -> dict[str, list[str]]:
    """The rows of a load in the page's table of scores, by policy."""
    rows = re.findall(rf"^\| {name} \| ([^|]+?) \| (.*) \|$", PAGE, re.MULTILINE)
    return {policy: rest.split(" | ") for policy, rest in rows if policy in RULES}


@pytest.mark.parametrize("name", ["crowd", "step"])
def test_the_table_is_what_the_replay_gives(name: str) -> None:
    assert table.scores(name) in PAGE


def test_the_loads_and_the_policies_are_those_of_the_replay() -> None:
    assert table.loads() in PAGE
    assert table.policies() in PAGE
    for name in SCENARIOS:
        assert cells(name).keys() == RULES.keys()


def test_every_rule_is_explained() -> None:
    explained = set(re.findall(r"`([a-z-]+)`", PAGE.split("| rule |")[1].split("\n\n")[0]))
    assert {str(rule) for rule in Rule} <= explained


@pytest.mark.parametrize("name", SCENARIOS)
def test_penstock_waits_no_longer_than_rays_default_or_takes_less_replica_time(name: str) -> None:
    rows = cells(name)
    own, ray = ([float(rows[rule][column]) for column in (0, 4)] for rule in (OWN, RAY))
    assert own[0] <= ray[0] + 0.1
    assert own[1] <= ray[1] or own[0] < 0.7 * ray[0]


@pytest.mark.parametrize("name", SCENARIOS)
def test_within_its_replica_time_no_setting_of_rays_waits_less(name: str) -> None:
    row = next(line for line in PAGE.splitlines() if re.match(rf"\| {name} \| [\d.]+ \| [\d.]+ s, p99", line))
    _, _, own, ray, _ = row.strip("| ").split(" | ")
    if ray != "always takes more":
        assert float(own.split(" s")[0]) <= float(ray.split(" s")[0]) + 0.02


def test_a_step_is_played_to_the_same_verdict() -> None:
    scenario = SCENARIOS["crowd"]
    own = score(play(scenario, RULES[OWN]), scenario.curve())
    ray = best_within(scenario, own.replica_hours, (RAY, RAY_TUNED))
    assert own.overshoot == 0
    assert own.changes == 1
    assert ray is not None
    assert own.mean_s < ray.score.mean_s


def test_a_page_without_its_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="loads"):
        table.filled("# A page", {"loads": "none"})
    assert table.filled("<!-- a -->\n<!-- end of a -->", {"a": "new"}) == "<!-- a -->\nnew\n<!-- end of a -->"


def test_the_picture_shows_each_load_and_policy() -> None:
    drawn = (DOCS / "autoscaling.svg").read_text()
    for rule in (OWN, RAY):
        assert f">{rule}<" in drawn
    again = picture.svg([picture.Panel("a load", [1.0] * 600, {"one": [1] * 300 + [3] * 300, "two": [2] * 600})])
    assert again.count("<path") >= 3
    assert "a load" in again
