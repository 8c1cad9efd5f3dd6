"""The OpenAPI document of `/admin/...`, made from the table of operations. Pure; used by `admin`."""

from __future__ import annotations

from typing import Any, Final

from pydantic.json_schema import models_json_schema

import penstock
from penstock.gateway.admin_operations import OPERATIONS, Operation

_REFERENCE: Final = "#/components/schemas/{model}"
_ERRORS: Final = {
    "400": "The request is wrong.",
    "401": "There is no valid key.",
    "403": "The key has not the role admin.",
    "404": "There is no such key.",
    "409": "The name is taken, or the key is listed and not stored.",
    "503": "The store of keys cannot be reached.",
}
_ERROR_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}


def openapi() -> dict[str, Any]:
    """OpenAPI 3.1."""
    bodies = [(operation.body, "validation") for operation in OPERATIONS if operation.body is not None]
    answers = [(operation.answer, "serialization") for operation in OPERATIONS]
    # pydantic's own modes; the pairs are only not known to be of them.
    references, schemas = models_json_schema([*bodies, *answers], ref_template=_REFERENCE)  # type: ignore[list-item]
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        here: dict[str, Any] = {
            "summary": operation.summary,
            "operationId": operation.run.__name__.strip("_"),
            "responses": {
                str(operation.status): {
                    "description": operation.summary,
                    "content": {"application/json": {"schema": references[operation.answer, "serialization"]}},
                },
                **{status: {"$ref": f"#/components/responses/{status}"} for status in _ERRORS},
            },
        }
        if parameters := _parameters(operation):
            here["parameters"] = parameters
        if operation.body is not None:
            here["requestBody"] = {
                "required": operation.status == 201,
                "content": {"application/json": {"schema": references[operation.body, "validation"]}},
            }
        paths.setdefault(f"/admin/{operation.path}", {})[operation.method.lower()] = here
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Administration of Penstock",
            "version": penstock.__version__,
            "description": "Keys of the address, and the log of what was changed. Needs a key with the role admin.",
        },
        "security": [{"bearer": []}, {"x-api-key": []}, {"api-key": []}],
        "paths": paths,
        "components": {
            "schemas": {**schemas["$defs"], "Error": _ERROR_SCHEMA},
            "responses": {
                status: {
                    "description": said,
                    "content": {"application/json": {"schema": {"$ref": _REFERENCE.format(model="Error")}}},
                }
                for status, said in _ERRORS.items()
            },
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                **{name: {"type": "apiKey", "in": "header", "name": name} for name in ("x-api-key", "api-key")},
            },
        },
    }


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = []
    if "{id}" in operation.path:
        parameters.append({"name": "id", "in": "path", "required": True, "schema": {"type": "string"}})
    parameters += [
        {"name": name, "in": "query", "required": False, "schema": schema} for name, schema in operation.query.items()
    ]
    return parameters
