"""`models.<name>.watchdog`: when an engine that serves counts as stuck and is replaced."""

from __future__ import annotations

from pydantic import Field

from penstock.config.base import Section
from penstock.config.units import Duration


class Watchdog(Section):
    """When an engine that accepts requests and gets nowhere is replaced."""

    enabled: bool = True
    """Whether it is watched. A crash is noticed in any case."""

    stall: Duration = Field(default=120.0, gt=0)
    """Replace the engine when it has requests and makes no progress (no token, no finished request, no change of its
    KV cache, no processor time of its workers) for so long, or when its HTTP server answers nothing for so long. A step
    of an engine takes seconds, and compiling for a shape that it has not seen shows as processor time, so two minutes
    are far from any healthy engine. An engine that computes without ever producing anything is replaced after
    `gateway.longestRequest`."""
