"""The claims of a token whose signature is right → the account that it stands for. Pure; used by `oidc`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from penstock.accounts.account import Account
from penstock.accounts.errors import TokenClaimsError
from penstock.config.accounts import LONGEST_NAME
from penstock.config.grants import MOST_PATTERNS, Role, checked_pattern
from penstock.config.oidc import Oidc
from penstock.config.owners import checked_owner

_NEVER = 2**53
"""Seconds since the epoch that a float still tells apart from the next."""


def account_of(claims: Mapping[str, Any], settings: Oidc) -> Account:
    """The account.

    Raises TokenClaimsError where a claim that the document names is missing or says nothing that can be used: whoever
    named it wants it obeyed.
    """
    named = settings.claims
    return Account(
        id=_id(settings.issuer, str(claims["sub"])),
        name=_name(claims, named.name),
        owner=settings.owner if named.owner is None else _owner(claims, named.owner),
        models=tuple(settings.models) if named.models is None else _models(claims, named.models),
        roles=frozenset(settings.roles) if named.roles is None else _roles(claims, named.roles, settings.role_names),
        until=min(int(claims["exp"]), _NEVER) + settings.leeway,
    )


def claim(claims: Mapping[str, Any], name: str) -> Any:
    """The claim of a name, or at the path that the name is: `realm_access.roles`. None where there is none."""
    if name in claims:
        return claims[name]
    place: Any = claims
    for step in name.split("."):
        if not isinstance(place, Mapping) or step not in place:
            return None
        place = place[step]
    return place


def _id(issuer: str, subject: str) -> str:
    # The same for all tokens of one subject. A subject may be an address of mail, which has no place in every log.
    return "oidc:" + hashlib.sha256(f"{issuer}\0{subject}".encode()).hexdigest()[:24]


def _name(claims: Mapping[str, Any], name: str) -> str:
    found = claim(claims, name)
    text = "".join(letter for letter in found if letter.isprintable()).strip() if isinstance(found, str) else ""
    if not text:
        raise _missing(name, "a text")
    return text[:LONGEST_NAME]


def _owner(claims: Mapping[str, Any], name: str) -> str:
    found = _words(claims, name)
    if len(found) != 1:
        raise _missing(name, "one team")
    try:
        return checked_owner(found[0])
    except ValueError:
        raise _missing(name, "one team: 1 to 63 letters, digits and . _ @ / -") from None


def _models(claims: Mapping[str, Any], name: str) -> tuple[str, ...]:
    found = _words(claims, name, split=True)
    try:
        patterns = tuple(checked_pattern(pattern) for pattern in found)
    except ValueError:
        raise _missing(name, "patterns of models") from None
    if not 1 <= len(patterns) <= MOST_PATTERNS:
        raise _missing(name, f"1 to {MOST_PATTERNS} patterns of models")
    return patterns


def _roles(claims: Mapping[str, Any], name: str, meanings: Mapping[str, Role]) -> frozenset[Role]:
    roles = frozenset(meanings[word] for word in _words(claims, name, split=True) if word in meanings)
    if not roles:
        raise _missing(name, "a role that the document knows")
    return roles


def _words(claims: Mapping[str, Any], name: str, *, split: bool = False) -> list[str]:
    found = claim(claims, name)
    if isinstance(found, str):
        found = found.split() if split else [found]
    if not isinstance(found, list) or not all(isinstance(word, str) for word in found):
        raise _missing(name, "a text or a list of texts")
    return found


def _missing(name: str, wanted: str) -> TokenClaimsError:
    return TokenClaimsError(f"The token's claim {name!r} holds not what is needed here: {wanted}.")
