"""Claims and Secrets that the release names."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.doctor.cluster.facts import Claim, ClusterFacts, Reference
from penstock.doctor.findings import Finding, ok, problem, skipped


def claims(facts: ClusterFacts) -> Iterator[Finding]:
    """Whether the claims that pods mount are there and bound."""
    if facts.release is None or facts.claims is None:
        return
    there = {claim.name: claim for claim in facts.claims}
    for named in facts.release.claims:
        subject = f"claim {named.name}"
        if named.name not in there:
            yield problem(
                subject,
                f"There is no PersistentVolumeClaim {named.name} in {facts.namespace}, and {named.used_by} mount it.",
                "Make it, or correct modelCache.existingClaim or the pvc:// source that names it.",
            )
        elif there[named.name].phase == "Bound":
            yield ok(subject, "It is bound.")
        else:
            yield _unbound(facts, subject, there[named.name])


def _unbound(facts: ClusterFacts, subject: str, claim: Claim) -> Finding:
    said = [event for event in facts.events if event.kind == "PersistentVolumeClaim" and event.name == claim.name]
    last = max(said, key=lambda event: event.last, default=None)
    state = f"It is {claim.phase}, with {claim.size or 'no size'} of {_class_of(claim)}"
    if (wrong := _wrong_class(facts, claim)) is not None:
        return problem(subject, f"{state}: {wrong[0]}.", wrong[1])
    if last is not None and last.reason == "WaitForFirstConsumer":
        return skipped(subject, f"{state}: it is bound when the first pod that mounts it has a node.")
    why = f": {last.message.rstrip('.')}" if last is not None and last.message else ""
    return problem(
        subject,
        f"{state}{why}.",
        f"kubectl --namespace {facts.namespace} describe pvc {claim.name}; the class must be able to give"
        " modelCache.accessModes.",
    )


def _class_of(claim: Claim) -> str:
    return f"the storage class {claim.storage_class}" if claim.storage_class else "the default storage class"


def _wrong_class(facts: ClusterFacts, claim: Claim) -> tuple[str, str] | None:
    if facts.storage_classes is None or claim.phase == "Lost":
        return None
    known = ", ".join(found.name for found in facts.storage_classes) or "none"
    if claim.storage_class is None and not any(found.default for found in facts.storage_classes):
        return (
            f"the cluster has no default storage class (there is {known})",
            "Name one in modelCache.storageClassName, or make one the default.",
        )
    if claim.storage_class and all(found.name != claim.storage_class for found in facts.storage_classes):
        # Volumes made by hand may carry a class that no object stands for.
        return (
            f"the cluster has no storage class {claim.storage_class} (there is {known}), and no volume of it is free",
            "Correct modelCache.storageClassName, or make a PersistentVolume of that class.",
        )
    return None


def secrets(facts: ClusterFacts) -> Iterator[Finding]:
    """Whether the Secrets that the values name are there. What is in them is not looked at."""
    if facts.release is None or facts.secrets is None or not facts.release.secrets:
        return
    missing = [named for named in facts.release.secrets if named.name not in facts.secrets]
    for named in missing:
        yield _missing(facts, named)
    if not missing:
        yield ok("secrets", f"All that are named are there: {', '.join(seen.name for seen in facts.release.secrets)}.")


def _missing(facts: ClusterFacts, named: Reference) -> Finding:
    used = f", which is for {named.used_by}" if named.used_by else ""
    return problem(
        f"secret {named.name}",
        f"There is no Secret {named.name} in {facts.namespace}{used}.",
        f"Make it: kubectl --namespace {facts.namespace} create secret generic {named.name} --from-literal=KEY=VALUE;"
        " or correct its name in the values.",
    )
