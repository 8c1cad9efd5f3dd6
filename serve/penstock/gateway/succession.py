"""When the gateways of a new Ray cluster take over from those of the one before. Pure; used by `deployment`.

An upgrade that needs new pods makes a second Ray cluster beside the first, and the chart's Service selects the ready
gateways of both. Those of the new one stand by, not ready, until its models have run: so long the old ones serve. Where
nobody serves there is nothing to wait for: requests are better held than refused.
"""

from __future__ import annotations

from collections.abc import Collection

MISSES = 3
"""Looks in a row that find nobody before it is believed."""


class Succession:
    """What one gateway has seen since it started. `note` once a second until it says yes."""

    def __init__(self) -> None:
        self._ran: set[str] = set()
        self._missed = 0

    def note(self, running: Collection[str], wanted: Collection[str], *, served: bool) -> bool:
        """Whether this gateway takes requests from now on. Never no after a yes: ask no more.

        Args:
            running: applications of this cluster that run now.
            wanted: applications of its models.
            served: whether a ready gateway answers at the Service, which cannot be this one.
        """
        self._ran.update(running)
        self._missed = 0 if served else self._missed + 1
        return self._ran.issuperset(wanted) or self._missed >= MISSES
