"""What the gateway reads of a request's body: its model, and whether it asks for a stream; and what it puts in, so that
the answer tells the usage. Pure; used by `app`."""

from __future__ import annotations

import re
from itertools import accumulate
from typing import Any, NamedTuple

import orjson

from penstock.gateway.errors import BadRequestError, UnsupportedMediaError
from penstock.gateway.routes import Body

_STRINGS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_BRACKETS = b"[]{}"
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in _BRACKETS)
_STEPS = bytes.maketrans(_BRACKETS, b"\x01\xff\x01\xff")
"""Brackets to 1 and -1, as signed bytes."""

MOST_VALUES = 2**20
"""Values in a JSON body at most. Each takes dozens of bytes once parsed, however short it is in the body."""

MOST_PARTS = 1000
_PART_HEAD = 4096
_BOUNDARY = re.compile(rb'boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
_FIELD_NAME = re.compile(rb'[;\s]name=(?:"([^"]*)"|([^\s;"]+))', re.IGNORECASE)

RESPONSES = "/v1/responses"
TELLS_WHEN_ASKED = frozenset({"/v1/chat/completions", "/v1/completions"})
"""Endpoints whose streams tell the usage only where the request asks for it."""

_MOST = ("max_completion_tokens", "max_tokens", "max_output_tokens")
_LARGEST_COUNT = 2**31
_MODEL_MISSING = "The request names no model. Put its name under 'model', for example one from GET /v1/models."


class Asked(NamedTuple):
    """What a body asks for."""

    model: str
    stream: bool = False
    """Whether it says `"stream": true`. Not read of forms."""
    keys: frozenset[str] = frozenset()
    """The names in its object. Not read of forms."""
    tells_usage: bool = False
    """Whether it asks for the usage at the end of its stream."""
    most: int | None = None
    """Tokens that each answer may have; None where it does not say."""
    answers: int = 1
    """Answers that it asks for."""


def json_is_deeper(body: bytes, limit: int) -> bool:
    """Whether JSON nests deeper than `limit`, in time linear in its length, before anything parses it. Of bytes that
    are not JSON it may say either.
    """
    if body.count(b"[") + body.count(b"{") <= limit:
        return False
    brackets = _STRINGS.sub(b"", body).translate(None, _NO_BRACKETS)
    depths = accumulate(memoryview(brackets.translate(_STEPS)).cast("b"))
    return max(depths, default=0) > limit


def json_values_at_most(body: bytes) -> int:
    """A bound of how many values a JSON document holds; what stands inside strings counts too."""
    return body.count(b",") + body.count(b"[") + body.count(b"{") + body.count(b'"') // 2 + 1


def check_media(content_type: bytes | None, content_encoding: bytes | None, expected: Body) -> bytes:
    """The content type to pass on. Raises UnsupportedMediaError, saying what was found and what is expected."""
    if content_encoding is not None and content_encoding.strip().lower() not in (b"", b"identity"):
        raise UnsupportedMediaError(
            f"The body is sent with content-encoding {_shown(content_encoding)}; send it uncompressed."
        )
    wanted = b"application/json" if expected == "json" else b"multipart/form-data"
    if content_type is None and expected == "json":
        return wanted
    found = (content_type or b"").partition(b";")[0].strip().lower()
    if found != wanted:
        raise UnsupportedMediaError(
            f"The body is sent as {_shown(content_type or b'nothing in particular')}; this path takes"
            f" {wanted.decode()}. Set the header content-type."
        )
    return content_type or wanted


def asked(body: bytes, content_type: bytes, kind: Body, max_depth: int) -> Asked:
    """What the body asks for. Raises BadRequestError."""
    if kind == "multipart":
        if not body:
            raise _empty()
        return Asked(_model_of_multipart(body, content_type))
    return _asked_in_json(body, max_depth)


def renamed(body: bytes, content_type: bytes, kind: Body, model: str) -> bytes:
    """The body with another name for its model: the one that engines know. `asked` has read it."""
    if kind == "multipart":
        start, end = _place_of_model(body, content_type)
        return body[:start] + model.encode() + body[end:]
    return orjson.dumps({**orjson.loads(body), "model": model})


class Counted(NamedTuple):
    """A body whose answer tells what it used."""

    body: bytes
    strips: bool = False
    """Whether the usage is to be taken out of the stream, because the client did not ask for it."""


def counted(body: bytes, asked: Asked, endpoint: str, engine_id: str) -> Counted:
    """The body for the engine, so that its answer tells the usage and it can be told to stop.

    Args:
        asked: what the body asks for.
        endpoint: the route's.
        engine_id: under which the engine knows the request.

    Only what is needed is put in; the client's own bytes stay as they are, unless it gave options of its own.
    """
    if endpoint == RESPONSES:
        # Here alone engines take no id from a header.
        named = "request_id" in asked.keys
        return Counted(body if named else with_member(body, b'"request_id":' + orjson.dumps(f"resp_{engine_id}")))
    if not asked.stream or asked.tells_usage or endpoint not in TELLS_WHEN_ASKED:
        return Counted(body)
    if "stream_options" not in asked.keys:
        return Counted(with_member(body, b'"stream_options":{"include_usage":true}'), strips=True)
    document = orjson.loads(body)
    options = document["stream_options"]
    if not isinstance(options, dict | None):
        return Counted(body)  # the engine says what is wrong with it
    # Without usage the engine does not tell it with every token either.
    document["stream_options"] = {**(options or {}), "include_usage": True, "continuous_usage_stats": False}
    return Counted(orjson.dumps(document), strips=True)


def with_member(body: bytes, member: bytes) -> bytes:
    """The bytes of an object that has members, with one more before them."""
    start = body.index(b"{") + 1
    return b"%b%b,%b" % (body[:start], member, body[start:])


def parsed(body: bytes, max_depth: int) -> dict[str, Any]:
    """The object that a body is, looked at before it is parsed. Raises BadRequestError."""
    if not body:
        raise _empty()
    if json_values_at_most(body) > MOST_VALUES:
        raise BadRequestError(
            f"The body is JSON of more than {MOST_VALUES} values. Send it in several requests.", code="json_too_large"
        )
    if json_is_deeper(body, max_depth):
        raise BadRequestError(
            f"The body is JSON nested more than {max_depth} levels deep, which is as deep as gateway.maxJsonDepth"
            " allows.",
            code="json_too_deep",
        )
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequestError(
            f"The body is not JSON: {error.msg} at character {error.pos}.", code="invalid_json"
        ) from None
    if not isinstance(document, dict):
        raise BadRequestError(
            f"The body is a JSON {_json_type(document)}; send an object: {{...}}.", code="invalid_json_type"
        )
    return document


def _asked_in_json(body: bytes, max_depth: int) -> Asked:
    document = parsed(body, max_depth)
    options = document.get("stream_options")
    return Asked(
        _checked(document.get("model")),
        document.get("stream") is True,
        frozenset(document),
        isinstance(options, dict) and options.get("include_usage") is True,
        next((most for name in _MOST if (most := _whole(document.get(name))) is not None), None),
        _whole(document.get("n")) or 1,
    )


def _empty() -> BadRequestError:
    return BadRequestError(f"The request has no body. {_MODEL_MISSING}", code="empty_body")


def _whole(value: Any) -> int | None:
    # The engine says what is wrong with others.
    return value if type(value) is int and 0 <= value <= _LARGEST_COUNT else None


def _checked(model: Any) -> str:
    if model is None:
        raise BadRequestError(_MODEL_MISSING, code="missing_model", param="model")
    if not isinstance(model, str):
        raise BadRequestError(
            f"'model' is a JSON {_json_type(model)}; it is a string, the name of a model.",
            code="invalid_type",
            param="model",
        )
    if not model:
        raise BadRequestError(f"'model' is empty. {_MODEL_MISSING}", code="missing_model", param="model")
    return model


def _json_type(value: Any) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")


def _model_of_multipart(body: bytes, content_type: bytes) -> str:
    start, end = _place_of_model(body, content_type)
    return _checked(body[start : min(end, start + 1024)].decode("utf-8", errors="replace").strip())


def _place_of_model(body: bytes, content_type: bytes) -> tuple[int, int]:
    """Where the value of a form's field `model` begins and ends. Raises BadRequestError."""
    match = _BOUNDARY.search(content_type)
    if match is None:
        raise BadRequestError(
            "The content type is multipart/form-data without a boundary, so the fields cannot be told apart. Let the"
            " HTTP library set the header content-type.",
            code="invalid_multipart",
        )
    delimiter = b"--" + (match[1] or match[2])
    position = 0 if body.startswith(delimiter) else max(body.find(b"\r\n" + delimiter), 0)
    for _ in range(MOST_PARTS):
        part_end = body.find(b"\r\n" + delimiter, position + 1)
        if part_end < 0:
            break
        # Bounded, so that many parts without a head do not each cost a search of the whole body.
        head_end = body.find(b"\r\n\r\n", position, min(part_end, position + _PART_HEAD))
        if head_end >= 0 and _field_name(body[position:head_end]) == b"model":
            return head_end + 4, part_end
        position = part_end
    else:
        raise BadRequestError(f"The form has more than {MOST_PARTS} fields.", code="invalid_multipart")
    if delimiter + b"--" not in body[-len(delimiter) - 8 :]:
        raise BadRequestError(
            "The body does not end as multipart/form-data does: its last boundary is missing.",
            code="invalid_multipart",
        )
    raise BadRequestError(_MODEL_MISSING, code="missing_model", param="model")


def _field_name(head: bytes) -> bytes | None:
    for line in head.split(b"\r\n"):
        if line[:20].lower().startswith(b"content-disposition:") and (match := _FIELD_NAME.search(line)):
            return match[1] if match[1] is not None else match[2]
    return None


def _shown(value: bytes) -> str:
    return repr(value[:100].decode("latin-1"))
