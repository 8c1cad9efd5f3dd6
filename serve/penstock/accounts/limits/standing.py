"""How the limits of a minute stand, for the `x-ratelimit-*` lines of answers. Pure; used by `limiter`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from penstock.accounts.limits.counters import State
from penstock.accounts.limits.rules import Charge, Kind, Unit


@dataclass(frozen=True, slots=True)
class Meter:
    """One limit of a minute."""

    limit: int
    remaining: int
    reset: float
    """Seconds until all of it is there again, if nothing more comes."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The narrowest limit of each unit; None where there is none."""

    requests: Meter | None = None
    tokens: Meter | None = None


def standing(charges: Sequence[Charge], states: Sequence[State]) -> Standing:
    """How the windows of a request stand. Both in the same order."""
    return Standing(_narrowest(Unit.REQUESTS, charges, states), _narrowest(Unit.TOKENS, charges, states))


def _narrowest(unit: Unit, charges: Sequence[Charge], states: Sequence[State]) -> Meter | None:
    meters = [
        Meter(charge.rule.limit, max(0, charge.rule.limit - state.used), state.reset / 1000)
        for charge, state in zip(charges, states, strict=True)
        if charge.rule.kind is Kind.WINDOW and charge.rule.unit is unit
    ]
    return min(meters, key=lambda meter: meter.remaining, default=None)
