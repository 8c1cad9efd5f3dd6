"""Which requests may be answered from the cache, which of them are equal, and which answers are good to keep."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from penstock.gateway.cache.canonical import COMPUTED, SAMPLING, canonical, is_determined, key_of
from penstock.gateway.cache.stored import Stored, decode, encode, is_whole, kept_headers
from penstock.gateway.headers import Header

CHAT = "/v1/chat/completions"
JSON_HEAD: list[Header] = [(b"content-type", b"application/json")]
EVENTS_HEAD: list[Header] = [(b"content-type", b"text/event-stream; charset=utf-8")]

texts = st.text('ab"\\é☃\n{', max_size=4)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
requests = st.dictionaries(texts, values, max_size=3).map(lambda more: {**more, "temperature": 0, "model": "demo"})


def form(document: dict[str, Any], path: str = CHAT, *, sampled: bool = False) -> bytes | None:
    return canonical(path, json.dumps(document).encode(), sampled=sampled)


def shuffled(value: Any, draw: Any) -> Any:
    if isinstance(value, dict):
        keys = draw(st.permutations(list(value)))
        return {key: shuffled(value[key], draw) for key in keys}
    return [shuffled(item, draw) for item in value] if isinstance(value, list) else value


@given(requests, st.data())
def test_the_order_of_keys_space_and_escapes_do_not_matter(document: dict[str, Any], data: st.DataObject) -> None:
    document = {**document, "n": 1, "best_of": None}
    again = shuffled(document, data.draw)
    written = json.dumps(again, indent=data.draw(st.sampled_from([None, 1])), ensure_ascii=data.draw(st.booleans()))
    assert canonical(CHAT, written.encode()) == form(document) is not None


@given(requests, requests)
def test_all_else_matters(one: dict[str, Any], other: dict[str, Any]) -> None:
    told = [
        {name: value for name, value in document.items() if name not in ("user", "metadata", "n", "best_of", "stream")}
        for document in (one, other)
    ]
    # As JSON: to Python 1, 1.0 and true are equal.
    assume(json.dumps(told[0], sort_keys=True) != json.dumps(told[1], sort_keys=True))
    assert form(told[0]) != form(told[1])


def test_numbers_too_long_for_a_processor_are_not_taken_for_one_another() -> None:
    assert form({"temperature": 0, "x": 2**64 + 1}) != form({"temperature": 0, "x": 2**64 + 2})


@pytest.mark.parametrize(
    "name", ["user", "metadata", "safety_identifier", "prompt_cache_key", "request_id", "priority"]
)
def test_what_engines_do_not_answer_to_does_not_matter(name: str) -> None:
    assert form({"temperature": 0, name: "x"}) == form({"temperature": 0})


def test_a_salt_keeps_apart() -> None:
    assert form({"temperature": 0, "cache_salt": "a"}) != form({"temperature": 0, "cache_salt": "b"})


def test_the_form_of_the_answer_matters_and_is_told_in_one_way() -> None:
    whole = form({"temperature": 0})
    stream = form({"temperature": 0, "stream": True})
    with_usage = form({"temperature": 0, "stream": True, "stream_options": {"include_usage": True}})
    assert len({whole, stream, with_usage}) == 3
    assert whole == form({"temperature": 0, "stream": False}) == form({"temperature": 0, "stream_options": None})
    without = {"include_usage": False, "continuous_usage_stats": False}
    assert stream == form({"temperature": 0, "stream": True, "stream_options": without})


@pytest.mark.parametrize(
    ("document", "determined"),
    [
        ({}, False),
        ({"temperature": 0}, True),
        ({"temperature": 0.0}, True),
        ({"temperature": 0.1}, False),
        ({"temperature": None}, False),
        ({"temperature": False}, False),
        ({"temperature": "0"}, False),
        ({"temperature": 1, "seed": 7}, True),
        ({"seed": 0}, True),
        ({"seed": -1}, False),
        ({"seed": True}, False),
        ({"seed": None}, False),
        ({"temperature": 0, "n": 1}, True),
        ({"temperature": 0, "n": 2}, False),
        ({"temperature": 0, "n": True}, False),
        ({"temperature": 0, "best_of": 3}, False),
        ({"temperature": 0, "tools": [{"type": "function"}], "logprobs": True}, True),
    ],
)
def test_chance_has_no_part_at_temperature_0_or_with_a_seed(document: dict[str, Any], determined: bool) -> None:
    assert is_determined(document) is determined
    for path in SAMPLING:
        assert (form(document, path) is not None) is determined
        assert form(document, path, sampled=True) is not None


@pytest.mark.parametrize("path", sorted(COMPUTED))
def test_what_follows_from_the_weights_is_kept_without_a_seed(path: str) -> None:
    assert form({"input": "x"}, path) is not None


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/audio/transcriptions", "/v1/models", ""])
def test_other_answers_are_never_kept(path: str) -> None:
    assert form({"temperature": 0}, path, sampled=True) is None


@given(st.binary(max_size=40) | values.map(lambda value: json.dumps(value).encode()))
def test_bytes_that_are_no_request_confuse_nobody(body: bytes) -> None:
    assert canonical(CHAT, body, sampled=True) is None or isinstance(json.loads(body), dict)


def test_json_that_is_too_deep_is_not_kept() -> None:
    assert canonical(CHAT, b'{"temperature":0,"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}") is None


parts = st.fixed_dictionaries(
    {
        "path": st.sampled_from([CHAT, "/v1/completions"]),
        "query": st.sampled_from([b"", b"a", b"aa"]),
        "model": st.sampled_from(["a", "aa", ""]),
        "identity": st.sampled_from([None, "", "a"]),
        "tenant": st.sampled_from([None, "", "a", "anonymous"]),
    }
)


@given(parts, parts)
def test_whatever_tells_two_answers_apart_is_in_the_key(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert (key_of(b"form", **one) == key_of(b"form", **other)) is (one == other)


def test_a_team_called_anonymous_is_not_those_without_a_key() -> None:
    told: dict[str, Any] = {"path": CHAT, "query": b"", "model": "demo", "identity": "x"}
    assert key_of(b"", **told, tenant="anonymous") != key_of(b"", **told, tenant=None)


@pytest.mark.parametrize(
    ("path", "streams", "status", "headers", "body", "whole"),
    [
        (CHAT, False, 200, JSON_HEAD, b'{"choices":[]}', True),
        (CHAT, False, 200, JSON_HEAD, b'{"choices":[{"finish_reason":"abort"}]}', False),
        (CHAT, False, 200, JSON_HEAD, b"", False),
        (CHAT, False, 400, JSON_HEAD, b'{"error":{}}', False),
        (CHAT, False, 206, JSON_HEAD, b"{}", False),
        (CHAT, True, 200, JSON_HEAD, b"{}", False),
        (CHAT, False, 200, EVENTS_HEAD, b"data: [DONE]\n\n", False),
        (CHAT, True, 200, EVENTS_HEAD, b"data: {}\n\ndata: [DONE]\n\n", True),
        (CHAT, True, 200, EVENTS_HEAD, b"data: {}\n\n", False),
        (CHAT, True, 200, EVENTS_HEAD, b'data: {"error": {"message": "x"}}\n\ndata: [DONE]\n\n', False),
        (CHAT, True, 200, EVENTS_HEAD, b'data: {"object":"error"}\n\ndata: [DONE]\n\n', False),
        (CHAT, True, 200, EVENTS_HEAD, rb'data: {"c":"\ndata: {\"error\":"}' + b"\n\ndata: [DONE]\n\n", True),
        ("/v1/messages", True, 200, EVENTS_HEAD, b'event: message_stop\ndata: {"type":"message_stop"}\n\n', True),
        ("/v1/messages", True, 200, EVENTS_HEAD, b"event: error\ndata: {}\n\nevent: message_stop\ndata: {}\n\n", False),
        ("/v1/responses", True, 200, EVENTS_HEAD, b"data: [DONE]\n\n", False),
    ],
)
def test_only_good_answers_that_say_their_end_are_kept(
    path: str, streams: bool, status: int, headers: list[Header], body: bytes, whole: bool
) -> None:
    assert is_whole(path, streams=streams, status=status, headers=headers, body=body) is whole


def test_the_length_of_the_first_answer_is_not_kept() -> None:
    assert kept_headers([(b"content-length", b"3"), (b"x", b"y")]) == ((b"x", b"y"),)


header_texts = st.binary(min_size=1, max_size=10)


@given(
    st.floats(0, 1e10), st.lists(st.tuples(header_texts, header_texts), max_size=3), st.binary(min_size=1, max_size=50)
)
def test_what_a_store_outside_gives_back_is_what_it_got(made: float, headers: list[Header], body: bytes) -> None:
    answer = Stored(made, tuple(headers), body)
    assert decode(encode(answer)) == answer


@given(st.binary(max_size=60))
def test_a_store_that_gives_something_else_has_no_answer(text: bytes) -> None:
    assert decode(text) is None or isinstance(decode(text), Stored)


@pytest.mark.parametrize("head", [b"[]", b"{}", b'{"made":true,"headers":[]}', b'{"made":1,"headers":[["a"]]}', b"x"])
def test_a_head_that_is_none_is_no_answer(head: bytes) -> None:
    assert decode(head + b"\nbody") is None
    assert decode(b'{"made":1,"headers":[]}') is None
