"""OpenAI's error object in the words of other APIs. Pure; used by `answers` and by every dialect."""

from __future__ import annotations

from typing import Any, Final

from penstock.gateway.dialects.paths import Foreign

_AZURE_CODES: Final = {"model_not_found": "DeploymentNotFound"}
"""Codes that Azure has words for. It says the status for what its front refuses."""
_AZURE_STATUSES: Final = frozenset({401, 403, 404, 408, 429})


def translated(dialect: Foreign, status: int, error: dict[str, Any]) -> dict[str, Any]:
    """The body of an error.

    Args:
        error: what stands under `error` in OpenAI's body.
    """
    if dialect == "azure":
        return {"error": {**error, "code": _azure_code(status, error.get("code"))}}
    message = str(error.get("message") or "Something is wrong with this request.")
    if dialect == "ollama":
        return {"error": message}
    return {"code": status, "msg": message, "data": None, "error": error}


def _azure_code(status: int, code: Any) -> Any:
    if code in _AZURE_CODES:
        return _AZURE_CODES[code]
    return str(status) if status in _AZURE_STATUSES else code
