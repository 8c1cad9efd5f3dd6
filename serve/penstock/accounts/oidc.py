"""A bearer token → its account: its signature is checked with the issuer's keys, then its claims. Used by the gateway's
`authentication`.

Imported only where the document names an issuer. A token that was checked is remembered until it ends or the issuer's
keys change, so one that is in use costs a hash and a look-up, as a key does.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import jwt
import orjson
from jwt.utils import base64url_decode

from penstock.accounts.account import Account
from penstock.accounts.errors import RefusedKeyError
from penstock.accounts.oidc_claims import account_of
from penstock.accounts.oidc_issuer import fetch_keys
from penstock.accounts.oidc_keys import IssuerKeys, Jwk
from penstock.config.oidc import Oidc

LONGEST: Final = 2**14
"""Longer texts are no tokens of ours, and are not looked at."""
MOST_KNOWN: Final = 10_000

_REQUIRED: Final = ("exp", "iss", "aud", "sub")
_SECRET_PARTS: Final = frozenset(["d", "p", "q", "dp", "dq", "qi", "oth", "k"])
_REASONS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (jwt.ExpiredSignatureError, "expired"),
    (jwt.ImmatureSignatureError, "not valid yet"),
    (jwt.InvalidAudienceError, "audience"),
    (jwt.InvalidIssuerError, "issuer"),
    (jwt.MissingRequiredClaimError, "incomplete"),
    (jwt.InvalidSignatureError, "signature"),
)


class Tokens:
    """Belongs to one event loop.

    Args:
        settings: the document's `accounts.oidc`.
        outage: seconds for which known signing keys go on while the issuer does not answer.
        clock: monotonic seconds; for tests.
        wall: seconds since the epoch; for tests.
        fetch: asks the issuer for its keys; for tests.
    """

    def __init__(
        self,
        settings: Oidc,
        *,
        outage: float,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        fetch: Callable[[], Awaitable[Sequence[Jwk]]] | None = None,
    ) -> None:
        self._settings = settings
        self._wall = wall
        self._keys = IssuerKeys(
            fetch or (lambda: fetch_keys(settings)), refresh=settings.refresh, outage=outage, clock=clock
        )
        self._known: OrderedDict[bytes, tuple[Account, int]] = OrderedDict()

    async def open(self) -> None:
        """Fetch the issuer's keys. Raises IssuerError."""
        await self._keys.load()

    async def close(self) -> None:
        """Stop asking the issuer."""
        await self._keys.close()

    async def find(self, token: bytes) -> Account:
        """The account of a token.

        Raises:
            RefusedKeyError: it is none that may be used now; its `reason` says why.
            TokenClaimsError: it is right, and lacks a claim that the document names.
            IssuerError: it cannot be checked, since the issuer cannot be asked.
        """
        if len(token) > LONGEST:
            raise RefusedKeyError("malformed token")
        digest = hashlib.sha256(token).digest()
        await self._keys.check()
        known = self._known.get(digest)
        if known is not None and known[1] == self._keys.generation:
            account = known[0]
        else:
            account = await self._checked(token)
            self._remember(digest, account)
        if account.refusal_at(self._wall()) is not None:
            raise RefusedKeyError("expired", account.id)
        return account

    def _remember(self, digest: bytes, account: Account) -> None:
        self._known.pop(digest, None)
        self._known[digest] = (account, self._keys.generation)
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)

    async def _checked(self, token: bytes) -> Account:
        header = _header(token)
        algorithm, kid = header.get("alg"), header.get("kid")
        # From the document's list, never from the token: `none` and shared secrets are in no list.
        if algorithm not in self._settings.algorithms:
            raise RefusedKeyError("algorithm")
        # What a header calls critical must be understood, and we understand none.
        if "crit" in header or not (kid is None or isinstance(kid, str)):
            raise RefusedKeyError("malformed token")
        key = _public_key(await self._keys.find(kid), algorithm)
        return account_of(self._claims(token, key, algorithm), self._settings)

    def _claims(self, token: bytes, key: Any, algorithm: str) -> dict[str, Any]:
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=self._settings.audience,
                issuer=self._settings.issuer,
                leeway=self._settings.leeway,
                options={"require": list(_REQUIRED), "enforce_minimum_key_length": True},
            )
        except jwt.PyJWTError as error:
            reason = next((word for kind, word in _REASONS if isinstance(error, kind)), "malformed token")
            raise RefusedKeyError(reason) from None


def _header(token: bytes) -> dict[str, Any]:
    try:
        header = orjson.loads(base64url_decode(token.partition(b".")[0]))
    except ValueError:
        header = None
    if not isinstance(header, dict):
        raise RefusedKeyError("malformed token")
    return header


def _public_key(found: Jwk, algorithm: str) -> Any:
    """The key for an algorithm. Raises RefusedKeyError where it is meant for another."""
    if found.get("alg", algorithm) != algorithm:
        raise RefusedKeyError("algorithm")
    public = {name: value for name, value in found.items() if name not in _SECRET_PARTS}
    try:
        return jwt.PyJWK(public, algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError):
        raise RefusedKeyError("algorithm") from None
