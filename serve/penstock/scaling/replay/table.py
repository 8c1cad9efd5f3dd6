"""The scores as tables of Markdown, and their places in a page. Used by `__main__`; a test holds the page to it."""

from __future__ import annotations

from penstock.scaling.replay.matched import Match, best_within
from penstock.scaling.replay.scenarios import KEDA, OWN, RAY, RAY_TUNED, RULES, SCENARIOS, play
from penstock.scaling.replay.score import LONG_WAIT_S, Score, score

SCORES_HEAD = (
    f"| load | policy | mean wait, s | p95 | p99 | over {LONG_WAIT_S:.0f} s | replica-hours | changes | beyond need"
    " | flaps |\n| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
)
MATCHES_HEAD = (
    "| load | replica-hours | Penstock waits | Ray waits for no more, at best | KEDA waits for no more, at best |\n"
    "| --- | ---: | --- | --- | --- |"
)


def scores(name: str) -> str:
    """One row for each policy under a load curve."""
    return "\n".join(_row(name, rule, _score(name, rule)) for rule in RULES)


def matches(name: str) -> str:
    """The row of a load curve: Penstock beside the best that others do with as much replica time."""
    own = _score(name, OWN)
    scenario = SCENARIOS[name]
    ray = best_within(scenario, own.replica_hours, (RAY, RAY_TUNED))
    keda = best_within(scenario, own.replica_hours, (KEDA,))
    return f"| {name} | {own.replica_hours:.1f} | {_waits(own)} | {_best(ray)} | {_best(keda)} |"


def loads() -> str:
    """What each load curve is."""
    return "\n".join(f"- **{name}**: {scenario.about}." for name, scenario in SCENARIOS.items())


def policies() -> str:
    """What each policy is."""
    return "\n".join(f"- **{name}**: {rule.about}." for name, rule in RULES.items())


def filled(page: str, parts: dict[str, str]) -> str:
    """The page with each part between its two marks, `<!-- name -->` and `<!-- end of name -->`.

    Raises:
        ValueError: a mark is not in the page.
    """
    for name, text in parts.items():
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        before, found, rest = page.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise ValueError(f"the page has no marks for {name!r}")
        page = f"{before}{begin}\n{text}\n{end}{after}"
    return page


def _score(name: str, rule: str) -> Score:
    scenario = SCENARIOS[name]
    return score(play(scenario, RULES[rule]), scenario.curve())


def _row(name: str, rule: str, values: Score) -> str:
    cells = (
        name,
        rule,
        f"{values.mean_s:.1f}",
        f"{values.p95_s:.1f}",
        f"{values.p99_s:.1f}",
        f"{values.long_waits:.1%}",
        f"{values.replica_hours:.1f}",
        f"{values.changes}",
        f"{values.overshoot}",
        f"{values.longest_flap}",
    )
    return f"| {' | '.join(cells)} |"


def _waits(values: Score) -> str:
    return f"{values.mean_s:.2f} s, p99 {values.p99_s:.1f} s"


def _best(match: Match | None) -> str:
    if match is None:
        return "always takes more"
    return f"{_waits(match.score)} ({match.rule}, target {match.target}, {match.score.replica_hours:.1f} h)"
