"""Sizes and durations as people write them: `32Mi`, `10m`, `1h30m`. Used by every section of the document."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

LARGEST_SIZE = 2**63 - 1
LONGEST_DURATION = 3650 * 86400.0
"""Ten years. Timers of event loops overflow somewhere above."""

_SIZE_UNITS = {
    "": 1,
    "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12,
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40,
}  # fmt: skip
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) *(k|M|G|T|Ki|Mi|Gi|Ti)?B?")
_DURATION_UNITS = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600), "d": Decimal(86400)}
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?) *(ms|s|m|h|d)")
_DURATION = re.compile(rf"[0-9]+(?:\.[0-9]+)?|{_DURATION_PART.pattern}(?: *{_DURATION_PART.pattern})*")
_SIZE_FORMS = "write bytes as a number, or with a unit: 512Ki, 32Mi, 1.5Gi"
_DURATION_FORMS = "write seconds as a number, or with a unit: 250ms, 90s, 10m, 1h30m"


def parse_size(value: Any) -> int:
    """Bytes of `32Mi`, `1.5Gi`, `200M` or a plain number of bytes, rounded down to whole ones.

    Raises ValueError with the allowed forms.
    """
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"{_shown(value)} is no size; {_SIZE_FORMS}")
    if isinstance(value, int):
        size = value
    else:
        match = _SIZE.fullmatch(value.strip())
        if match is None:
            raise ValueError(f"{_shown(value)} is no size; {_SIZE_FORMS}")
        exact = Decimal(match[1]) * _SIZE_UNITS[match[2] or ""]
        # An int of a million digits takes minutes; the comparison takes none.
        size = int(exact) if exact <= LARGEST_SIZE else LARGEST_SIZE + 1
    if size < 0:
        raise ValueError(f"{_shown(value)} is negative; a size is at least 0")
    if size > LARGEST_SIZE:
        raise ValueError(f"{_shown(value)} is too large; a size is at most {LARGEST_SIZE} bytes")
    return size


def format_size(size: int) -> str:
    """The shortest exact writing of a size: 33554432 → `32Mi`."""
    for unit in ("Ti", "Gi", "Mi", "Ki"):
        if size and size % _SIZE_UNITS[unit] == 0:
            return f"{size // _SIZE_UNITS[unit]}{unit}"
    return str(size)


def format_bytes(size: float) -> str:
    """A size for people, rounded: 1288490188 → `1.2 GiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def parse_duration(value: Any) -> float:
    """Seconds of `250ms`, `90s`, `10m`, `1h30m` or a plain number. Raises ValueError with the allowed forms."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{_shown(value)} is no duration; {_DURATION_FORMS}")
    if isinstance(value, str):
        text = value.strip()
        if _DURATION.fullmatch(text) is None:
            raise ValueError(f"{_shown(value)} is no duration; {_DURATION_FORMS}")
        parts = _DURATION_PART.findall(text)
        seconds = sum((Decimal(number) * _DURATION_UNITS[unit] for number, unit in parts), Decimal(0))
        exact: Decimal | float = seconds if parts else Decimal(text)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value!r} is no duration; it is at least 0 and finite")
    else:
        exact = value
    if exact < 0:
        raise ValueError(f"{_shown(value)} is negative; a duration is at least 0")
    if exact > LONGEST_DURATION:
        raise ValueError(f"{_shown(value)} is too long; a duration is at most {format_duration(LONGEST_DURATION)}")
    return float(exact)


def format_duration(seconds: float) -> str:
    """The shortest exact writing of a duration: 600.0 → `10m`."""
    exact = Decimal(repr(float(seconds)))
    if not exact:
        return "0s"
    for unit in ("d", "h", "m", "s"):
        count = exact / _DURATION_UNITS[unit]
        if count == count.to_integral_value() and count * _DURATION_UNITS[unit] == exact:
            return f"{int(count)}{unit}"
    return f"{(exact * 1000).normalize():f}ms"


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else str(value) if isinstance(value, int | float) else "this"
    return text if len(text) <= 40 else f"{text[:36]}...{text[-1]}"


Size = Annotated[
    int,
    BeforeValidator(parse_size),
    PlainSerializer(format_size, return_type=str),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": LARGEST_SIZE},
                {"type": "string", "pattern": rf"^{_SIZE.pattern}$"},
            ]
        }
    ),
]
"""Bytes. Written with a unit in documents."""

Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": LONGEST_DURATION},
                {"type": "string", "pattern": rf"^(?:{_DURATION.pattern})$"},
            ]
        }
    ),
]
"""Seconds. Written with a unit in documents."""

Port = Annotated[int, Field(ge=1, le=65535)]
