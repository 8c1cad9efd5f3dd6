"""Pods and other objects that the cluster does not even take: quotas, limits, Pod Security, webhooks."""

from __future__ import annotations

import re
from collections.abc import Iterator

from penstock.doctor.cluster.facts import ClusterFacts, Event, Release
from penstock.doctor.findings import Finding, problem

FRESH = 600.0
"""Seconds that an event counts for the present. Kubernetes passes on a repeated one every five minutes at least."""

_KINDS = (
    (
        re.compile(r"exceeded quota: (?P<what>[^\s,]+)"),
        "A ResourceQuota ({what}) of the namespace",
        "Raise the quota, or ask for less: kubectl --namespace {namespace} describe resourcequota",
    ),
    (
        re.compile(r"violates PodSecurity (?P<what>\"[^\"]+\"|\S+)"),
        "Pod Security ({what})",
        (
            "The chart's own pods fit the restricted profile: take back what the values add (such as modelCache.type"
            " hostPath), or label the namespace for another profile."
        ),
    ),
    (
        re.compile(r"admission webhook (?P<what>\"[^\"]+\"|\S+)"),
        "The admission webhook {what}",
        "Change what it asks for in the values (labels, annotations, image registries), or ask who runs it.",
    ),
    (
        re.compile(r"(?P<what>(?:maximum|minimum) \S+ (?:usage|limit)|limit to request ratio)"),
        "A LimitRange ({what}) of the namespace",
        "Change the requests and limits in the values: kubectl --namespace {namespace} describe limitrange",
    ),
    (
        re.compile(r"service ?account (?P<what>\"[^\"]+\"|\S+)(?: was)? not found", re.IGNORECASE),
        "The service account {what} is missing, and Kubernetes",
        "Set serviceAccount.create, or name one that is there: kubectl --namespace {namespace} get serviceaccounts",
    ),
)
_ANY = (
    "Kubernetes",
    "Change in the values what it names; kubectl --namespace {namespace} get events shows more.",
)


def refusals(facts: ClusterFacts) -> Iterator[Finding]:
    """Each reason once, with what was said."""
    if facts.release is None:
        return
    told = set()
    for said in _said(facts, facts.release):
        layer, remedy = _layer(said)
        if (layer, remedy) not in told:
            told.add((layer, remedy))
            yield problem(
                "admission",
                f"{layer} refuses pods or objects of the release: {said.strip().rstrip('.')}.",
                remedy.format(namespace=facts.namespace),
            )


def specs(facts: ClusterFacts) -> Iterator[Finding]:
    """What KubeRay itself refuses."""
    told = set()
    for event in facts.events:
        if event.reason.startswith("Invalid") and is_recent(event, facts) and _is_ours(event, facts.release):
            if event.message not in told:
                yield problem(
                    "kuberay",
                    f"KubeRay refuses {event.kind} {event.name} ({event.reason}): {event.message.rstrip('.')}.",
                    "Correct the values; the chart and the operator may be of versions that do not fit.",
                )
            told.add(event.message)


def is_recent(event: Event, facts: ClusterFacts) -> bool:
    """Whether an event still says something of the present."""
    return facts.clock - event.last <= FRESH


def _said(facts: ClusterFacts, release: Release) -> Iterator[str]:
    for cluster in facts.clusters:
        for condition in cluster.conditions:
            if condition.type == "ReplicaFailure" and condition.status == "True" and condition.message:
                yield condition.message
    for event in facts.events:
        failed = event.reason.startswith(("FailedCreate", "FailedToCreate")) or event.reason.endswith("NotFound")
        if failed and event.message and is_recent(event, facts) and _is_ours(event, release):
            yield event.message


def _is_ours(event: Event, release: Release | None) -> bool:
    return release is not None and event.name.startswith(release.name)


def _layer(said: str) -> tuple[str, str]:
    for pattern, layer, remedy in _KINDS:
        if found := pattern.search(said):
            return layer.format(what=found["what"].strip('"')), remedy
    return _ANY
