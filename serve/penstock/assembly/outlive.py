"""Keeps the head of a Ray cluster until its other nodes have stopped: `python -m penstock.assembly.outlive SECONDS`.

Run by the chart's head pods before they stop. Where a whole cluster goes, all its pods are told to stop at once; the
replicas on them finish what they have, and Ray ends nodes that are without a head for a minute.
"""

from __future__ import annotations

import sys
import time

from ray._raylet import GcsClient  # type: ignore[attr-defined]  # compiled, without types

ADDRESS = "127.0.0.1:6379"
QUIET = 10.0
"""Seconds in a row without a stopping node after which no further one is expected."""
_LOOK = 1.0


def main(limit: float) -> None:
    """Return when no node is stopping any more, or after `limit` seconds."""
    client = GcsClient(address=ADDRESS)
    now = time.monotonic()
    end, quiet_since = now + limit, now
    while now < end and now - quiet_since < QUIET:
        if client.get_draining_nodes(timeout=_LOOK):
            quiet_since = now
        time.sleep(_LOOK)
        now = time.monotonic()


if __name__ == "__main__":
    main(float(sys.argv[1]))
