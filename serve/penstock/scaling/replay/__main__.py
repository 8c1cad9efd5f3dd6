"""Plays all load curves under all policies, and writes the tables and the picture of docs/autoscaling.md: `make
autoscaling`. With names of load curves it prints their tables instead."""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from penstock.scaling.replay import picture, table
from penstock.scaling.replay.scenarios import KEDA, OWN, RAY, RULES, SCENARIOS, play

_PAGE = Path("docs/autoscaling.md")
_PICTURE = Path("docs/autoscaling.svg")
_DRAWN = ("crowd", "step", "spike", "bursty", "day", "thousand")


def main(names: list[str]) -> None:
    """Writes the page's parts, or prints the tables of the load curves that are named."""
    with ProcessPoolExecutor() as pool:
        scores = pool.map(table.scores, names or SCENARIOS)
        matches = pool.map(table.matches, names or SCENARIOS)
        panels = pool.map(_panel, () if names else _DRAWN)
        tables = {
            "scores": "\n".join([table.SCORES_HEAD, *scores]),
            "matches": "\n".join([table.MATCHES_HEAD, *matches]),
        }
        if names:
            sys.stdout.write("\n\n".join([*tables.values(), ""]))
            return
        _PICTURE.write_text(picture.svg(list(panels)))
        parts = {"loads": table.loads(), "policies": table.policies(), **tables}
        _PAGE.write_text(table.filled(_PAGE.read_text(), parts))


def _panel(name: str) -> picture.Panel:
    scenario = SCENARIOS[name]
    replicas = {rule: play(scenario, RULES[rule]).present for rule in (OWN, RAY, KEDA)}
    return picture.Panel(name, scenario.curve(), replicas)


if __name__ == "__main__":
    main(sys.argv[1:])
