"""Why answers of a running model are slow, as its numbers say. Pure; used by `running`."""

from __future__ import annotations

from typing import Final

from penstock.doctor.facts import Pace
from penstock.doctor.findings import Finding, warning

_SPARE: Final = 1.1
"""So much more than its target a replica bears without another one: `replicas.target` says so."""
_FULL: Final = 0.9
_SLOW: Final = 5.0
"""Seconds to the first byte of an answer from which people think that nothing happens."""
_ENOUGH: Final = 5
"""Answers whose mean says something."""


def slowness(pace: Pace) -> Finding | None:
    """The first reason that its numbers show, with what to do; None where they show none."""
    subject = f"pace of {pace.model}"
    key = f"models.{pace.model}"
    if pace.waiting and not pace.replicas:
        return warning(
            subject,
            f"{pace.waiting} requests wait, and no replica takes any.",
            f"penstock status --watch shows how far one is. {key}.replicas.min: 1 keeps one for the next time.",
        )
    if pace.replicas and pace.load > _SPARE * pace.target * pace.replicas:
        seen = f"{pace.load:g} requests are in progress on {_replicas(pace.replicas)}, each aimed at {pace.target:g}"
        if pace.desired > pace.replicas:
            return warning(
                subject,
                f"{seen}; {pace.desired - pace.replicas} more are on their way.",
                f"Wait for them: penstock status --watch. {key}.replicas.min keeps more for the next time.",
            )
        return warning(
            subject,
            f"{seen}, and it may have no more.",
            f"Raise {key}.replicas.max, or send fewer at once: accounts.limits bounds what one key may.",
        )
    if pace.kv_cache >= _FULL:
        return warning(
            subject,
            f"Its KV cache is {pace.kv_cache:.0%} full, so that requests wait inside the engine.",
            f"Raise {key}.replicas.max or options.gpu_memory_utilization, or lower options.max_model_len (on a CPU:"
            " raise env.VLLM_CPU_KVCACHE_SPACE).",
        )
    if pace.answers >= _ENOUGH and pace.first_byte is not None and pace.first_byte > _SLOW:
        return warning(
            subject,
            f"The first byte of an answer came after {pace.first_byte:.1f} s on average, over {pace.answers} answers,"
            " and now nothing queues.",
            "If they waited for a start, held_ms in the gateway's log says so: keep a replica with replicas.min. If"
            " not, prompts are long or the hardware is slow: use a smaller or quantised model, or faster hardware.",
        )
    return None


def _replicas(number: int) -> str:
    return f"{number} replica{'' if number == 1 else 's'}"
