"""What clients may ask for, as pydantic models, and what is refused about it in vLLM's words. Used by every route.

Unknown fields are ignored, as in vLLM.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from penstock.simulator.asgi import Exchange
from penstock.simulator.errors import BadRequestError, InvalidBodyError, UnknownModelError

MAX_CHOICES = 128
"""Answers to one request at most: choices times prompts."""

MAX_LOGPROBS = 20


class Body(BaseModel):
    """What every request has in common."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    model: str | None = None


class StreamOptions(BaseModel):
    include_usage: bool | None = False
    continuous_usage_stats: bool | None = False


class Sampling(Body):
    """What requests for text have in common. Ranges are checked by `check_sampling`, with vLLM's messages."""

    max_tokens: int | None = None
    n: int | None = 1
    seed: int | None = None
    stop: str | list[str] | None = None
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    temperature: float | None = None
    top_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None

    @property
    def stops(self) -> list[str]:
        return [self.stop] if isinstance(self.stop, str) else self.stop or []

    @property
    def include_usage(self) -> bool:
        return bool(self.stream_options and self.stream_options.include_usage)

    @property
    def continuous_usage(self) -> bool:
        return self.include_usage and bool(self.stream_options and self.stream_options.continuous_usage_stats)


class ChatMessage(BaseModel):
    model_config = ConfigDict(extra="allow")

    role: str
    content: str | list[dict[str, Any]] | None = None


class Function(BaseModel):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None


class Tool(BaseModel):
    type: Literal["function"] = "function"
    function: Function


class NamedFunction(BaseModel):
    name: str


class NamedTool(BaseModel):
    type: Literal["function"] = "function"
    function: NamedFunction


class JsonSchema(BaseModel):
    name: str
    # `schema` itself is a method of pydantic's models.
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")


class ResponseFormat(BaseModel):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class ChatBody(Sampling):
    messages: list[ChatMessage]
    max_completion_tokens: int | None = None
    logprobs: bool | None = False
    top_logprobs: int | None = None
    tools: list[Tool] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    response_format: ResponseFormat | None = None


class CompletionBody(Sampling):
    prompt: str | list[str] | list[int] | list[list[int]] | None = None
    echo: bool | None = False
    logprobs: int | None = None


class EmbeddingBody(Body):
    input: str | list[str] | list[int] | list[list[int]]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = None


class ResponsesBody(Body):
    input: str | list[dict[str, Any]]
    instructions: str | None = None
    max_output_tokens: int | None = None
    metadata: dict[str, Any] | None = None
    stream: bool | None = False
    temperature: float | None = None
    top_p: float | None = None
    tools: list[dict[str, Any]] = []
    seed: int | None = None


class AnthropicMessage(BaseModel):
    role: Literal["user", "assistant", "system"]
    content: str | list[dict[str, Any]]


class AnthropicTool(BaseModel):
    name: str
    input_schema: dict[str, Any]


class AnthropicToolChoice(BaseModel):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None


class CountTokensBody(Body):
    messages: list[AnthropicMessage]
    system: str | list[dict[str, Any]] | None = None


class MessagesBody(CountTokensBody):
    max_tokens: int
    stop_sequences: list[str] | None = None
    stream: bool | None = False
    temperature: float | None = None
    top_p: float | None = None
    tools: list[AnthropicTool] | None = None
    tool_choice: AnthropicToolChoice | None = None


class TokenizeBody(Body):
    prompt: str | None = None
    messages: list[ChatMessage] | None = None
    return_token_strs: bool | None = False


class DetokenizeBody(Body):
    tokens: list[int]


B = TypeVar("B", bound=Body)


async def read(exchange: Exchange, kind: type[B]) -> B:
    """The request's body. Raises InvalidBodyError."""
    content_type = (exchange.header(b"content-type") or b"").split(b";")[0].strip().lower()
    data = await exchange.body()
    if content_type != b"application/json":
        raise InvalidBodyError("1 validation error:\n  Unsupported Media Type: Only 'application/json' is allowed")
    return parse(data, kind)


def parse(data: bytes, kind: type[B]) -> B:
    """A body from its bytes. Raises InvalidBodyError."""
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        place = f"body.{error.pos}"
        line = {"type": "json_invalid", "loc": place, "msg": "JSON decode error", "ctx": {"error": error.msg}}
        raise InvalidBodyError(f"1 validation error:\n  {line}", param=place) from None
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        raise InvalidBodyError.of(error.errors(include_url=False)) from None


def check_model(asked: str | None, served: Sequence[str], *, param: str | None = "model") -> str:
    """The name to answer under. Raises UnknownModelError; no name means the first one, as in vLLM."""
    if not asked:
        return served[0]
    if asked not in served:
        raise UnknownModelError.of(asked, served, param=param)
    return asked


def check_sampling(body: Sampling, *, prompts: int = 1) -> None:
    """Raises BadRequestError for a value out of range."""
    if body.n is not None and body.n < 1:
        raise BadRequestError(f"n must be at least 1, got {body.n}.")
    if (body.n or 1) * prompts > MAX_CHOICES:
        raise BadRequestError(f"n must be at most {MAX_CHOICES} over all prompts, got {(body.n or 1) * prompts}.")
    check_range("temperature", body.temperature, 0, 2, shown="[0, 2]")
    if body.temperature == 0 and (body.n or 1) > 1:
        raise BadRequestError(f"n must be 1 when using greedy sampling, got {body.n}.")
    if body.top_p is not None and not 0 < body.top_p <= 1:
        raise BadRequestError.of(f"top_p must be in (0, 1], got {body.top_p}.", "top_p", body.top_p)
    check_range("presence_penalty", body.presence_penalty, -2, 2, shown="[-2, 2]")
    check_range("frequency_penalty", body.frequency_penalty, -2, 2, shown="[-2, 2]")
    if body.stream_options is not None and not body.stream:
        raise BadRequestError.of("Stream options can only be defined when `stream=True`.", "stream_options")
    if any(not stop for stop in body.stops):
        raise BadRequestError("stop cannot contain an empty string.")


def check_range(name: str, value: float | None, low: float, high: float, *, shown: str) -> None:
    """Raises BadRequestError for a value that is outside, or no number at all."""
    if value is not None and not low <= value <= high:
        raise BadRequestError.of(f"{name} must be in {shown}, got {value}.", name, value)


def check_logprobs(count: int | None) -> None:
    """Raises BadRequestError for more alternatives than there may be."""
    if count is not None and not 0 <= count <= MAX_LOGPROBS:
        raise BadRequestError.of(
            f"Requested sample logprobs of {count}, which is greater than max allowed: {MAX_LOGPROBS}",
            "logprobs",
            count,
        )


def room(prompt_tokens: int, asked: int | None, limit: int, *, param: str = "max_tokens") -> int:
    """Tokens that an answer may have. Raises BadRequestError where prompt or wish are longer than the model's limit."""
    if asked is not None and asked < 1:
        raise BadRequestError.of(f"{param} must be at least 1, got {asked}.", param, asked)
    if asked is not None and asked > limit:
        raise BadRequestError.of(
            f"{param}={asked} cannot be greater than max_model_len={limit}. Please request fewer output tokens.",
            param,
            asked,
        )
    if prompt_tokens >= limit:
        raise BadRequestError.of(
            f"This model's maximum context length is {limit} tokens. However, your prompt contains at least"
            f" {prompt_tokens} input tokens, which exceeds this limit even without any output tokens. Please reduce the"
            " length of the input prompt.",
            "input_tokens",
            prompt_tokens,
        )
    return limit - prompt_tokens
