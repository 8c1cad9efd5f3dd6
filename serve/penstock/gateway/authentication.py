"""Who asks: from a request's header lines to an account, or to the answer that refuses it. Used by `app`.

What a client is told does not depend on whether a key exists: an unknown key, a disabled one and an expired one get the
same words. Which it was stands in the log, with the key's id.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from penstock.accounts.account import ANONYMOUS, Account
from penstock.accounts.errors import (
    IssuerError,
    RefusedKeyError,
    StoreError,
    TokenClaimsError,
    TooManyUnknownKeysError,
)
from penstock.accounts.opening import OpenAccounts
from penstock.accounts.secret import PREFIX
from penstock.config.grants import Role
from penstock.gateway.errors import (
    BadRequestError,
    BusyError,
    ForbiddenError,
    UnauthorizedError,
    UnavailableError,
)
from penstock.gateway.headers import Header

if TYPE_CHECKING:
    from penstock.accounts.oidc import Tokens

logger = logging.getLogger(__name__)

_KEY_HEADERS: Final = frozenset([b"x-api-key", b"api-key"])
_KEY_IN_QUERY: Final = re.compile(
    rb"(?:^|[&;?])\s*(?:(?:x[-_])?api[-_]?key|key|access[-_]?token|token|auth|authorization|subscription-key)\s*="
    rb"|psk_",
    re.IGNORECASE,
)
_OF_TOKENS: Final = {
    "malformed token": "it is none that can be read",
    "algorithm": "it is signed in a way that is not taken here",
    "unknown signer": "its issuer has no such key to sign with",
    "signature": "its signature is not its issuer's",
    "issuer": "it is another issuer's",
    "audience": "it is meant for another service",
    "incomplete": "it says not who it is for, by whom, for whom or until when",
    "not valid yet": "it is not valid yet",
    "expired": "it has expired",
}
"""What whoever sends a token is told. It tells nothing of others, as a word on a key would."""
_HOW = "Send it as `Authorization: Bearer psk_...`, or in the header x-api-key or api-key."


class Gate:
    """Lets requests in.

    Args:
        accounts: the sources of keys; the gate neither starts nor closes them.
    """

    def __init__(self, accounts: OpenAccounts) -> None:
        self._accounts = accounts
        self._open = not accounts.settings.asks_for_keys

    @property
    def missing(self) -> str:
        """Why this gateway cannot check every key yet; empty once it can."""
        return self._accounts.missing

    async def admit(self, headers: list[Header], query: bytes, role: Role) -> Account:
        """The account of a request's key.

        Args:
            role: what the request needs.

        Raises:
            UnauthorizedError: there is no key and no token, or it may not be used.
            ForbiddenError: the key has not this role, or the token lacks a claim.
            BadRequestError: there are two, or one in the query.
            BusyError: so many unknown keys come that this one was not looked up.
            UnavailableError: the key cannot be checked now.
        """
        if query:
            _refuse_key_in(query)
        key = key_of(headers)
        if key is None:
            account = self._nobody(role)
        elif self._accounts.tokens is not None and _looks_like_token(key):
            account = await self._bearer(self._accounts.tokens, key)
        else:
            account = await self._account(key, role)
        if role not in account.roles:
            raise ForbiddenError(f"This key has not the role {role}, which is needed here.", code="role_not_allowed")
        return account

    def _nobody(self, role: Role) -> Account:
        if self._open and role in ANONYMOUS.roles:
            return ANONYMOUS
        raise UnauthorizedError(f"No key was sent. {_HOW}")

    async def _account(self, key: bytes, role: Role) -> Account:
        try:
            return await self._accounts.directory.find(key)
        except RefusedKeyError as refusal:
            if self._open and refusal.reason == "malformed" and not key.startswith(PREFIX.encode()):
                # SDKs want some key, so clients of an open address send made-up words.
                return self._nobody(role)
            if refusal.reason == "unknown" and self.missing:
                raise self._unavailable(self.missing) from None
            raise _refused(refusal) from None
        except TooManyUnknownKeysError:
            raise BusyError(
                "So many unknown keys are tried at this gateway that this one was not looked up. Try again.",
                code="too_many_unknown_keys",
                layer="accounts",
                retry_after=1.0,
            ) from None
        except StoreError:
            raise self._unavailable(
                f"{self._accounts.unreachable} Keys that this gateway knows go on; this one it cannot check."
            ) from None

    async def _bearer(self, tokens: Tokens, token: bytes) -> Account:
        try:
            return await tokens.find(token)
        except RefusedKeyError as refusal:
            logger.info("token refused", extra={"fields": {"key": refusal.key_id, "reason": refusal.reason}})
            raise UnauthorizedError(f"The token is not valid: {_OF_TOKENS[refusal.reason]}.") from None
        except TokenClaimsError as error:
            raise ForbiddenError(f"{error} Ask whoever runs the issuer.", code="claim_missing") from None
        except IssuerError:
            raise self._unavailable(
                f"{self._accounts.issuer_unreachable} What its known keys have signed goes on; this it cannot check.",
                code="issuer_unavailable",
            ) from None

    @staticmethod
    def _unavailable(message: str, code: str = "store_unavailable") -> UnavailableError:
        return UnavailableError(f"{message} Try again later.", code=code, layer="accounts", retry_after=2.0)


def key_of(headers: list[Header]) -> bytes | None:
    """The key that header lines carry; None where there is none. Raises BadRequestError where there are two."""
    found: bytes | None = None
    for name, value in headers:
        if name == b"authorization":
            scheme, _, key = value.strip().partition(b" ")
            if scheme.lower() != b"bearer":
                # Another scheme is for somebody before us, such as an ingress that asks for a password.
                continue
            key = key.strip()
        elif name in _KEY_HEADERS:
            key = value.strip()
        else:
            continue
        if key and found is not None and key != found:
            raise BadRequestError(
                "The request carries two different keys. Send one, in one header: Authorization, x-api-key or api-key.",
                code="ambiguous_credentials",
            )
        found = key or found
    return found


def _looks_like_token(key: bytes) -> bool:
    """Whether it is to be read as a token of an issuer. Keys have no dots."""
    return key.count(b".") == 2


def _refuse_key_in(query: bytes) -> None:
    if _KEY_IN_QUERY.search(unquote_to_bytes(query)):
        raise BadRequestError(
            "The address holds a key. Addresses are written to the logs of everything on the way, so a key in one is no"
            f" secret any more, and it is not taken from there. Have it rotated. {_HOW}",
            code="key_in_query",
        )


def _refused(refusal: RefusedKeyError) -> UnauthorizedError:
    if refusal.reason == "malformed":
        return UnauthorizedError(
            f"The key is not valid: it is no whole key, so it was cut or mistyped. {_HOW}",
        )
    if refusal.key_id is not None:
        logger.info("key refused", extra={"fields": {"key": refusal.key_id, "reason": refusal.reason}})
    return UnauthorizedError("The key is not valid. Ask whoever runs this address for another.")
