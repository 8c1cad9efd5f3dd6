"""What a client of the HTTP address is told when something is wrong, drawn by what the caller must do.

GatewayError
├── FixRequestError               change the request; sending it again unchanged fails again
│   ├── BadRequestError       400 the body or a parameter
│   ├── UnauthorizedError     401 the key
│   ├── ForbiddenError        403 the origin of the page, or what the key may not do
│   ├── NotFoundError         404 the path or the model's name
│   ├── MethodNotAllowedError 405 the method
│   ├── RequestTooSlowError   408 the client stopped sending
│   ├── ConflictError         409 what is to be changed is not as the request takes it to be
│   ├── TooLargeError         413 the body
│   ├── UnsupportedMediaError 415 the content type or encoding
│   └── HeadTooLargeError     431 the header lines
│       └── PathTooLongError  414 the path
├── TryLaterError                 send it again unchanged after a while
│   ├── BusyError             429 too many requests wait already
│   ├── LimitedError          429 a limit of the key, the team or the model is reached
│   ├── BudgetSpentError      429 a budget of them is spent
│   └── UnavailableError      503 no replica, no store of keys, or the gateway is going away
├── EngineFaultError              the engine is at fault; sending it again may help
│   ├── EngineRefusedError    …   as the engine's: it says no in a form that clients do not read
│   ├── EngineAnsweredError   …   as the engine's: an error that a fallback may help against
│   ├── EngineFailedError     502 it broke, refused or said something wrong
│   ├── EngineCrashedError    502 it died of this very request, as it seems: do not send it again unseen
│   └── EngineTooSlowError    504 it took longer than the longest request
└── ProviderFaultError        502 another address, of a cloud or another Penstock, is at fault
    ├── ProviderRefusedError  …   as the provider's: it says no in a form that clients do not read
    ├── ProviderBusyError     429 it limits us
    ├── ProviderOpenError     503 it failed again and again, and is left alone for a while
    └── ProviderTooSlowError  504 it took too long

Raised anywhere in the gateway; turned into an answer in one place, `answers`.
"""

from __future__ import annotations

from typing import ClassVar, Literal

Layer = Literal["gateway", "accounts", "pool", "engine", "provider"]


class GatewayError(Exception):
    """An answer that is an error.

    Args:
        message: which layer refuses and why, and what to do about it, in whole sentences.
        code: a word for programs, as in OpenAI's errors.
        param: the parameter of the request that is wrong.
        layer: who refused.
        retry_after: seconds after which another try makes sense.
    """

    status: int = 500
    kind: str = "server_error"
    default_code: ClassVar[str | None] = None

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        layer: Layer = "gateway",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.param = param
        self.layer = layer
        self.retry_after = retry_after


class FixRequestError(GatewayError):
    """Change the request; sending it again unchanged fails again."""

    status = 400
    kind = "invalid_request_error"


class BadRequestError(FixRequestError):
    """The body or a parameter is wrong."""

    default_code = "invalid_request"


class UnauthorizedError(FixRequestError):
    """The key is missing, or is none that may be used."""

    status = 401
    default_code = "invalid_api_key"

    def __init__(self, message: str) -> None:
        super().__init__(message, layer="accounts")


class ForbiddenError(FixRequestError):
    """The page's origin may not call, or the key may not do this."""

    status = 403
    kind = "permission_error"
    default_code = "origin_not_allowed"


class NotFoundError(FixRequestError):
    """No such path, or no such model."""

    status = 404
    default_code = "not_found"


class MethodNotAllowedError(FixRequestError):
    """The path has other methods: `allow` names them."""

    status = 405
    default_code = "method_not_allowed"

    def __init__(self, message: str, *, allow: str) -> None:
        super().__init__(message)
        self.allow = allow


class RequestTooSlowError(FixRequestError):
    """The client stopped sending its request."""

    status = 408
    default_code = "request_timeout"


class ConflictError(FixRequestError):
    """What is to be changed is not as the request takes it to be."""

    status = 409


class TooLargeError(FixRequestError):
    """The body is over the limit."""

    status = 413
    default_code = "request_too_large"


class UnsupportedMediaError(FixRequestError):
    """The content type or encoding is not understood."""

    status = 415
    default_code = "unsupported_media_type"


class HeadTooLargeError(FixRequestError):
    """The header lines are over the limit."""

    status = 431
    default_code = "request_head_too_large"


class PathTooLongError(HeadTooLargeError):
    """The path is over the limit."""

    status = 414
    default_code = "path_too_long"


class TryLaterError(GatewayError):
    """Send it again unchanged after a while."""


class BusyError(TryLaterError):
    """Too many requests wait already, or too many keys are tried."""

    status = 429
    kind = "rate_limit_error"
    default_code = "queue_full"


class LimitedError(TryLaterError):
    """A limit of the key, the team or the model is reached."""

    status = 429
    kind = "rate_limit_error"
    default_code = "rate_limit_exceeded"

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message, layer="accounts", retry_after=retry_after)


class BudgetSpentError(TryLaterError):
    """A budget of the key, the team or the model is spent until the day or the month is over."""

    status = 429
    kind = "insufficient_quota"
    default_code = "insufficient_quota"

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message, layer="accounts", retry_after=retry_after)


class UnavailableError(TryLaterError):
    """No replica, or the gateway is going away."""

    status = 503
    kind = "service_unavailable_error"
    default_code = "no_replica"


class EngineFaultError(GatewayError):
    """The engine is at fault; sending it again may help."""

    status = 502
    default_code = "engine_failed"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message, code=code, layer="engine")


class EngineRefusedError(EngineFaultError):
    """The engine says no in a form that clients do not read; its status is the answer's."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"The engine answered {status}: {text or 'without saying why'}", code="engine_refused")
        self.status = status
        self.kind = "invalid_request_error" if status < 500 else "server_error"


class EngineAnsweredError(EngineFaultError):
    """An error in a form that clients read, held back because the model has a fallback. Where none helps, it is the
    answer as it is."""

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        super().__init__(f"The engine answered {status}.", code="engine_refused")
        self.status = status
        self.headers = headers
        self.body = body


class EngineFailedError(EngineFaultError):
    """It broke, refused or said something wrong."""


class EngineCrashedError(EngineFaultError):
    """Engines died one after the other while they worked on this request."""

    default_code = "engine_crashed_repeatedly"


class EngineTooSlowError(EngineFaultError):
    """It took longer than the longest request."""

    status = 504
    default_code = "engine_timeout"


class ProviderFaultError(GatewayError):
    """A provider did not answer, or not as it should; sending it again may help."""

    status = 502
    default_code = "provider_failed"

    def __init__(self, message: str, *, code: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message, code=code, layer="provider", retry_after=retry_after)


class ProviderRefusedError(ProviderFaultError):
    """The provider says no in a form that clients do not read; its status, a 4xx, is the answer's."""

    kind = "invalid_request_error"
    default_code = "provider_refused"

    def __init__(self, provider: str, status: int, text: str) -> None:
        super().__init__(f"The provider {provider!r} answered {status}: {text or 'without saying why'}")
        self.status = status


class ProviderBusyError(ProviderFaultError):
    """The provider limits us."""

    status = 429
    kind = "rate_limit_error"
    default_code = "provider_rate_limited"


class ProviderOpenError(ProviderFaultError):
    """The provider failed again and again, and is left alone for a while."""

    status = 503
    kind = "service_unavailable_error"
    default_code = "provider_unavailable"


class ProviderTooSlowError(ProviderFaultError):
    """The provider took too long."""

    status = 504
    default_code = "provider_timeout"
