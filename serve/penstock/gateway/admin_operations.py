"""What can be done over `/admin/...`: the one table of what is answered and of what `/admin/openapi.json` says. Used by
`admin` and `admin_openapi`; what it does is `accounts.service`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from penstock.accounts.ledger.report import DIMENSIONS, Question, UsageReport
from penstock.accounts.records import AuditEntry, KeyRecord, MadeKey, NewKey, NewLimits, Rotation
from penstock.accounts.service import MOST_CHANGES, KeyService
from penstock.gateway.errors import BadRequestError, NotFoundError
from penstock.gateway.models_desk import LogEnd, ModelList, ModelsDesk, ModelView

if TYPE_CHECKING:
    from penstock.accounts.ledger.opening import OpenUsage

Asked = TypeVar("Asked", bound=BaseModel)


class KeyList(BaseModel):
    """All keys."""

    keys: list[KeyRecord]


class AuditLog(BaseModel):
    """Changes, the latest first."""

    changes: list[AuditEntry]


@dataclass(frozen=True, slots=True)
class Request:
    """What an operation is given."""

    key_id: str
    """Of the path, or the model's name; empty where the path has none."""
    body: bytes
    query: Mapping[str, list[str]]
    actor: str
    usage: OpenUsage | None = None
    """The ledger; None where there is none."""
    models: ModelsDesk | None = None
    """Whom to ask of models."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    method: str
    path: str
    """Below /admin/, with `{id}` for a key's id or a model's name."""
    summary: str
    run: Callable[[KeyService, Request], Awaitable[BaseModel]]
    answer: type[BaseModel]
    body: type[BaseModel] | None = None
    status: int = 200
    query: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    """Schemas of its parameters, by name."""


async def _list(service: KeyService, _: Request) -> KeyList:
    return KeyList(keys=await service.all_keys())


async def _create(service: KeyService, request: Request) -> MadeKey:
    return await service.create(_parsed(NewKey, request.body), actor=request.actor)


async def _get(service: KeyService, request: Request) -> KeyRecord:
    return await service.get(request.key_id)


async def _rotate(service: KeyService, request: Request) -> MadeKey:
    return await service.rotate(request.key_id, _parsed(Rotation, request.body or b"{}"), actor=request.actor)


async def _disable(service: KeyService, request: Request) -> KeyRecord:
    return await service.disable(request.key_id, actor=request.actor)


async def _enable(service: KeyService, request: Request) -> KeyRecord:
    return await service.enable(request.key_id, actor=request.actor)


async def _limit(service: KeyService, request: Request) -> KeyRecord:
    return await service.limit(request.key_id, _parsed(NewLimits, request.body), actor=request.actor)


async def _delete(service: KeyService, request: Request) -> KeyRecord:
    return await service.delete(request.key_id, actor=request.actor)


async def _audit(service: KeyService, request: Request) -> AuditLog:
    limit = request.query.get("limit", ["100"])[0]
    if not limit.isdecimal() or len(limit) > 6 or not 1 <= int(limit) <= MOST_CHANGES:
        raise BadRequestError(f"limit is a number from 1 to {MOST_CHANGES}.", param="limit")
    return AuditLog(changes=await service.changes(request.query.get("id", [None])[0], int(limit)))


async def _usage(_: KeyService, request: Request) -> UsageReport:
    if request.usage is None:
        raise NotFoundError(
            "Usage is not kept here. The document's accounts.usage and accounts.database change that.",
            code="usage_off",
        )
    given: dict[str, Any] = {name: values[-1] for name, values in request.query.items() if name in _USAGE_QUERY}
    if "by" in given:
        given["by"] = tuple(word for word in given["by"].split(",") if word)
    return await request.usage.report(_valid(Question, given))


async def _models(_: KeyService, request: Request) -> ModelList:
    return _desk(request).all()


async def _load_model(_: KeyService, request: Request) -> ModelView:
    return await _desk(request).load(request.key_id)


async def _unload_model(_: KeyService, request: Request) -> ModelView:
    return await _desk(request).unload(request.key_id)


async def _model_log(_: KeyService, request: Request) -> LogEnd:
    return await _desk(request).log(request.key_id)


def _desk(request: Request) -> ModelsDesk:
    assert request.models is not None
    return request.models


def _parsed(model: type[Asked], body: bytes) -> Asked:
    try:
        document: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadRequestError("The body is no JSON.", code="invalid_json") from None
    return _valid(model, document)


def _valid(model: type[Asked], document: Any) -> Asked:
    try:
        return model.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        param = ".".join(str(step) for step in first["loc"]) or None
        said = first["msg"].removeprefix("Value error, ")
        raise BadRequestError(f"{param or 'The body'}: {said}.", param=param) from None


_USAGE_QUERY: Final[dict[str, dict[str, Any]]] = {
    "by": {
        "type": "string",
        "default": "team,model",
        "description": f"What to tell apart: some of {', '.join(DIMENSIONS)}, separated by commas.",
    },
    "since": {"type": "string", "format": "date-time", "description": "Default: the last 30 days."},
    "until": {"type": "string", "format": "date-time"},
    **{name: {"type": "string"} for name in ("key", "team", "model")},
}

OPERATIONS: Final = (
    Operation("GET", "keys", "All keys, without the keys themselves.", _list, KeyList),
    Operation("POST", "keys", "Make a key. The answer is the only one that shows it.", _create, MadeKey, NewKey, 201),
    Operation("GET", "keys/{id}", "One key.", _get, KeyRecord),
    Operation("DELETE", "keys/{id}", "Forget a key. It is refused from now on.", _delete, KeyRecord),
    Operation(
        "POST",
        "keys/{id}/rotate",
        "Make another secret for a key; the old one goes on for the overlap. The answer is the only one that shows it.",
        _rotate,
        MadeKey,
        Rotation,
    ),
    Operation("POST", "keys/{id}/limits", "Give a key other limits.", _limit, KeyRecord, NewLimits),
    Operation("POST", "keys/{id}/disable", "Refuse a key from now on.", _disable, KeyRecord),
    Operation("POST", "keys/{id}/enable", "Take a disabled key again.", _enable, KeyRecord),
    Operation("GET", "models", "All models, their replicas, and why one failed last.", _models, ModelList),
    Operation(
        "POST",
        "models/{id}/load",
        "Have a replica of a model started, where there is none. It is not waited for.",
        _load_model,
        ModelView,
        status=202,
    ),
    Operation(
        "POST",
        "models/{id}/unload",
        "Have the replicas of a model stop as soon as nobody uses them, where it may be without one.",
        _unload_model,
        ModelView,
        status=202,
    ),
    Operation("GET", "models/{id}/log", "The end of the log of a model's engine.", _model_log, LogEnd),
    Operation("GET", "usage", "What requests took.", _usage, UsageReport, query=_USAGE_QUERY),
    Operation(
        "GET",
        "audit",
        "The last changes, the latest first.",
        _audit,
        AuditLog,
        query={"id": {"type": "string"}, "limit": {"type": "integer", "minimum": 1, "maximum": MOST_CHANGES}},
    ),
)
