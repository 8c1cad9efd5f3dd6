"""The value of an option with which an engine that had too little memory would fit, from the numbers that it printed.
Pure; used by `diagnosis`.

The words are those of vLLM 0.32 and PyTorch.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Final

_NUMBER: Final = r"\d{1,6}(?:\.\d+)?"
_TOO_LITTLE_FREE: Final = re.compile(
    rf"\((?P<free>{_NUMBER})/(?P<total>{_NUMBER}) GiB\) on startup is less than desired (?P<device>GPU|CPU) memory"
    rf" utilization \((?P<asked>{_NUMBER})"
)
_LONGEST: Final = re.compile(r"estimated maximum model length is (?P<longest>\d+)")
_KV_SHORT: Final = re.compile(
    rf"\((?P<needed>{_NUMBER}) GiB KV cache is needed, which is larger than the available KV cache memory"
    rf" \((?P<available>{_NUMBER}) GiB"
)
_ALLOCATION: Final = re.compile(
    rf"Tried to allocate (?P<tried>{_NUMBER}) (?P<unit>[KMG])iB\. GPU \S+ has a total capacity of"
    rf" (?P<total>{_NUMBER}) GiB of which (?P<free>{_NUMBER}) (?P<free_unit>[KMG])iB is free"
)
_UTILIZATION: Final = re.compile(r"gpu_memory_utilization\W{1,4}(?P<share>0\.\d+|1(?:\.0+)?)(?=[^\d.]|$)")

_USUAL_SHARE: Final = 0.92
"""What vLLM 0.32 takes unless told otherwise."""
_LEAST_SHARE: Final = 0.1
"""Less than this is no place for a model."""
_GIB: Final = {"K": 2**-20, "M": 2**-10, "G": 1.0}


def remedy(log: Iterable[str]) -> str | None:
    """What to set, in one line; None where the log has no numbers that say."""
    lines = list(log)
    for found in (_longest, _free_share, _allocation):
        for line in lines:
            if told := found(line, lines):
                return told
    return None


def _longest(line: str, lines: list[str]) -> str | None:
    match = _LONGEST.search(line)
    if match is None:
        return None
    told = f"Set options.max_model_len of the model to {match['longest']} or less"
    short = _KV_SHORT.search(line)
    if short is None:
        return f"{told}, or raise gpu_memory_utilization."
    more = float(short["needed"]) - float(short["available"])
    on_cpu = any("VLLM_CPU_KVCACHE_SPACE" in other for other in lines)
    where = "env.VLLM_CPU_KVCACHE_SPACE" if on_cpu else "options.gpu_memory_utilization"
    return f"{told}, or give its KV cache {math.ceil(more * 10) / 10:.1f} GiB more by {where}."


def _free_share(line: str, _: list[str]) -> str | None:
    match = _TOO_LITTLE_FREE.search(line)
    if match is None:
        return None
    free, total = float(match["free"]), float(match["total"])
    if not total:
        return None
    share = math.floor(free / total * 100) / 100
    seen = f"{free:g} of {total:g} GiB are free, {match['asked']} of them all are asked for"
    what = "memory of the machine" if match["device"] == "CPU" else "GPU"
    if share < _LEAST_SHARE:
        return f"Stop what else uses the {what}: only {seen}."
    return (
        f"Set options.gpu_memory_utilization of the model to {share:.2f} or less ({seen}), or stop what else uses it."
    )


def _allocation(line: str, lines: list[str]) -> str | None:
    match = _ALLOCATION.search(line)
    if match is None:
        return None
    total = float(match["total"])
    missing = float(match["tried"]) * _GIB[match["unit"]] - float(match["free"]) * _GIB[match["free_unit"]]
    if not total or missing <= 0:
        return None
    set_now = [float(found["share"]) for other in lines if (found := _UTILIZATION.search(other))]
    share = math.floor(((set_now[0] if set_now else _USUAL_SHARE) - missing / total - 0.01) * 100) / 100
    if share < _LEAST_SHARE:
        return "Use a smaller or quantised model, or give it more gpus: what it misses is most of the GPU."
    return (
        f"Set options.gpu_memory_utilization of the model to {share:.2f}, where the weights fit; where they do not, use"
        " a smaller or quantised model, or give it more gpus."
    )
