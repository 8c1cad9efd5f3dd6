"""The numbers of a running gateway, from what it tells Prometheus."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

from penstock.doctor.facts import Pace

_LIMIT = 5.0
_LARGEST = 2**24

_WAITING = "penstock_gateway_requests_waiting"
_FIRST_BYTE = "penstock_gateway_time_to_first_byte_seconds"
_SCALING = "penstock_scaling_"


def paces(url: str) -> tuple[Pace, ...]:
    """Of each model, as one gateway sees it; none where it does not tell."""
    # A proxy of the environment has no business with an address of this machine.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"{url}/metrics", timeout=_LIMIT) as answer:
            return parse(answer.read(_LARGEST).decode("utf-8", errors="replace"))
    except (urllib.error.URLError, OSError, ValueError):
        return ()


def parse(text: str) -> tuple[Pace, ...]:
    """What a gateway's metrics say. Raises ValueError where they are none."""
    seen: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if model := sample.labels.get("model"):
                seen[model][sample.name] += sample.value
    return tuple(_pace(model, numbers) for model, numbers in sorted(seen.items()) if _WAITING in numbers)


def _pace(model: str, numbers: Mapping[str, float]) -> Pace:
    answers = numbers[f"{_FIRST_BYTE}_count"]
    return Pace(
        model,
        waiting=int(numbers[_WAITING]),
        load=numbers[f"{_SCALING}load"],
        replicas=int(numbers[f"{_SCALING}running_replicas"]),
        desired=int(numbers[f"{_SCALING}desired_replicas"]),
        target=numbers[f"{_SCALING}target_requests"],
        kv_cache=numbers[f"{_SCALING}kv_cache_usage_ratio"],
        answers=int(answers),
        first_byte=numbers[f"{_FIRST_BYTE}_sum"] / answers if answers else None,
    )
