"""Where weights come from, and what of them is here already."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.config.units import format_bytes
from penstock.doctor.facts import Facts, Host, Weights
from penstock.doctor.findings import Finding, ok, problem, skipped, warning


def hosts(facts: Facts) -> Iterator[Finding]:
    """Whether the hub, or another service, answers at all."""
    for host in facts.hosts:
        if not host.error:
            yield ok("network", f"{host.url} answers.")
        elif _all_cached(facts):
            yield warning("network", f"{host.url} does not answer ({host.error}); all weights are in the cache.", None)
        else:
            yield problem("network", f"{host.url} does not answer: {host.error}.", _network_remedy(host))


def weights(facts: Facts) -> Iterator[Finding]:
    """Each model's weights."""
    if facts.document is None:
        return
    found = {seen.model: seen for seen in facts.weights}
    for name, model in facts.document.models.items():
        subject = f"weights of {name}"
        if model.engine == "simulator":
            yield skipped(subject, "The simulator needs none.")
        elif name in found:
            yield _weights(subject, found[name], facts)
        else:
            yield skipped(subject, f"{model.source} was not looked at.")


def _weights(subject: str, seen: Weights, facts: Facts) -> Finding:
    if not seen.error:
        size = f"{format_bytes(seen.download)} in {seen.files} file{'' if seen.files == 1 else 's'}"
        if seen.cached:
            return ok(subject, f"{seen.source} is here: {size}.")
        if facts.offline:
            return problem(
                subject, f"{seen.source} is not in the cache.", "Fetch it where there is a network: penstock pull"
            )
        return ok(subject, f"{seen.source} can be reached: {size}, not downloaded yet.")
    if seen.unreachable and seen.cached:
        return warning(subject, f"{seen.source} does not answer; the copy in the cache is whole.", None)
    return problem(subject, seen.error, seen.remedy or f"Check the source: models.{seen.model}.source")


def _all_cached(facts: Facts) -> bool:
    return bool(facts.weights) and all(seen.cached for seen in facts.weights)


def _network_remedy(host: Host) -> str:
    return f"Check the network, a proxy (HTTPS_PROXY) or the endpoint in the document: curl -I {host.url}"
