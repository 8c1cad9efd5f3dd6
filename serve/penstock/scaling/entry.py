"""What the rendered configuration names as the policy of a model, for Ray Serve to carry about.

Ray pickles it by value, with whatever of this module it refers to, and sends it with a model's configuration to every
gateway. A gateway that could not read it would learn of no replica any more. So it refers to nothing here: what it
needs is imported in Serve's controller, where alone it is used.
"""

from __future__ import annotations

from typing import Any


class ModelScaling:
    """Decides for one model; `adapter` does it."""

    def __init__(self, **settings: Any) -> None:
        """
        Args:
            settings: as `adapter.Scaler` takes them, from the `policy_kwargs` of the configuration.
        """
        from penstock.scaling.adapter import Scaler  # noqa: PLC0415

        self._scaler = Scaler(**settings)

    def __call__(self, context: Any) -> tuple[int, dict[str, Any]]:
        """Replicas wanted, and what Ray is to remember, which is nothing."""
        return self._scaler(context)
