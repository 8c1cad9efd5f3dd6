"""What the slots say together: per target and concurrency, and per pair against the first target. Pure.

A machine's speed drifts by more than what is to be seen, so targets are compared only within a round, and the medians
of those comparisons are given with their intervals.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from penstock.bench.load import Slot
from penstock.bench.statistics import Estimate, estimate, median, percentile


@dataclass(frozen=True)
class Spread:
    """Seconds that half, 95 and 99 of a hundred stay within."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(percentile(values, 0.5), percentile(values, 0.95), percentile(values, 0.99))


@dataclass(frozen=True)
class Summary:
    """One target at one concurrency, over all rounds."""

    target: str
    concurrency: int
    tokens_per_second: Estimate
    """Over the slots."""
    first_token: Spread
    """Over all requests."""
    gaps: Spread
    """Over all events with text. An engine may put several tokens into one event."""
    requests: int
    tokens: int
    errors: dict[str, int]
    cpu: dict[str, float]
    """CPU seconds by role, all slots together."""

    def cpu_per_thousand_tokens(self, role: str) -> float:
        return 1000 * self.cpu.get(role, 0.0) / self.tokens if self.tokens else float("nan")


@dataclass(frozen=True)
class Comparison:
    """A target against the baseline at one concurrency: each round is one pair."""

    target: str
    baseline: str
    concurrency: int
    throughput: Estimate
    """Output tokens/s as a share of the baseline's; 1 is equal."""
    first_token: Estimate
    """Seconds added to the slot's median time to first token."""
    gap: Estimate
    """Seconds added to the slot's median gap."""


def summarise(slots: Sequence[Slot]) -> list[Summary]:
    """One summary per target and concurrency, in the order in which they first appear."""
    return [_summary(group) for group in _grouped(slots)]


def compare(slots: Sequence[Slot], baseline: str) -> list[Comparison]:
    """Every other target against the baseline. Pairs with a slot that produced nothing are left out."""
    places = {(slot.target, slot.concurrency, slot.round): slot for slot in slots}
    comparisons: list[Comparison] = []
    for group in _grouped(slots):
        first = group[0]
        if first.target == baseline:
            continue
        pairs = [
            (slot, base)
            for slot in group
            if (base := places.get((baseline, slot.concurrency, slot.round))) is not None
            and slot.first_token
            and base.first_token
        ]
        comparisons.append(
            Comparison(
                target=first.target,
                baseline=baseline,
                concurrency=first.concurrency,
                throughput=estimate([slot.tokens_per_second / base.tokens_per_second for slot, base in pairs]),
                first_token=estimate([median(slot.first_token) - median(base.first_token) for slot, base in pairs]),
                gap=estimate(
                    [median(slot.gaps) - median(base.gaps) for slot, base in pairs if slot.gaps and base.gaps]
                ),
            )
        )
    return comparisons


def _grouped(slots: Iterable[Slot]) -> list[list[Slot]]:
    groups: dict[tuple[str, int], list[Slot]] = {}
    for slot in slots:
        groups.setdefault((slot.target, slot.concurrency), []).append(slot)
    return list(groups.values())


def _summary(slots: list[Slot]) -> Summary:
    errors: Counter[str] = Counter()
    cpu: dict[str, float] = {}
    for slot in slots:
        errors.update(slot.errors)
        for role, seconds in slot.cpu.items():
            cpu[role] = cpu.get(role, 0.0) + seconds
    return Summary(
        target=slots[0].target,
        concurrency=slots[0].concurrency,
        tokens_per_second=estimate([slot.tokens_per_second for slot in slots]),
        first_token=Spread.of([seconds for slot in slots for seconds in slot.first_token]),
        gaps=Spread.of([seconds for slot in slots for seconds in slot.gaps]),
        requests=sum(slot.requests for slot in slots),
        tokens=sum(slot.tokens for slot in slots),
        errors=dict(errors),
        cpu=cpu,
    )
