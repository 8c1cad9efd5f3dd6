"""Which paths are whose. Data and pure look-up; used by `app` for requests and by `routes` for errors."""

from __future__ import annotations

from typing import Final, Literal

Foreign = Literal["azure", "serverless", "ollama"]

PREFIXES: Final[tuple[tuple[str, Foreign], ...]] = (
    ("/openai/", "azure"),
    ("/api/v1/ai/", "serverless"),
    ("/api/", "ollama"),
)
"""The first that fits decides."""

AZURE: Final = (
    "/openai/deployments/{deployment}/chat/completions",
    "/openai/deployments/{deployment}/completions",
    "/openai/deployments/{deployment}/embeddings",
    "/openai/responses",
    "/openai/models",
    "/openai/models/{id}",
    "/openai/v1/…",
)
SERVERLESS: Final = (
    "/api/v1/ai/chat/completions",
    "/api/v1/ai/completions",
    "/api/v1/ai/embeddings",
    "/api/v1/ai/models",
    "/api/v1/ai/models/{id}",
)
OLLAMA: Final = (
    "/api/chat",
    "/api/generate",
    "/api/embed",
    "/api/embeddings",
    "/api/tags",
    "/api/ps",
    "/api/show",
    "/api/version",
)


def foreign(path: str) -> Foreign | None:
    """Whose path it is, where it is not the gateway's own. `/v1/...` costs one comparison."""
    if path.startswith(("/v1/", "/admin/")):
        return None
    return next((name for prefix, name in PREFIXES if path.startswith(prefix)), None)
