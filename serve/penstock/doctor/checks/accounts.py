"""Who may use the address, and whether that can be found out."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.config.accounts import Accounts
from penstock.config.addresses import is_loopback
from penstock.doctor.facts import Facts, KeySource
from penstock.doctor.findings import Finding, ok, problem, skipped, warning

_ASK = "Ask for keys: accounts.anonymous: false, and penstock keys create NAME"
_REMEDIES = {
    "file": "Check accounts.keysFile, and whether this user may read the file",
    "store": "Look whether it runs, and whether its address, user and password are right: accounts.database",
    "issuer": "Check accounts.oidc.issuer, and whether it can be reached from here",
    "counters": "Look whether it runs, and whether its address and password are right: accounts.limits.redis",
}


def open_to_all(facts: Facts) -> Iterator[Finding]:
    """Whether the address is open, and to whom."""
    if facts.document is None:
        return
    accounts, host = facts.document.accounts, facts.document.gateway.host
    if accounts.asks_for_keys:
        if _nobody_has_one(accounts, facts):
            yield warning("keys", "Every request needs a key, and there is none yet.", "penstock keys create NAME")
        else:
            yield ok("keys", "Every request needs a key.")
    elif is_loopback(host):
        yield ok("keys", f"No key is needed at {host}, which this machine alone reaches.")
    elif accounts.anonymous:
        yield warning("keys", f"Everybody who reaches {host} may use every model: accounts.anonymous.", _ASK)
    else:
        yield problem(
            "keys", f"gateway.host is {host}, which other machines reach, and nothing says who may use it.", _ASK
        )


def sources(facts: Facts) -> Iterator[Finding]:
    """The file, the store, the issuer and the Redis that the document names."""
    if facts.document is None:
        return
    accounts = facts.document.accounts
    seen: dict[str, KeySource] = {source.kind: source for source in facts.key_sources}
    named = {
        "file": accounts.keys_file,
        "store": accounts.store,
        "issuer": accounts.oidc,
        "counters": accounts.limits.redis,
    }
    subjects = {"file": "file of keys", "store": "store of keys", "issuer": "issuer of tokens", "counters": "limits"}
    for kind, place in named.items():
        if place is None:
            continue
        found = seen.get(kind)
        yield skipped(subjects[kind], "It was not looked at.") if found is None else _source(subjects[kind], found)


def counted(facts: Facts) -> Iterator[Finding]:
    """Whether several gateways count together."""
    if facts.document is None:
        return
    limits, gateways = facts.document.accounts.limits, facts.document.gateway.replicas
    keys = facts.document.accounts.keys.values()
    is_limited = not limits.is_empty or any(key.limits is not None and not key.limits.is_empty for key in keys)
    if is_limited and limits.redis is None and gateways > 1:
        yield warning(
            "limits",
            f"Each of the {gateways} gateways counts for itself, so up to {gateways} times as much passes.",
            "Name a Redis that they count in together: accounts.limits.redis",
        )


def listed(facts: Facts) -> Iterator[Finding]:
    """Keys of the document that nobody can use any more."""
    if facts.document is None:
        return
    for name, key in facts.document.accounts.keys.items():
        if key.expires is not None and key.expires.timestamp() <= facts.clock:
            when = f"{key.expires:%Y-%m-%d}"
            yield warning("keys", f"The listed key {name!r} expired on {when}.", f"Take accounts.keys.{name} away.")


def _source(subject: str, source: KeySource) -> Finding:
    if source.error:
        return problem(subject, source.error, source.remedy or _REMEDIES[source.kind])
    if source.kind == "file":
        return ok(subject, f"{source.name} lists {_count(source.keys)}.")
    if source.kind == "counters":
        return ok(subject, "The Redis that they are counted in answers.")
    if source.kind == "issuer":
        return ok(subject, f"{source.name} answers, and signs with {_count(source.keys)}.")
    return _store(subject, source)


def _store(subject: str, source: KeySource) -> Finding:
    if source.tables == "newer":
        return problem(
            subject,
            f"The tables in {source.name} are those of a newer Penstock.",
            "Use the version of Penstock that last used this store, or a newer one",
        )
    if source.tables == "none":
        return ok(subject, f"{source.name} has no tables yet; the first start makes them.")
    if source.tables == "older":
        return ok(subject, f"{source.name} holds {_count(source.keys)}; the next start brings its tables up to date.")
    return ok(subject, f"{source.name} holds {_count(source.keys)}.")


def _nobody_has_one(accounts: Accounts, facts: Facts) -> bool:
    """Whether it is sure: a place that was not looked at may hold keys."""
    if accounts.keys or accounts.oidc is not None:
        return False
    named = sum(place is not None for place in (accounts.keys_file, accounts.store))
    looked_at = [source for source in facts.key_sources if source.kind in ("file", "store")]
    empty = sum(not source.keys and not source.error for source in looked_at)
    return named == empty == len(looked_at)


def _count(number: int | None) -> str:
    return "keys" if number is None else f"{number} key{'' if number == 1 else 's'}"
