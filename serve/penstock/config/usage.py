"""`accounts.usage`: what is kept of every request, for how long, and what happens where it cannot be kept."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from penstock.config.base import Section
from penstock.config.units import Duration, Size
from penstock.config.weights import AbsolutePath

DAY = 86400.0


class UsageSettings(Section):
    """What requests took: who, which model, how many tokens, how long. `penstock usage` adds it up."""

    enabled: bool | None = None
    """Whether it is kept. Default: where there is a store (`accounts.database`), which it needs."""

    flush: Duration = Field(default=1.0, gt=0, le=60)
    """Seconds between two writes to the store. Until then it is on disk."""

    buffer: Size = Field(default=256 * 2**20, ge=2**20)
    """Bytes on disk that a gateway keeps while the store is away; a request takes about 250, so the default is enough
    for a million of them."""

    when_full: Literal["refuse", "lose"] = "refuse"
    """What happens when they are full, or the disk does not take them. `refuse`: requests get 503, so that nobody uses
    what is not counted. `lose`: they are served, and `penstock_usage_lost_total` counts them."""

    keep_requests: Duration = Field(default=7 * DAY, ge=DAY)
    """How long each request is kept by itself. After that, the sums by hour and by day remain."""

    keep_hours: Duration = Field(default=90 * DAY, ge=DAY)
    """How long the sums by hour are kept. Those by day are kept for ever."""

    directory: AbsolutePath | None = None
    """Folder for what is on disk. It should outlive the gateway's process. Default: `usage` in Penstock's state
    folder."""
