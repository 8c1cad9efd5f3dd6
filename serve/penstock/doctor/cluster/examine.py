"""Facts of a cluster → findings, from the way there to what is served. Pure, and total: no facts make it raise."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from penstock.doctor.cluster.checks import admission, kuberay, pods, reaching, scheduling, serving, storage
from penstock.doctor.cluster.facts import ClusterFacts
from penstock.doctor.findings import Finding

Check = Callable[[ClusterFacts], Iterator[Finding]]

CHECKS: tuple[Check, ...] = (
    reaching.cluster,
    reaching.namespace,
    kuberay.definitions,
    kuberay.operator,
    reaching.release,
    kuberay.rayservice,
    admission.specs,
    admission.refusals,
    storage.secrets,
    storage.claims,
    pods.head,
    scheduling.pending,
    scheduling.profiles,
    pods.pods,
    pods.removed,
    serving.applications,
    serving.service,
    serving.ingresses,
    reaching.unread,
)


def examine(facts: ClusterFacts) -> list[Finding]:
    """Everything that there is to say. Where the cluster cannot be reached, that alone."""
    if facts.trouble is not None:
        return list(reaching.cluster(facts))
    findings = [finding for check in CHECKS for finding in check(facts)]
    return [*findings, *serving.everything(facts, findings)]
