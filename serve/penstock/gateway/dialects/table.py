"""Who answers whose paths. Used by `app`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from penstock.gateway.dialects import azure, ollama, serverless
from penstock.gateway.dialects.edge import Edge
from penstock.gateway.dialects.paths import Foreign

DIALECTS: Final[Mapping[Foreign, Callable[[Edge], Awaitable[None]]]] = {
    "azure": azure.answer,
    "serverless": serverless.answer,
    "ollama": ollama.answer,
}
