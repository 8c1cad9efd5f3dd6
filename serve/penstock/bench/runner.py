"""Runs a plan: rounds, and in each the targets in turn. The entry of the package, called by `penstock bench`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from penstock.bench.load import Slot, run_slot
from penstock.bench.machine import this_machine
from penstock.bench.plan import Plan, Target
from penstock.bench.result import Result
from penstock.bench.rotation import turns
from penstock.errors import DocumentError, NotRunningError


@dataclass(frozen=True)
class Progress:
    """How far a run is: `done` of `total` slots; `slot` is the one that just ended."""

    done: int
    total: int
    slot: Slot
    warm_up: bool


async def run_bench(plan: Plan, targets: Sequence[Target], *, on_progress: Callable[[Progress], None]) -> Result:
    """Measures the targets side by side, interleaved.

    Args:
        plan: the load.
        targets: at least one; the first is what the others are compared with.
        on_progress: called after every slot.

    Raises:
        DocumentError: there is no target, or two have one name.
        NotRunningError: a target answers none of the requests of its first slot.
    """
    names = [target.name for target in targets]
    if not targets or len(set(names)) != len(names):
        raise DocumentError(f"The targets are {names}.", remedy="Name at least one, and each with a name of its own.")
    begin = time.perf_counter()
    date = datetime.now(UTC)
    total = (plan.warm_up + plan.rounds) * len(plan.concurrencies) * len(targets)
    slots: list[Slot] = []
    done = 0
    answered: set[str] = set()
    for number in range(-plan.warm_up, plan.rounds):
        for concurrency in plan.concurrencies:
            for target in turns(targets, number % (2 * len(targets))):
                slot = await run_slot(target, plan, concurrency, number)
                if target.name not in answered:
                    _require_answers(target, slot)
                    answered.add(target.name)
                if number >= 0:
                    slots.append(slot)
                done += 1
                on_progress(Progress(done, total, slot, warm_up=number < 0))
    return Result(date, this_machine(), plan, list(targets), slots, time.perf_counter() - begin)


def _require_answers(target: Target, slot: Slot) -> None:
    if sum(slot.errors.values()) < slot.requests:
        return
    kinds = ", ".join(f"{kind} ({count})" for kind, count in sorted(slot.errors.items()))
    raise NotRunningError(
        f"The target {target.name!r} answered none of {slot.requests} requests: {kinds}.",
        remedy=f"Check that {target.base_url} serves the model {target.model!r}, and that the key is right.",
    )
