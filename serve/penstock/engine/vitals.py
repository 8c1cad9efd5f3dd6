"""What an engine's `/metrics` says of its life: whether it has requests, and what it has done so far. Pure; read by the
watch.

Counters of vLLM 0.32; all of them are renewed by a step of the engine itself, never by a request that arrives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from penstock.in_flight import OPEN, UNANSWERED

_WORKING = ("vllm:num_requests_running", "vllm:num_requests_waiting")
_DONE = (
    "vllm:generation_tokens_total",
    "vllm:prompt_tokens_total",
    "vllm:request_success_total",
    "vllm:kv_cache_usage_perc",
)


class Vitals(NamedTuple):
    """One look at an engine."""

    requests: int
    """Requests that it should be getting on with; 0 for an idle one."""
    done: tuple[float, ...] | None
    """Changes whenever the engine gets on; None where it does not tell (`disable_log_stats`)."""


def read_vitals(metrics: str, headers: Mapping[str, str]) -> Vitals:
    """
    Args:
        metrics: Prometheus' text.
        headers: of that answer, where the guard wrote its counts.
    """
    sums: dict[str, float] = {}
    for line in metrics.splitlines():
        name = line.partition("{")[0]
        if name in _WORKING or name in _DONE:
            sums[name] = sums.get(name, 0.0) + float(line.rpartition(" ")[2])
    working = int(sum(sums.get(name, 0.0) for name in _WORKING))
    counted, unanswered = _count(headers, OPEN), _count(headers, UNANSWERED)
    if counted == 0:
        # Gauges of an engine that nobody asks any more may be old: a step renews them.
        working = 0
    tells = _DONE[0] in sums or _DONE[1] in sums
    return Vitals(max(working, unanswered or 0), tuple(sums.get(name, 0.0) for name in _DONE) if tells else None)


def _count(headers: Mapping[str, str], name: str) -> int | None:
    text = headers.get(name, "")
    return int(text) if text.isdecimal() else None
