"""Keys, usage and models over HTTP: `/admin/...`, for keys with the role admin. Used by `app`."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs, unquote

import orjson

from penstock.accounts.account import Account
from penstock.accounts.errors import NameTakenError, NoSuchKeyError, NotStoredError, StoreError
from penstock.accounts.opening import OpenAccounts
from penstock.accounts.service import KeyService
from penstock.config.addresses import is_loopback
from penstock.gateway.admin_openapi import openapi
from penstock.gateway.admin_operations import OPERATIONS, Operation, Request
from penstock.gateway.call import Call
from penstock.gateway.errors import (
    BadRequestError,
    ConflictError,
    MethodNotAllowedError,
    NotFoundError,
    UnavailableError,
)
from penstock.gateway.headers import Header, first
from penstock.gateway.models_desk import ModelsDesk

PREFIX: Final = "/admin/"
ALLOW: Final = b"GET, POST, DELETE, OPTIONS"
LARGEST_BODY: Final = 2**16

_JSON: Final[list[Header]] = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]


async def administer(call: Call, accounts: OpenAccounts | None, account: Account, desk: ModelsDesk) -> None:
    """Answer a request for `/admin/...` of an account that has the role. Raises GatewayError.

    Args:
        accounts: None where there are no keys: then there are models alone, for whoever `is_local`.
    """
    segments = call.raw_path.decode("latin-1").strip("/").split("/")[1:]
    if accounts is None and segments[:1] != ["models"]:
        raise no_keys()
    if segments == ["openapi.json"]:
        if call.method != "GET":
            raise MethodNotAllowedError(f"This path is called with GET, not with {call.method}.", allow="GET, OPTIONS")
        await call.respond(200, _JSON, orjson.dumps(openapi()))
        return
    operation, key_id = _operation(segments, call.method)
    body = await call.read_body(LARGEST_BODY)
    try:
        query = parse_qs(call.query.decode("latin-1"), keep_blank_values=True, max_num_fields=100)
    except ValueError:
        raise BadRequestError("The query has too many parameters.") from None
    try:
        usage = accounts.usage if accounts is not None else None
        request = Request(key_id, body, query, f"key:{account.id}", usage, desk)
        made = await operation.run(accounts.service if accounts is not None else KeyService(None), request)
    except NoSuchKeyError as error:
        raise NotFoundError(error.message, code="key_not_found") from None
    except NameTakenError as error:
        raise ConflictError(str(error), code="name_taken", param="name") from None
    except NotStoredError as error:
        raise ConflictError(str(error), code="not_stored") from None
    except StoreError:
        raise UnavailableError(
            "The store of keys cannot be reached; the gateway's log says why. Try again later.",
            code="store_unavailable",
            layer="accounts",
            retry_after=2.0,
        ) from None
    await call.respond(operation.status, _JSON, made.model_dump_json().encode())


def no_keys() -> NotFoundError:
    """What to say where there is nothing to administer."""
    return NotFoundError(
        "There are no keys here: this address is open to everybody who reaches it. The document's `accounts` changes"
        " that.",
        code="accounts_off",
    )


def is_local(headers: list[Header], host: str) -> bool:
    """Whether a request without a key is by a person at this machine: the gateway listens to this machine alone, and no
    page of a stranger sends it, be it under a name of its own that leads here.

    Args:
        host: what the gateway listens on.
    """
    asked = (first(headers, b"host") or b"").decode("latin-1").lower()
    origin = first(headers, b"origin")
    if origin is not None and origin.decode("latin-1").lower().partition("://")[2] != asked:
        return False
    name = asked.partition("]")[0].lstrip("[") if asked.startswith("[") else asked.partition(":")[0]
    return is_loopback(host) and is_loopback(name)


def _operation(segments: list[str], method: str) -> tuple[Operation, str]:
    here = [found for operation in OPERATIONS if (found := _match(operation, segments)) is not None]
    if not here:
        raise NotFoundError(
            "There is no such path under /admin. GET /admin/openapi.json describes those that there are.",
            code="unknown_url",
        )
    for operation, key_id in here:
        if operation.method == method:
            return operation, key_id
    allow = ", ".join(operation.method for operation, _ in here)
    raise MethodNotAllowedError(f"This path is called with {allow}, not with {method}.", allow=f"{allow}, OPTIONS")


def _match(operation: Operation, segments: list[str]) -> tuple[Operation, str] | None:
    wanted = operation.path.split("/")
    if len(wanted) != len(segments):
        return None
    key_id = ""
    for pattern, segment in zip(wanted, segments, strict=True):
        if pattern == "{id}":
            key_id = unquote(segment, errors="replace")
        elif pattern != segment:
            return None
    return operation, key_id
