"""What goes wrong with keys, by what the caller must do.

Exception
├── RefusedKeyError            the key is none that may be used now; send another
├── TokenClaimsError           the token lacks a claim that the document names; have the issuer write it
├── TooManyUnknownKeysError    so many unknown keys came that this one was not looked up; send it again
└── PenstockError
    ├── DocumentError          change the command or the request
    │   ├── NoSuchKeyError     the key that is to be shown or changed does not exist
    │   ├── NameTakenError     another key has the name
    │   └── NotStoredError     the key stands in the document or a file, and is changed there
    └── MachineError
        ├── StoreError         the store cannot be reached, or is none of ours
        └── IssuerError        the issuer of tokens cannot be reached, or shows no keys

No message holds a key, a hash or a password.
"""

from __future__ import annotations

from penstock.errors import DocumentError, MachineError


class RefusedKeyError(Exception):
    """The key may not be used.

    Args:
        reason: `unknown`, `malformed`, `disabled` or `expired`; of tokens, what is wrong with them. For logs. Whoever
            sends a key is not told more than `malformed`.
        key_id: of the key, where there is one.
    """

    def __init__(self, reason: str, key_id: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.key_id = key_id


class TokenClaimsError(Exception):
    """The token is the issuer's, and lacks a claim that the document names, or it says nothing that can be used. The
    message names the claim, and not what it holds."""


class TooManyUnknownKeysError(Exception):
    """The key is not known here, and so many such came that it was not looked up."""


class NoSuchKeyError(DocumentError):
    """There is no such key."""


class NameTakenError(DocumentError):
    """Another key has the name."""


class NotStoredError(DocumentError):
    """The key is none of the store's."""


class StoreError(MachineError):
    """The store cannot be reached, or is none of ours. The message names it, without user and password."""


class IssuerError(MachineError):
    """The issuer of tokens cannot be reached, or shows no keys. The message names it."""
