"""The gateway's seam to the cluster: a source of leases on replicas of one model.

A lease is the permission to have one request in progress on a replica. With Ray it is `ray_leases`; tests and benches
use `StaticSource`, a list of addresses. Only `pool` takes leases.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Replica:
    """Where one engine listens, and what it asks of its callers."""

    id: str
    base_url: str
    """`http://10.0.0.3:41873`, without a path."""
    token: str = field(repr=False)


class Lease(Protocol):
    """The permission to have one request in progress on a replica."""

    @property
    def replica(self) -> Replica: ...


class LeaseSource(Protocol):
    """Leases on replicas of one model."""

    async def take(self) -> Lease:
        """A new lease. Costs a round trip; waits, for ever if need be, while no replica is there. When cancelled it
        holds nothing."""

    async def give_back(self, lease: Lease) -> None:
        """End a lease. Called once for each."""


@dataclass(slots=True, eq=False)
class StaticLease:
    replica: Replica


class StaticSource:
    """Leases on a fixed list of replicas, the least used one first, in turn among equals.

    Args:
        replicas: may be empty; `take` then waits for ever.
    """

    def __init__(self, replicas: Sequence[Replica]) -> None:
        self._in_use = dict.fromkeys(replicas, 0)

    @property
    def in_use(self) -> int:
        """Leases that are out."""
        return sum(self._in_use.values())

    async def take(self) -> StaticLease:
        if not self._in_use:
            await asyncio.Event().wait()
        replica = min(self._in_use, key=self._in_use.__getitem__)
        # The dict keeps the order of last use, which decides among equally used replicas.
        self._in_use[replica] = self._in_use.pop(replica) + 1
        return StaticLease(replica)

    async def give_back(self, lease: Lease) -> None:
        self._in_use[lease.replica] -= 1
