"""Keys over a gateway's `/admin/...`: the same as `service` does with the store itself, from anywhere. Used by
`penstock keys --url` and `penstock usage --url`.
"""

from __future__ import annotations

import json
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode

import aiohttp
from pydantic import BaseModel, ValidationError

from penstock.accounts.errors import NoSuchKeyError
from penstock.accounts.ledger.report import Question, UsageReport
from penstock.accounts.records import AuditEntry, KeyRecord, MadeKey, NewKey, NewLimits, Rotation
from penstock.errors import DocumentError, MachineError, PenstockError

_LIMIT: Final = aiohttp.ClientTimeout(total=30.0)
_LARGEST_WORD: Final = 300


Read = TypeVar("Read", bound=BaseModel)


class _KeyList(BaseModel):
    keys: list[KeyRecord]


class _Changes(BaseModel):
    changes: list[AuditEntry]


class RemoteKeys:
    """Belongs to one event loop. Who makes a change, the gateway knows by the admin's key: `actor` is not sent.

    Every call raises DocumentError where the gateway refuses it, and MachineError where it does not answer as one.

    Args:
        url: of a gateway, with or without `/v1` at its end.
        key: of an admin.
    """

    def __init__(self, url: str, key: str) -> None:
        self._url = url.rstrip("/").removesuffix("/v1")
        self._key = key

    async def create(self, new: NewKey, *, actor: str) -> MadeKey:  # noqa: ARG002
        """A new key."""
        return _read(MadeKey, await self._ask("POST", "keys", new))

    async def all_keys(self) -> list[KeyRecord]:
        """All keys, the listed ones too."""
        return _read(_KeyList, await self._ask("GET", "keys")).keys

    async def get(self, id_or_name: str) -> KeyRecord:
        """One key."""
        return _read(KeyRecord, await self._ask("GET", _path(id_or_name)))

    async def rotate(self, id_or_name: str, how: Rotation, *, actor: str) -> MadeKey:  # noqa: ARG002
        """Another secret for a key."""
        return _read(MadeKey, await self._ask("POST", f"{_path(id_or_name)}/rotate", how))

    async def limit(self, id_or_name: str, new: NewLimits, *, actor: str) -> KeyRecord:  # noqa: ARG002
        """Other limits for a key."""
        return _read(KeyRecord, await self._ask("POST", f"{_path(id_or_name)}/limits", new))

    async def disable(self, id_or_name: str, *, actor: str) -> KeyRecord:  # noqa: ARG002
        """Refuse a key from now on."""
        return _read(KeyRecord, await self._ask("POST", f"{_path(id_or_name)}/disable"))

    async def enable(self, id_or_name: str, *, actor: str) -> KeyRecord:  # noqa: ARG002
        """Take a disabled key again."""
        return _read(KeyRecord, await self._ask("POST", f"{_path(id_or_name)}/enable"))

    async def delete(self, id_or_name: str, *, actor: str) -> KeyRecord:  # noqa: ARG002
        """Forget a key."""
        return _read(KeyRecord, await self._ask("DELETE", _path(id_or_name)))

    async def changes(self, key_id: str | None = None, limit: int = 100) -> list[AuditEntry]:
        """The last changes, the latest first."""
        which = "" if key_id is None else f"&id={quote(key_id, safe='')}"
        return _read(_Changes, await self._ask("GET", f"audit?limit={limit}{which}")).changes

    async def usage(self, question: Question) -> UsageReport:
        """What requests took."""
        asked = question.model_dump(mode="json", exclude_none=True, exclude={"by"})
        query = urlencode({"by": ",".join(question.by), **asked})
        return _read(UsageReport, await self._ask("GET", f"usage?{query}"))

    async def _ask(self, method: str, path: str, body: BaseModel | None = None) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {self._key}", "content-type": "application/json"}
        data = None if body is None else body.model_dump_json(by_alias=True)
        try:
            async with (
                # A key is not sent on to wherever an answer points.
                aiohttp.ClientSession(timeout=_LIMIT, trust_env=True) as session,
                session.request(
                    method, f"{self._url}/admin/{path}", data=data, headers=headers, allow_redirects=False
                ) as response,
            ):
                status, text = response.status, await response.text(errors="replace")
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise MachineError(
                f"{self._url} does not answer: {str(error) or type(error).__name__}.",
                remedy="Look whether the address is right and can be reached from here.",
            ) from None
        try:
            answer = json.loads(text)
            if status < 300 and isinstance(answer, dict):
                return answer
            said = str(answer["error"]["message"])
        except (ValueError, KeyError, TypeError):
            raise MachineError(
                f"{self._url}/admin answers {status}, and not as Penstock does.",
                remedy="--url is the address of the gateways, for example http://localhost:8000.",
            ) from None
        raise _refusal(status, said[:_LARGEST_WORD])


def _read(model: type[Read], answer: dict[str, Any]) -> Read:
    try:
        return model.model_validate(answer)
    except ValidationError:
        raise MachineError(
            "The gateway answers what this penstock does not understand.",
            remedy="Use the version that the gateway has.",
        ) from None


def _path(id_or_name: str) -> str:
    return f"keys/{quote(id_or_name, safe='')}"


def _refusal(status: int, said: str) -> PenstockError:
    if status == 404:
        return NoSuchKeyError(said)
    if status in (401, 403):
        return DocumentError(said, remedy="--admin-key-env names the variable that holds an admin's key.")
    return DocumentError(said) if status < 500 and status != 429 else MachineError(said)
