"""One gateway with a real simulator behind it for all tests of this folder."""

from __future__ import annotations

from support.doors import gateway, simulator_server

__all__ = ["gateway", "simulator_server"]
