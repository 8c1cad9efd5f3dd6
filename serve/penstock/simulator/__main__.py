"""`python -m penstock.simulator`."""

from __future__ import annotations

import sys

from penstock.simulator import arguments, server

if __name__ == "__main__":
    sys.exit(server.run(arguments.parse()))
