"""What a client of the simulator is told when its request is refused, in vLLM's words and shapes.

ApiError                 an answer other than 200, with OpenAI's error object
├── InvalidBodyError     400, the body cannot be read: not JSON, wrong types, missing fields
├── BadRequestError      400, readable but not allowed: out of range, too long
├── UnauthorizedError    401, the engine's token is missing or wrong
├── UnknownModelError    404
└── SimulatedFailureError     500, asked for with `fail_rate`
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic_core import ErrorDetails

ERRORS_NAMED = 10
"""Validation errors that one message spells out, as in vLLM."""


class ApiError(Exception):
    """An error that is answered. `param` names the field of the request that is wrong."""

    status: ClassVar[int]
    kind: ClassVar[str]

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param

    def body(self) -> dict[str, Any]:
        """OpenAI's error object."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.status}}


class InvalidBodyError(ApiError):
    """The body cannot be read."""

    status = 400
    kind = "Bad Request"

    @classmethod
    def of(cls, details: Sequence[ErrorDetails]) -> InvalidBodyError:
        """From pydantic's errors. Values of the request are named only where they are short."""
        lines = [_line(detail) for detail in details[:ERRORS_NAMED]]
        if (more := len(details) - ERRORS_NAMED) > 0:
            lines.append(f"...and {more} more errors")
        count = f"{len(details)} validation error{'s' if len(details) > 1 else ''}"
        return cls("\n  ".join([f"{count}:", *lines]), param=_location(details[0]))


class BadRequestError(ApiError):
    """The request is readable, but asks for what is not allowed."""

    status = 400
    kind = "BadRequestError"

    @classmethod
    def of(cls, message: str, param: str, value: object | None = None) -> BadRequestError:
        """With the field's name and value behind the message, as vLLM writes it."""
        shown = f", value={value}" if value is not None else ""
        return cls(f"{message} (parameter={param}{shown})", param=param)


class UnauthorizedError(ApiError):
    """The engine's token is missing or wrong."""

    status = 401
    kind = "AuthenticationError"


class UnknownModelError(ApiError):
    """No model of that name is served here."""

    status = 404
    kind = "NotFoundError"

    @classmethod
    def of(cls, name: str, served: Sequence[str], *, param: str | None = "model") -> UnknownModelError:
        """Names what is served where there is a choice, as vLLM does."""
        choice = f" Valid aliases: {', '.join(served)}." if len(served) > 1 else ""
        return cls(f"The model `{name}` does not exist.{choice}", param=param)


class SimulatedFailureError(ApiError):
    """A failure that was asked for."""

    status = 500
    kind = "InternalServerError"


def _location(detail: ErrorDetails) -> str:
    return ".".join(["body", *map(str, detail["loc"])])


def _line(detail: ErrorDetails) -> str:
    found = detail["input"]
    shown = f"<{type(found).__name__} of {len(found)} items>" if isinstance(found, dict | list) else str(found)[:64]
    return str({"type": detail["type"], "loc": _location(detail), "msg": detail["msg"], "input": shown})
