"""`models.*.rollout`: how replicas are replaced when a change restarts them."""

from __future__ import annotations

from typing import Literal

from penstock.config.base import Section


class Rollout(Section):
    """How replicas are replaced when a change restarts them, such as another option of the engine."""

    surge: Literal["auto", "always", "never"] = "auto"
    """Whether new replicas start before old ones stop. `always`: a quarter of them at a time, at least one. They need a
    place beside the old ones, which go on as they were until there is one. `never`: as many old ones first leave and
    finish what they have, and requests are held if none is left. `auto`: on a cluster as `always` where
    `cluster.engine.maxPods` leaves room for it, on one machine for the simulator alone, because two engines' memory may
    be more than there is."""
