"""KubeRay: its resource definitions, its operator, and what it says of the RayService."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.doctor.cluster.facts import ClusterFacts, Condition, Release
from penstock.doctor.findings import Finding, ok, problem, warning

_INSTALL = (
    "helm repo add kuberay https://ray-project.github.io/kuberay-helm, then"
    " helm install kuberay-operator kuberay/kuberay-operator --namespace kuberay-system --create-namespace"
)


def definitions(facts: ClusterFacts) -> Iterator[Finding]:
    """Whether the cluster knows what a RayService is."""
    if facts.knows_rayservice is False:
        yield problem("kuberay", "The cluster does not know RayService: KubeRay's CRDs are not installed.", _INSTALL)


def operator(facts: ClusterFacts) -> Iterator[Finding]:
    """Whether somebody acts on RayServices."""
    if facts.knows_rayservice is False or facts.operators is None:
        return
    available = [found for found in facts.operators if found.available > 0]
    if available:
        found = available[0]
        yield ok("kuberay", f"The operator runs: {found.image or found.name} in {found.namespace}.")
    elif facts.operators:
        found = facts.operators[0]
        place = f"deployment/{found.name} --namespace {found.namespace}"
        yield problem(
            "kuberay",
            f"KubeRay's operator {found.name} in {found.namespace} has no pod that is available: nobody acts on"
            " RayServices.",
            f"kubectl describe {place}; kubectl logs {place}",
        )
    else:
        yield problem("kuberay", "KubeRay's operator is not installed: nobody acts on RayServices.", _INSTALL)


def rayservice(facts: ClusterFacts) -> Iterator[Finding]:
    """What KubeRay says of the release."""
    seen = facts.release
    if seen is None:
        return
    look = f"kubectl --namespace {facts.namespace} describe rayservice {seen.name}"
    if not seen.conditions:
        yield problem(
            "rayservice", f"KubeRay has said nothing of {seen.name} yet.", f"See what its operator does. {look}"
        )
        return
    if seen.observed < seen.generation:
        yield warning(
            "rayservice",
            f"KubeRay has acted on revision {seen.observed} of {seen.name}, and there is {seen.generation}.",
            f"Wait a moment; if it stays, see what the operator does. {look}",
        )
    yield from _ready(seen, look)
    switching = _condition(seen, "UpgradeInProgress")
    if switching is not None and switching.status == "True":
        yield warning(
            "rayservice",
            f"A new Ray cluster{f' ({seen.pending})' if seen.pending else ''} is to take over, and needs as many"
            " nodes again until it does.",
            "Wait; if it stays, the findings on pods say what it waits for.",
        )


def _ready(seen: Release, look: str) -> Iterator[Finding]:
    ready = _condition(seen, "Ready")
    if ready is not None and ready.status == "True":
        yield ok("rayservice", f"{seen.name} is Ready.")
        return
    said = _said(ready) if ready is not None else "it has no condition Ready"
    if ready is not None and ready.reason == "Initializing":
        yield warning(
            "rayservice",
            f"{seen.name} is not Ready: {said}.",
            "Wait; if it stays, the findings below say what it waits for.",
        )
    else:
        yield problem("rayservice", f"{seen.name} is not Ready: {said}.", f"See the findings below. {look}")


def _said(condition: Condition) -> str:
    parts = [part.strip().rstrip(".") for part in (condition.reason, condition.message)]
    return ": ".join(part for part in parts if part) or "no reason is given"


def _condition(seen: Release, kind: str) -> Condition | None:
    return next((condition for condition in seen.conditions if condition.type == kind), None)
