"""Whether the providers that the document names can be used. Never with their keys in a word."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.config.addresses import is_loopback
from penstock.config.providers import Provider
from penstock.doctor.facts import Facts, SeenProvider
from penstock.doctor.findings import Finding, ok, problem, skipped, warning


def providers(facts: Facts) -> Iterator[Finding]:
    """Each provider."""
    if facts.document is None:
        return
    seen = {provider.name: provider for provider in facts.providers}
    for name, provider in facts.document.providers.items():
        subject = f"provider {name}"
        if provider.key is not None and _is_open_to_listeners(provider):
            yield warning(
                subject,
                f"Its key goes to {provider.address} unencrypted, for everybody on the way to read.",
                f"Name an https:// address: providers.{name}.baseUrl",
            )
        found = seen.get(name)
        yield skipped(subject, "It was not looked at.") if found is None else _provider(subject, name, found, provider)


def _provider(subject: str, name: str, seen: SeenProvider, provider: Provider) -> Finding:
    if seen.key_error:
        return problem(
            subject,
            f"Its key cannot be read: {seen.key_error}.",
            f"Set it where the gateway runs: providers.{name}.key",
        )
    if seen.status is None and not seen.error:
        return skipped(subject, "Its key can be read; nobody was asked.")
    if seen.error:
        return problem(
            subject,
            f"{provider.address} does not answer: {seen.error.rstrip('.')}.",
            f"Check the network, the address (providers.{name}.baseUrl) and its certificate (caFile)",
        )
    assert seen.status is not None
    return _answered(subject, name, seen, seen.status, provider)


def _answered(subject: str, name: str, seen: SeenProvider, status: int, provider: Provider) -> Finding:
    if status in (401, 403):
        return problem(
            subject,
            f"{provider.address} does not accept its key ({status}).",
            f"Make another there, and put it where providers.{name}.key says",
        )
    if 300 <= status < 400:
        return problem(
            subject,
            f"{provider.address} sends elsewhere ({status}), and a key goes to no other address.",
            f"Name the address that it means: providers.{name}.baseUrl",
        )
    if status == 404:
        return warning(
            subject,
            f"{provider.address} answers, but lists no models (404).",
            f"If its models do not answer either, check the path: providers.{name}.baseUrl",
        )
    if status >= 400:
        return warning(subject, f"{provider.address} answers with {status} now.", "Try again later")
    unknown = [
        model.model or ours
        for ours, model in provider.models.items()
        if seen.models is not None and (model.model or ours) not in seen.models
    ]
    if unknown:
        return warning(
            subject,
            f"{provider.address} answers, and does not list {', '.join(unknown)}.",
            f"Check the names: providers.{name}.models. Some providers do not list everything that they serve",
        )
    return ok(subject, f"{provider.address} answers and accepts us.")


def _is_open_to_listeners(provider: Provider) -> bool:
    scheme, _, rest = provider.address.partition("://")
    host = rest.partition("/")[0].rpartition(":")[0] or rest.partition("/")[0]
    return scheme == "http" and not is_loopback(host.strip("[]"))
