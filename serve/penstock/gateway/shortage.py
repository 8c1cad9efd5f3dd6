"""Why a model has no replica where its hardware has no machine: facts of Ray's, and the sentences for a client. Pure.

`ray_shortages` reads the facts, `deployment` notes them while requests wait, `pool` puts the account into its errors.
On one machine no replica asks for a custom resource, and nothing is ever noted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from penstock.gateway.ray_names import hardware_of

_DOCTOR = "On the cluster, `penstock doctor --context` says what keeps it from a node."


@dataclass(frozen=True, slots=True)
class Shortage:
    """What Ray has for replicas of a model that wait for a place."""

    resource: str
    """The custom resource that they ask for."""
    autoscaled: bool = True
    """Whether Ray's autoscaler reports."""
    nodes: int = 0
    """Ray's nodes that have the resource. They are taken, or nobody would wait."""
    awaited: int = 0
    """Pods that Ray has asked Kubernetes for and that have not joined."""
    infeasible: bool = False
    """No worker group offers the resource."""
    failure: str = ""
    """Why the last pod that was asked for did not come."""
    asked_at: float | None = None
    """When Ray asked for the oldest of them, in seconds since the epoch, where it says."""


class Shortages:
    """What is known of all models, and since when."""

    def __init__(self) -> None:
        self._found: Mapping[str, Shortage] = {}
        self._awaited_since: dict[str, float] = {}

    def note(self, found: Mapping[str, Shortage], now: float) -> None:
        """Replace what was known.

        Args:
            found: by model; those for which nothing is missing are not in it.
            now: seconds since the epoch.
        """
        self._found = found
        # Ray forgets when it asked as soon as Kubernetes has made the pod, which may then wait for a node for hours.
        self._awaited_since = {
            model: min(now, shortage.asked_at or now, self._awaited_since.get(model, now))
            for model, shortage in found.items()
            if shortage.awaited
        }

    def account(self, model: str, now: float) -> str:
        """Whole sentences on what a model lacks; empty where nothing is known to be missing."""
        if (shortage := self._found.get(model)) is None:
            return ""
        return account(shortage, now - self._awaited_since.get(model, now))


def account(shortage: Shortage, awaited: float) -> str:
    """Which layer refuses, and what is missing.

    Args:
        awaited: seconds for which Ray has waited for a pod, at least.
    """
    hardware = hardware_of(shortage.resource)
    if not shortage.autoscaled:
        return (
            f"Its hardware {hardware} has no free node, and Ray's autoscaler, which asks Kubernetes for pods, does not"
            " report: its container in the head pod may be down."
        )
    if shortage.infeasible:
        return (
            f"No worker group of the Ray cluster offers its hardware ({shortage.resource}), so Ray asks Kubernetes for"
            " no pod: the model and the Ray cluster are of different values; helm upgrade brings them together."
        )
    lacks = f"Its hardware {hardware} has no node yet"
    if shortage.nodes:
        lacks = f"All {shortage.nodes} nodes of its hardware {hardware} are taken"
        if shortage.nodes == 1:
            lacks = f"The only node of its hardware {hardware} is taken"
    if shortage.awaited:
        return f"{lacks}; Ray has waited for a pod from Kubernetes for at least {max(awaited, 0):.0f} s. {_DOCTOR}"
    if shortage.failure:
        return (
            f"{lacks}; Ray asked Kubernetes for a pod and got none: {shortage.failure.strip().rstrip('.')}. {_DOCTOR}"
        )
    if shortage.nodes:
        return f"{lacks}, and Ray asks Kubernetes for no other: cluster.engine.maxPods may be reached."
    return f"{lacks}, and Ray has not asked Kubernetes for a pod. {_DOCTOR}"
