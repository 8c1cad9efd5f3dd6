"""Whether the cluster, the namespace and the release are there at all, and what could not be read."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.doctor.cluster.facts import ClusterFacts, Trouble
from penstock.doctor.cluster.quantities import listing
from penstock.doctor.findings import Finding, ok, problem, warning


def cluster(facts: ClusterFacts) -> Iterator[Finding]:
    """The way to the cluster."""
    why = facts.error.rstrip(".") or "nothing more was said"
    match facts.trouble:
        case None:
            version = f", Kubernetes {facts.version}" if facts.version else ""
            yield ok("cluster", f"Context {facts.context} answers at {facts.server}{version}.")
        case Trouble.KUBECONFIG:
            known = f" Contexts: {listing(facts.contexts)}." if facts.contexts else ""
            yield problem(
                "cluster",
                f"The kubeconfig gives no way to the context {facts.context!r}: {why}.{known}",
                "kubectl config get-contexts lists them; KUBECONFIG names another file.",
            )
        case Trouble.UNREACHABLE:
            yield problem(
                "cluster",
                f"The cluster of the context {facts.context} does not answer at {facts.server}: {why}.",
                f"Check the network, a VPN or a proxy: kubectl --context {facts.context} version",
            )
        case Trouble.UNAUTHORIZED:
            yield problem(
                "cluster",
                f"The cluster at {facts.server} does not let you in: {why}.",
                f"Log in anew, and check: kubectl --context {facts.context} auth whoami",
            )


def namespace(facts: ClusterFacts) -> Iterator[Finding]:
    """The namespace."""
    if facts.namespace_exists is False:
        yield problem(
            "namespace",
            f"The cluster has no namespace {facts.namespace!r}.",
            "Name the release's with -n; helm list --all-namespaces shows where releases are.",
        )


def release(facts: ClusterFacts) -> Iterator[Finding]:
    """Which release is looked at."""
    if facts.release is not None or facts.namespace_exists is False:
        return
    there = listing(facts.releases)
    if facts.wanted:
        found = f"There is no release {facts.wanted!r} of Penstock in the namespace {facts.namespace}"
        yield problem(
            "release",
            f"{found}; there {'is' if len(facts.releases) == 1 else 'are'} {there}." if there else f"{found}.",
            "helm list --all-namespaces shows where releases are; install one: helm install NAME deploy/helm/penstock",
        )
    elif there:
        yield problem(
            "release", f"The namespace {facts.namespace} has several releases: {there}.", "Name one with --release."
        )
    else:
        yield problem(
            "release",
            f"There is no release of Penstock in the namespace {facts.namespace}.",
            "Name its namespace with -n, or install one: helm install NAME deploy/helm/penstock",
        )


def unread(facts: ClusterFacts) -> Iterator[Finding]:
    """What you may not see, so that silence about it is not taken for health."""
    for what in facts.unread:
        yield warning(
            "rights",
            f"You may not read {what.what}, so nothing is said about them: {what.why.rstrip('.')}.",
            "Ask somebody who may, or for a role that lists them.",
        )
