"""What administrators ask of a model's scaling, pinned to the board by gateways and read by Serve's controller.

Written through `gateway.models_desk`, read by `scaling.rest`. Ray's store is in `kv`.
"""

from __future__ import annotations

from typing import Protocol


class Wishes(Protocol):
    """Calls block for a round trip at most; call them off the event loop."""

    def ask_for_rest(self, model: str) -> None:
        """Have a model stop its replicas as soon as nobody uses them, instead of waiting for the usual time."""

    def rest(self, model: str) -> str:
        """The mark of the last such wish, another one for each; empty where there was none."""
