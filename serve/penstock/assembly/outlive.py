"""Keeps the head of a Ray cluster until its other nodes have stopped: `python -m penstock.assembly.outlive SECONDS`.

Run by the chart's head pods before they stop. Where a whole cluster goes, all its pods are told to stop at once; the
replicas on them finish what they have, and Ray ends nodes that are without a head for a minute.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

ADDRESS = "127.0.0.1:6379"
QUIET = 10.0
"""Seconds in a row without a stopping node after which no further one is expected."""
_LOOK = 1.0


def outlive(
    stopping: Callable[[], bool],
    limit: float,
    *,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Return when no node is stopping any more, or after `limit` seconds.

    Args:
        stopping: whether a node of the cluster is on its way out.
    """
    quiet_since = began = now()
    while now() - began < limit and now() - quiet_since < QUIET:
        if stopping():
            quiet_since = now()
        sleep(_LOOK)


def main(limit: float) -> None:
    """Ask the control store of this machine. Raises what Ray raises where there is none."""
    from ray._raylet import GcsClient  # type: ignore[attr-defined]  # noqa: PLC0415  # compiled; takes seconds to import

    client = GcsClient(address=ADDRESS)
    outlive(lambda: bool(client.get_draining_nodes(timeout=_LOOK)), limit)


if __name__ == "__main__":
    main(float(sys.argv[1]))
