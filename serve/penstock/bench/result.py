"""The result of a run, and its JSON. Written by `runner`, read by the table, the Markdown and the picture.

The JSON (`"format": 1`; all times in seconds, NaN as null):

    {"format": 1, "date": "2026-01-31T12:00:00+00:00",
     "machine": {"cpu", "cores", "memory_bytes", "system", "versions": {package: version}},
     "plan": {every field of Plan}, "targets": [{"name", "base_url", "model", "roles": [...]}], "seconds": 93.1,
     "summaries": [{"target", "concurrency", "tokens_per_second": ESTIMATE, "first_token": SPREAD, "gaps": SPREAD,
                    "requests", "tokens", "errors": {kind: count}, "cpu": {role: seconds}}],
     "comparisons": [{"target", "baseline", "concurrency", "throughput": ESTIMATE, "first_token": ESTIMATE,
                      "gap": ESTIMATE}],
     "slots": [{"target", "concurrency", "round", "seconds", "tokens", "requests", "errors", "cpu",
                "first_token": SPREAD, "gaps": SPREAD}]}

ESTIMATE is {"median", "low", "high", "coverage", "count"}: the interval from low to high holds the true median with
the probability coverage. SPREAD is {"p50", "p95", "p99"}. Keys of targets are not written.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

from penstock.bench.load import Slot
from penstock.bench.machine import Machine
from penstock.bench.plan import Plan, Target
from penstock.bench.statistics import Estimate
from penstock.bench.summary import Comparison, Spread, Summary, compare, summarise


@dataclass(frozen=True)
class Result:
    """A finished run. The first target is the baseline of the comparisons."""

    date: datetime
    machine: Machine
    plan: Plan
    targets: list[Target]
    slots: list[Slot]
    """The measured ones, in the order in which they ran."""
    seconds: float
    """The whole run, warm-up included."""

    @cached_property
    def summaries(self) -> list[Summary]:
        return summarise(self.slots)

    @cached_property
    def comparisons(self) -> list[Comparison]:
        return compare(self.slots, self.targets[0].name)


def to_json(result: Result) -> dict[str, Any]:
    """The result in the form that the module's head describes."""
    return {
        "format": 1,
        "date": result.date.isoformat(timespec="seconds"),
        "machine": result.machine,
        "plan": {**asdict(result.plan), "extra_body": dict(result.plan.extra_body)},
        "targets": [
            {"name": target.name, "base_url": target.base_url, "model": target.model, "roles": list(target.pids)}
            for target in result.targets
        ],
        "seconds": result.seconds,
        "summaries": [
            {**asdict(summary), "tokens_per_second": _estimate(summary.tokens_per_second)}
            for summary in result.summaries
        ],
        "comparisons": [
            {
                **asdict(comparison),
                "throughput": _estimate(comparison.throughput),
                "first_token": _estimate(comparison.first_token),
                "gap": _estimate(comparison.gap),
            }
            for comparison in result.comparisons
        ],
        "slots": [
            {
                **asdict(slot),
                "first_token": asdict(Spread.of(slot.first_token)),
                "gaps": asdict(Spread.of(slot.gaps)),
            }
            for slot in result.slots
        ],
    }


def write_json(result: Result, path: Path) -> None:
    """Writes the file and the folders above it. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(orjson.dumps(to_json(result), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def _estimate(value: Estimate) -> dict[str, float | int]:
    low, high, coverage = value.interval
    return {"median": value.median, "low": low, "high": high, "coverage": coverage, "count": value.size}
