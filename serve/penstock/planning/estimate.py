"""How large weights are by the name of their repository, where nobody can be asked. Pure; used by `plan`."""

from __future__ import annotations

import re

_SIZE = re.compile(r"(?<![a-z0-9.])(?:(\d{1,3})x)?(\d{1,4}(?:\.\d{1,3})?)([bm])(?![a-z0-9])", re.IGNORECASE)
_BYTES = (
    (re.compile(r"(awq|gptq|int4|w4a16|4bit|nf4|mxfp4|nvfp4|q4)", re.IGNORECASE), 0.6),
    (re.compile(r"(fp8|int8|w8a8|8bit|q8)", re.IGNORECASE), 1.05),
)
"""Bytes of a parameter by a word in the name, with what stays unquantised."""
_PLAIN = 2.0
"""bfloat16, as nearly everything is published."""


def size_by_name(name: str) -> int | None:
    """Bytes: `Qwen/Qwen3-8B` → 16 000 000 000. None where the name does not say."""
    found = _SIZE.findall(name.rpartition("/")[2])
    if not found:
        return None
    # The first one: what follows may be the part that is active (`30B-A3B`).
    experts, number, unit = found[0]
    parameters = float(number) * (1e9 if unit.lower() == "b" else 1e6) * int(experts or 1)
    each = next((size for word, size in _BYTES if word.search(name)), _PLAIN)
    return int(parameters * each) or None
