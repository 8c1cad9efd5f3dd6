"""Azure OpenAI: a deployment in the path is a model, `api-version` is any, and errors have Azure's codes. Used by
`dialects.table`.

Its clients read OpenAI's answers, so good ones pass byte for byte.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from penstock.gateway import bodies
from penstock.gateway.dialects.edge import Edge, Plan

_DEPLOYMENTS: Final = "/openai/deployments/"
_OF_DEPLOYMENTS: Final = ("/chat/completions", "/completions", "/embeddings")
"""The longer one first where one ends as another does."""
_PLAIN: Final = ("/openai/models", "/openai/responses")


async def answer(edge: Edge) -> None:
    """Answer a request for `/openai/...`."""
    if (found := deployment_of(edge.path)) is not None:
        name, operation = found
        inner = f"/v1{operation}"
        await edge.translate(lambda document, body: Plan(inner, body=of_deployment(document, body, name)), usual=inner)
    elif (plain := plain_path(edge.path)) is not None:
        raw = edge.raw_path.removeprefix(b"/openai/").removeprefix(b"v1/")
        await edge.forward(Plan(plain, raw_path=b"/v1/" + raw))
    else:
        await edge.refuse()


def deployment_of(path: str) -> tuple[str, str] | None:
    """The deployment and the operation of a decoded path: `demo` and `/chat/completions`. None where it is none."""
    if not path.startswith(_DEPLOYMENTS):
        return None
    for operation in _OF_DEPLOYMENTS:
        if path.endswith(operation):
            name = path.removeprefix(_DEPLOYMENTS).removesuffix(operation)
            return (name, operation) if name else None
    return None


def plain_path(path: str) -> str | None:
    """The gateway's path of one without a deployment; None where it has none."""
    if path.startswith("/openai/v1/"):
        return path.removeprefix("/openai")
    if path in _PLAIN or path.startswith("/openai/models/"):
        return f"/v1{path.removeprefix('/openai')}"
    return None


def of_deployment(document: dict[str, Any], body: bytes, name: str) -> bytes:
    """The body with the deployment for its model. The client's bytes stay as they are where they say the same, or
    nothing.

    Args:
        document: the body, parsed.
    """
    if document.get("model") == name:
        return body
    if "model" not in document and document:
        return bodies.with_member(body, b'"model":' + orjson.dumps(name))
    return orjson.dumps({**document, "model": name})
