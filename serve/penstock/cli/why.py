"""What `penstock status --why` shows: how many replicas each model should have, what was seen, which rule decided."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from penstock.assembly.status import ModelStatus, Status
from penstock.board.decisions import ScalingDecision
from penstock.cli.picture import clock

STALE = 30.0
"""Seconds after which a decision that was not renewed is said to be old: three renewals."""


def why(status: Status, *, now: float) -> RenderableType:
    """A paragraph for each model. `now` is in seconds since the epoch."""
    return Group(*(line for model in status.models for line in _model(model, now)))


def _model(model: ModelStatus, now: float) -> Iterator[Text]:
    decision = model.scaling
    if decision is None:
        yield Text.assemble("\n", (f"{model.name}: ", "bold"), ("no decision yet", "dim"))
        return
    number = f"{decision.replicas} replica{'' if decision.replicas == 1 else 's'}"
    yield Text.assemble(
        "\n",
        (f"{model.name}: ", "bold"),
        number,
        (f"  {decision.rule}, this number since {clock(now - decision.since)}", "dim"),
    )
    yield Text(f"  {decision.text}")
    yield Text(f"  {_seen(decision)}", "dim")
    if now - decision.updated > STALE:
        yield Text(f"  Decided {clock(now - decision.updated)} ago, and not again since.", "yellow")


def _seen(decision: ScalingDecision) -> str:
    engines = f"{decision.running_requests:.0f} in engines, {decision.queued_requests:.0f} queued there"
    parts = [
        f"replicas: {decision.ready} ready, {decision.starting} starting, from {decision.least} to {decision.most}",
        f"requests: {engines}, {decision.waiting_requests:.0f} waiting in gateways",
        f"KV caches {decision.kv_usage:.0%} full",
    ]
    if decision.missing_reports:
        parts.append(f"{decision.missing_reports} without a report")
    if decision.start_seconds is not None:
        parts.append(f"a start takes {clock(decision.start_seconds)}")
    return " · ".join(parts)
