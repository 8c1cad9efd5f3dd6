"""The depth of JSON before it is parsed, the model of a body, the usage at the end of an answer."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from penstock.gateway.bodies import MOST_VALUES, asked, check_media, json_is_deeper, json_values_at_most
from penstock.gateway.errors import BadRequestError, UnsupportedMediaError
from penstock.gateway.usage import Usage, find_usage

scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_categories=["Cs"]))
documents = st.recursive(scalars | texts, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=40)


def depth(document: Any) -> int:
    if isinstance(document, dict):
        return 1 + max(map(depth, document.values()), default=0)
    if isinstance(document, list):
        return 1 + max(map(depth, document), default=0)
    return 0


def values(document: Any) -> int:
    if isinstance(document, dict):
        return 1 + sum(map(values, document.values()))
    if isinstance(document, list):
        return 1 + sum(map(values, document))
    return 1


@given(documents, st.integers(0, 8))
@example([[], {"": '\\"[['}, ["]}", "\\"]], 1)
@example({"a": '"[[[[[[[[['}, 1)
def test_the_depth_of_json_is_known_without_parsing_it(document: Any, limit: int) -> None:
    for body in (orjson.dumps(document), orjson.dumps(document, option=orjson.OPT_INDENT_2)):
        assert json_is_deeper(body, limit) == (depth(document) > limit)
        assert json_values_at_most(body) >= values(document)


@given(st.binary(max_size=200), st.integers(1, 5))
@example(b'[[[[[["', 2)
@example(b"]]]][[[[{", 2)
def test_bytes_that_are_no_json_do_no_harm(body: bytes, limit: int) -> None:
    json_is_deeper(body, limit)


@pytest.mark.parametrize(
    "body",
    [b"[" * 2**24, b"[]," * 2**22, b'"\\"' * 2**22, b'["' * 2**22, b"]" * 2**24, (b"[" * 60 + b"]" * 60) * 2**17],
    ids=["open", "pairs", "quotes", "strings", "closed", "deep"],
)
def test_16_million_bytes_of_nothing_much_are_refused_in_a_moment(body: bytes) -> None:
    began = time.process_time()
    with pytest.raises(BadRequestError) as caught:
        asked(body, b"application/json", "json", 64)
    assert caught.value.code in ("json_too_large", "invalid_json")
    assert time.process_time() - began < 5


def test_a_document_of_as_many_values_as_may_be_is_read_in_time() -> None:
    numbers = b",".join([b"[[[]]]"] * (MOST_VALUES // 5))
    body = b'{"model":"demo","input":[' + numbers + b"]}"
    began = time.process_time()
    assert asked(body, b"application/json", "json", 64).model == "demo"
    assert time.process_time() - began < 15


@given(texts.filter(bool), st.dictionaries(texts, scalars | texts))
def test_the_model_of_json_is_found(model: str, more: dict[str, Any]) -> None:
    body = orjson.dumps({**more, "model": model})
    assert asked(body, b"application/json", "json", 64).model == model


@given(st.binary(max_size=300))
def test_any_bytes_are_a_model_or_a_bad_request(body: bytes) -> None:
    for kind, content_type in (("json", b"application/json"), ("multipart", b"multipart/form-data; boundary=a")):
        with contextlib.suppress(BadRequestError):
            assert asked(body, content_type, kind, 64)  # type: ignore[arg-type]


def form(*parts: bytes, boundary: bytes = b"b0undary") -> bytes:
    return b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + boundary + b"--\r\n"


FILE = b'Content-Disposition: form-data; name="file"; filename="model"\r\nContent-Type: audio/wav\r\n\r\n'
MODEL = b'Content-Disposition: form-data; name="model"\r\n\r\nwhisper'


@pytest.mark.parametrize(
    "body",
    [
        form(MODEL),
        form(MODEL, FILE + b"RIFF"),
        form(FILE + b"RIFF\r\n\r\n--not a boundary", MODEL),
        form(FILE + b'\r\nname="model"\r\n\r\nwrong', MODEL),
        form(b"content-disposition:form-data; name=model\r\n\r\nwhisper"),
        b"preamble\r\n" + form(MODEL),
    ],
)
def test_the_model_of_a_form_is_found(body: bytes) -> None:
    assert asked(body, b'multipart/form-data; boundary="b0undary"', "multipart", 64).model == "whisper"
    assert asked(body, b"multipart/form-data; Boundary=b0undary; charset=utf-8", "multipart", 64).model == "whisper"


def test_a_form_without_a_model_says_so() -> None:
    with pytest.raises(BadRequestError) as caught:
        asked(form(FILE + b"RIFF"), b"multipart/form-data; boundary=b0undary", "multipart", 64)
    assert (caught.value.code, caught.value.param) == ("missing_model", "model")


def test_a_form_of_many_parts_is_looked_through_in_time() -> None:
    body = b"--a\r\nx" * 2**20 + b"--a--"
    separated = b"\r\n".join([b"--a", b"x"] * 2**20) + b"\r\n--a--\r\n"
    began = time.process_time()
    for text in (body, separated):
        with pytest.raises(BadRequestError):
            asked(text, b"multipart/form-data; boundary=a", "multipart", 64)
    assert time.process_time() - began < 5


@pytest.mark.parametrize("content_type", [None, b"application/json", b"Application/JSON; charset=utf-8"])
def test_json_may_be_named_in_several_ways(content_type: bytes | None) -> None:
    assert check_media(content_type, None, "json") == (content_type or b"application/json")


def test_a_form_must_be_named() -> None:
    with pytest.raises(UnsupportedMediaError, match="multipart/form-data"):
        check_media(None, None, "multipart")


def test_an_identity_encoding_is_none() -> None:
    assert check_media(b"application/json", b"identity", "json")


OPENAI = b'data: {"choices":[],"usage":{"prompt_tokens":7,"total_tokens":9,"completion_tokens":2}}\n\ndata: [DONE]\n\n'
ANTHROPIC = b'data: {"type":"message_delta","usage":{"input_tokens": 7, "output_tokens": 2}}\n\n'
DETAILED = b'{"usage": {"prompt_tokens":7,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":4}},"x":null}'


CACHED = b'{"usage":{"input_tokens":1,"cache_read_input_tokens":4,"cache_creation_input_tokens":2,"output_tokens":2}}'


@pytest.mark.parametrize(
    ("tail", "cached"),
    [
        (OPENAI, 0),
        (ANTHROPIC, 0),
        (DETAILED, 4),
        (DETAILED * 3, 4),
        (CACHED, 4),
        (b'"usage":{"broken' + OPENAI, 0),
    ],
)
def test_the_usage_of_an_answer_is_found_at_its_end(tail: bytes, cached: int) -> None:
    assert find_usage(tail) == Usage(7, 2, cached)


@pytest.mark.parametrize(
    "tail",
    [
        b"",
        b'{"usage":null}',
        b'{"usage":{"prompt_tokens":',
        b'{"usage":{not json}}',
        orjson.dumps({"content": '{"usage":{"prompt_tokens":7}}'}),
    ],
)
def test_where_there_is_no_usage_none_is_found(tail: bytes) -> None:
    assert find_usage(tail) is None


def test_odd_counts_count_as_none() -> None:
    assert find_usage(b'{"usage":{"prompt_tokens":-1,"completion_tokens":"9"}}') == Usage(0, 0)


@given(st.binary())
def test_any_bytes_may_stand_at_the_end_of_an_answer(tail: bytes) -> None:
    find_usage(tail)
    find_usage(b'"usage":{' + tail)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "empty_body"),
        (b"{", "invalid_json"),
        (b"[]", "invalid_json_type"),
        (b"5", "invalid_json_type"),
        (b"{}", "missing_model"),
        (b'{"model":""}', "missing_model"),
        (b'{"model":{}}', "invalid_type"),
        (b'{"model":true}', "invalid_type"),
        (b"[" * 65 + b"]" * 65, "json_too_deep"),
    ],
)
def test_a_body_without_a_model_says_what_is_wrong(body: bytes, code: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        asked(body, b"application/json", "json", 64)
    assert caught.value.code == code


def test_other_content_is_refused_with_what_is_wanted() -> None:
    with pytest.raises(UnsupportedMediaError, match="'text/plain'; this path takes application/json"):
        check_media(b"text/plain", None, "json")
    with pytest.raises(UnsupportedMediaError, match="'gzip'; send it uncompressed"):
        check_media(b"application/json", b"gzip", "json")


def test_a_form_needs_a_boundary() -> None:
    with pytest.raises(BadRequestError, match="without a boundary"):
        asked(b"x", b"multipart/form-data", "multipart", 64)
    with pytest.raises(BadRequestError, match="last boundary"):
        asked(b"--a\r\n", b"multipart/form-data; boundary=a", "multipart", 64)


def test_a_part_without_a_name_is_passed_over() -> None:
    body = form(b"x-other: 1\r\n\r\nwhisper", b"content-disposition: form-data\r\n\r\nx", MODEL)
    assert asked(body, b"multipart/form-data; boundary=b0undary", "multipart", 64).model == "whisper"
