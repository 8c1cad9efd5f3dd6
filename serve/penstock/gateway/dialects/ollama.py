"""Ollama: its API for chats, texts, embeddings and models. Used by `dialects.table`.

What changes models (`/api/pull`, `/api/delete` and others) is not here: the document says which models there are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

import orjson

from penstock.gateway.catalog import Catalog
from penstock.gateway.dialects import ollama_requests as requests
from penstock.gateway.dialects.edge import Edge, Plan
from penstock.gateway.dialects.ollama_answers import Embeddings, Talk
from penstock.gateway.dialects.ollama_models import Card, Listing, Version
from penstock.gateway.errors import BadRequestError

_MODELS: Final = "/v1/models"


async def answer(edge: Edge) -> None:
    """Answer a request for `/api/...`."""
    path = edge.path
    if (look := _LOOKS.get(path)) is not None:
        await edge.forward(look())
    elif (usual := _POSTED.get(path)) is not None:
        await edge.translate(lambda document, _: plan_of(path, document, edge.gateway.catalog), usual=usual)
    else:
        await edge.refuse()


def plan_of(path: str, document: dict[str, Any], catalog: Catalog) -> Plan:
    """What the gateway is asked for a body of one of the paths of `_POSTED`. Raises BadRequestError."""
    model = requests.model_of(document)
    if path == "/api/show":
        if not isinstance(model, str) or not model:
            raise BadRequestError("The request names no model. Put its name under 'model'.", param="model")
        inner = f"{_MODELS}/{model}"
        return Plan(inner, Card(catalog), "GET", raw_path=f"{_MODELS}/{quote(model, safe='')}".encode())
    if path in ("/api/embed", "/api/embeddings"):
        translator = Embeddings(model, single=path == "/api/embeddings")
        return Plan(requests.EMBEDDINGS, translator, body=orjson.dumps(requests.embedding_request(document)))
    chat = path == "/api/chat"
    talk = Talk(model, chat=chat)
    if requests.is_load(document, chat=chat):
        return Plan(requests.TOKENIZE, talk, body=orjson.dumps(requests.load_request(document)))
    inner, made = (requests.CHAT, requests.chat_request(document)) if chat else requests.generate_request(document)
    return Plan(inner, talk, body=orjson.dumps(made))


_LOOKS: Final[dict[str, Callable[[], Plan]]] = {
    "/api/tags": lambda: Plan(_MODELS, Listing(running=False)),
    "/api/ps": lambda: Plan(_MODELS, Listing(running=True)),
    "/api/version": lambda: Plan("/version", Version()),
}
_POSTED: Final = {
    "/api/chat": requests.CHAT,
    "/api/generate": requests.CHAT,
    "/api/embed": requests.EMBEDDINGS,
    "/api/embeddings": requests.EMBEDDINGS,
    "/api/show": requests.CHAT,
}
"""What is asked where no plan can be made, so that it is said why."""
