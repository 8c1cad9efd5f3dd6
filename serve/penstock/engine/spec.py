"""What one engine replica is told: the part of the document that concerns it. Made by `assembly`, read by the replica.

Any change of it restarts the model's replicas, so it holds nothing that can change in place.
"""

from __future__ import annotations

from pydantic import Field

from penstock.config import Model, Weights
from penstock.config.base import Section
from penstock.config.logging import Logging

DEPLOYMENT = "engine"
"""Name of the deployment within a model's application."""


class EngineSpec(Section):
    """Arguments of a model's application."""

    name: str
    """The model's key in the document."""
    model: Model
    gpus: int = 0
    host: str | None = None
    """Address that the engine listens on; None for the node's own, which the gateways of other nodes reach."""
    weights: Weights = Field(default_factory=Weights)
    logging: Logging = Field(default_factory=Logging)
