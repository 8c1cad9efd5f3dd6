"""Who asks: from a request's header lines to an account, or to the answer that refuses it. Used by `app`.

What a client is told does not depend on whether a key exists: an unknown key, a disabled one and an expired one get the
same words. Which it was stands in the log, with the key's id.
"""

from __future__ import annotations

import logging
import re
from typing import Final
from urllib.parse import unquote_to_bytes

from penstock.accounts.account import ANONYMOUS, Account
from penstock.accounts.errors import RefusedKeyError, StoreError, TooManyUnknownKeysError
from penstock.accounts.opening import OpenAccounts
from penstock.accounts.secret import PREFIX
from penstock.config.accounts import Role
from penstock.gateway.errors import (
    BadRequestError,
    BusyError,
    ForbiddenError,
    UnauthorizedError,
    UnavailableError,
)
from penstock.gateway.headers import Header

logger = logging.getLogger(__name__)

_KEY_HEADERS: Final = frozenset([b"x-api-key", b"api-key"])
_KEY_IN_QUERY: Final = re.compile(
    rb"(?:^|[&;?])\s*(?:(?:x[-_])?api[-_]?key|key|access[-_]?token|token|auth|authorization|subscription-key)\s*="
    rb"|psk_",
    re.IGNORECASE,
)
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
            UnauthorizedError: there is no key, or it may not be used.
            ForbiddenError: the key has not this role.
            BadRequestError: there are two, or one in the query.
            BusyError: so many unknown keys come that this one was not looked up.
            UnavailableError: the key cannot be checked now.
        """
        if query:
            _refuse_key_in(query)
        key = key_of(headers)
        if key is None:
            account = self._nobody(role)
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

    @staticmethod
    def _unavailable(message: str) -> UnavailableError:
        return UnavailableError(
            f"{message} Try again later.", code="store_unavailable", layer="accounts", retry_after=2.0
        )


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
