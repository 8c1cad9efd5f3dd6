"""Asks an OpenID Connect issuer for its public keys over HTTP. Thin; used by `oidc`, and by `penstock doctor`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import aiohttp

from penstock.accounts.errors import IssuerError
from penstock.accounts.oidc_keys import Jwk
from penstock.config.oidc import Oidc

PATIENCE: Final = 5.0
"""Seconds that the issuer has to answer."""
LARGEST: Final = 2**20
MOST_KEYS: Final = 100

_DISCOVERY: Final = "/.well-known/openid-configuration"
_SYMMETRIC: Final = "oct"


async def fetch_keys(settings: Oidc) -> Sequence[Jwk]:
    """The keys that it signs with. Raises IssuerError."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE), trust_env=True) as session:
        address = settings.jwks or await _discovered(session, settings)
        document = await _get(session, address, settings.issuer)
    found = document.get("keys")
    keys = [key for key in found if _signs(key)] if isinstance(found, list) else []
    if not keys or len(keys) > MOST_KEYS:
        raise IssuerError(f"The issuer {settings.issuer} shows no keys to check signatures with at {address}.")
    return keys


async def _discovered(session: aiohttp.ClientSession, settings: Oidc) -> str:
    place = settings.issuer.rstrip("/") + _DISCOVERY
    document = await _get(session, place, settings.issuer)
    if document.get("issuer") != settings.issuer:
        raise IssuerError(
            f"{place} speaks for another issuer than {settings.issuer}.",
            remedy="Write accounts.oidc.issuer letter for letter as the page says it under issuer.",
        )
    address = document.get("jwks_uri")
    # Who listens in on a request for keys can answer it.
    schemes = ("https://",) if settings.issuer.startswith("https://") else ("https://", "http://")
    if not isinstance(address, str) or not address.startswith(schemes):
        raise IssuerError(f"{place} names no address of keys under jwks_uri that can be used.")
    return address


async def _get(session: aiohttp.ClientSession, address: str, issuer: str) -> dict[str, Any]:
    try:
        # Keys come from the address that is named, and from no other that it points to.
        async with session.get(address, allow_redirects=False) as response:
            if response.status != 200:
                raise IssuerError(f"The issuer {issuer} answers {response.status} at {address}.")
            body = await response.content.read(LARGEST + 1)
            while len(body) <= LARGEST and (more := await response.content.read(LARGEST + 1 - len(body))):
                body += more
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        said = str(error) or "it did not answer in time"
        raise IssuerError(
            f"The issuer {issuer} cannot be reached at {address}: {said}.",
            remedy="Look whether it runs, and whether the network lets gateways reach it.",
        ) from None
    try:
        document = json.loads(body) if len(body) <= LARGEST else None
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise IssuerError(f"The issuer {issuer} answers at {address} what cannot be read.")
    return document


def _signs(key: Any) -> bool:
    return isinstance(key, dict) and key.get("kty") not in (None, _SYMMETRIC) and key.get("use", "sig") == "sig"
