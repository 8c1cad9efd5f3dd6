"""The table of routes: which paths there are, with which methods, and what becomes of them. Data and pure look-up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal
from urllib.parse import unquote

from penstock.config.suggest import nearest
from penstock.gateway.dialects.paths import AZURE, OLLAMA, SERVERLESS, Foreign, foreign
from penstock.gateway.errors import MethodNotAllowedError, NotFoundError


class Action(Enum):
    """What becomes of a request."""

    RELAY = "relay"
    MODELS = "models"
    MODEL = "model"
    HEALTH = "healthz"
    READY = "readyz"
    METRICS = "metrics"
    VERSION = "version"


OPEN_TO_ALL: Final = frozenset([Action.HEALTH, Action.READY, Action.METRICS, Action.VERSION])
"""What needs no key. Probes and Prometheus have none; a network policy says who else reaches the port."""

Body = Literal["json", "multipart"]
Dialect = Literal["openai", "anthropic"] | Foreign


@dataclass(frozen=True, slots=True)
class Route:
    """One path. `endpoint` is its name in metrics and logs, the same for a path's other spellings."""

    action: Action
    endpoint: str
    method: Literal["GET", "POST"] = "GET"
    body: Body = "json"
    dialect: Dialect = "openai"
    """Whose errors the path's clients read."""
    spellings: tuple[str, ...] = ()
    """All paths under which engines may offer the same."""

    @property
    def allow(self) -> str:
        return "GET, HEAD, OPTIONS" if self.method == "GET" else "POST, OPTIONS"


def _relayed(*paths: str, body: Body = "json", dialect: Dialect = "openai") -> dict[str, Route]:
    route = Route(Action.RELAY, paths[0], "POST", body, dialect, paths)
    return dict.fromkeys(paths, route)


ROUTES: Final[Mapping[str, Route]] = {
    **_relayed("/v1/chat/completions"),
    **_relayed("/v1/completions"),
    **_relayed("/v1/embeddings"),
    **_relayed("/v1/responses"),
    **_relayed("/v1/messages", dialect="anthropic"),
    **_relayed("/v1/messages/count_tokens", dialect="anthropic"),
    **_relayed("/v1/rerank", "/rerank", "/v2/rerank"),
    **_relayed("/v1/score", "/score"),
    **_relayed("/tokenize"),
    **_relayed("/detokenize"),
    **_relayed("/v1/audio/transcriptions", body="multipart"),
    **_relayed("/v1/audio/translations", body="multipart"),
    "/v1/models": Route(Action.MODELS, "/v1/models"),
    "/healthz": Route(Action.HEALTH, "/healthz"),
    "/readyz": Route(Action.READY, "/readyz"),
    "/metrics": Route(Action.METRICS, "/metrics"),
    "/version": Route(Action.VERSION, "/version"),
}

_MODEL_PREFIX = b"/v1/models/"
_MODEL = Route(Action.MODEL, "/v1/models/{id}")
_PATH_SHOWN = 200


def find_route(path: str) -> Route | None:
    """The route of a decoded path, or None. Trailing slashes do not matter."""
    route = ROUTES.get(path)
    if route is None and len(path) > 1:
        if path.endswith("/"):
            return find_route(path.rstrip("/") or "/")
        if path.startswith("/v1/models/"):
            return _MODEL
    return route


def check_method(route: Route, method: str) -> None:
    """Raises MethodNotAllowedError. HEAD goes where GET goes; OPTIONS is answered before."""
    if method == route.method or (method == "HEAD" and route.method == "GET"):
        return
    raise MethodNotAllowedError(
        f"{route.endpoint} is called with {route.method}, not with {method}.", allow=route.allow
    )


def unknown_path(path: str) -> NotFoundError:
    """What to say of a path that there is not."""
    shown = path if len(path) <= _PATH_SHOWN else f"{path[:_PATH_SHOWN]}…"
    candidates = [*ROUTES, "/v1/models/{id}", *AZURE, *SERVERLESS, *OLLAMA]
    hint = next((known for known in ROUTES if path and known == f"/v1{path}"), None) or nearest(path[:128], candidates)
    guess = f" Did you mean {hint}?" if hint else " The API is under /v1, for example /v1/chat/completions."
    return NotFoundError(f"There is no {shown!r} here.{guess}", code="unknown_url")


def model_id(raw_path: bytes) -> str:
    """The id in the path of `/v1/models/{id}`; it may hold slashes, encoded or not."""
    return unquote(raw_path.removeprefix(_MODEL_PREFIX).decode("latin-1"), errors="replace").rstrip("/")


def dialect_of(path: str) -> Dialect:
    """Whose errors a client of this path reads, also where the path is wrong."""
    return "anthropic" if path.startswith("/v1/messages") else foreign(path) or "openai"


def engine_path(route: Route, offered: frozenset[str], path: str) -> str | None:
    """The path to ask the engine for: the client's own if it is offered, else another spelling; None if none is.

    Args:
        offered: paths that the engine offers; empty where unknown.
        path: the client's, without trailing slashes.
    """
    if not offered or path in offered:
        return path if path in route.spellings else route.endpoint
    return next((spelling for spelling in route.spellings if spelling in offered), None)
