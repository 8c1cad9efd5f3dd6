"""The usage of a stream is asked for where the client did not, and taken out again; everything else passes as it is."""

from __future__ import annotations

import itertools
from collections import deque

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.gateway.bodies import Asked, asked, counted
from penstock.gateway.meter import LAST_CHUNKS, REMEMBERED, Meter
from penstock.gateway.usage import Usage

TOKEN = b'data: {"id":"x","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
QUOTING = b'data: {"id":"x","choices":[{"index":0,"delta":{"content":"\\"choices\\":[],\\"usage\\":{}"}}]}\n\n'
USAGE = b'data: {"id":"x","choices":[],"usage":{"prompt_tokens":7,"total_tokens":9,"completion_tokens":2}}\n\n'
RUNNING = b'data: {"choices":[{"delta":{}}],"usage":{"prompt_tokens":7,"completion_tokens":1}}\n\n'
ERROR = b'data: {"error":{"message":"broken"}}\n\n'
DONE = b"data: [DONE]\n\n"

EVENTS = st.lists(st.sampled_from([TOKEN, QUOTING, RUNNING, ERROR, b": waiting\n\n"]), max_size=8)


def through(meter: Meter, data: bytes, cuts: list[int]) -> bytes:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    pieces = [data[start:end] for start, end in itertools.pairwise(places)]
    return b"".join(map(meter.feed, pieces)) + meter.rest()


def meter_of(*, strips: bool, streams: bool = True) -> Meter:
    # Many more chunks than a real stream is cut into, because these tests cut between any two bytes.
    return Meter(deque(maxlen=1000), streams=streams, strips=strips)


@given(EVENTS, st.lists(st.integers(0, 2000), max_size=20))
def test_only_the_usage_is_taken_out_however_the_stream_is_cut(events: list[bytes], cuts: list[int]) -> None:
    meter = meter_of(strips=True)
    assert through(meter, b"".join([*events, USAGE, DONE]), cuts) == b"".join([*events, DONE])
    assert meter.usage() == Usage(7, 2)


@given(EVENTS, st.lists(st.integers(0, 2000), max_size=20))
def test_a_client_that_asked_gets_every_byte(events: list[bytes], cuts: list[int]) -> None:
    data = b"".join([*events, USAGE, DONE])
    meter = meter_of(strips=False)
    assert through(meter, data, cuts) == data
    assert meter.usage() == Usage(7, 2)


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_any_bytes_pass_whole_that_are_no_usage(chunks: list[bytes]) -> None:
    meter = meter_of(strips=True)
    assert b"".join(map(meter.feed, chunks)) + meter.rest() == b"".join(chunks)


def test_an_event_without_end_is_not_kept_for_ever() -> None:
    meter = meter_of(strips=True)
    chunk = b"x" * 2**16
    passed = [meter.feed(chunk) for _ in range(20)]
    assert b"".join(passed) == chunk * 17, "what was held back passes once it is too much"


def test_only_the_end_of_a_long_stream_is_remembered() -> None:
    last: deque[bytes] = deque(maxlen=LAST_CHUNKS)
    meter = Meter(last, streams=True, strips=True)
    for _ in range(100):
        assert meter.feed(TOKEN) == TOKEN
    assert meter.feed(USAGE) == b""
    meter.feed(DONE)
    assert meter.usage() == Usage(7, 2)
    assert len(last) == LAST_CHUNKS


def test_the_usage_of_a_whole_answer_is_found_before_much_else() -> None:
    meter = meter_of(strips=False, streams=False)
    answer = b'{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":5},"prompt_logprobs":"' + b"x" * 10**6
    assert meter.feed(answer) == answer
    assert meter.usage() == Usage(3, 5)


def test_only_the_end_of_a_large_answer_is_remembered() -> None:
    last: deque[bytes] = deque()
    meter = Meter(last, streams=False, strips=False)
    for _ in range(100):
        meter.feed(b"x" * 2**16)
    meter.feed(b'{"usage":{"prompt_tokens":3,"completion_tokens":5}}')
    assert meter.usage() == Usage(3, 5)
    assert sum(map(len, last)) <= REMEMBERED


def test_a_prompt_of_which_nothing_came_counts_for_nothing_as_the_engine_counts() -> None:
    meter = meter_of(strips=False, streams=False)
    meter.feed(b'{"usage":{"prompt_tokens":3,"completion_tokens":0}}')
    assert meter.usage(aborted=True) == Usage()
    assert meter.usage() == Usage(3, 0)


def test_a_stream_that_the_engine_breaks_off_is_guessed() -> None:
    meter = meter_of(strips=True)
    assert meter.guess(400) is None
    for _ in range(3):
        meter.feed(TOKEN)
    assert meter.usage() is None
    assert meter.guess(400) == Usage(100, 3, exact=False)


def body_for_the_engine(body: bytes, endpoint: str = "/v1/chat/completions") -> tuple[bytes, bool]:
    return counted(body, asked(body, b"application/json", "json", 32), endpoint, "id-1")


@pytest.mark.parametrize("endpoint", ["/v1/chat/completions", "/v1/completions"])
def test_the_usage_is_asked_for_without_touching_the_clients_bytes(endpoint: str) -> None:
    body = b' {"model" :\t"demo", "odd": 1e5, "stream":true, "text": "\xc3\xa9\\u00e9"}'
    made, strips = body_for_the_engine(body, endpoint)
    assert strips
    assert made == b' {"stream_options":{"include_usage":true},' + body[2:]
    assert orjson.loads(made)["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(
    "options", [None, {}, {"include_usage": False}, {"include_usage": None, "continuous_usage_stats": True, "more": 1}]
)
def test_options_that_ask_for_no_usage_are_changed(options: dict[str, object] | None) -> None:
    body = orjson.dumps({"model": "demo", "stream": True, "stream_options": options, "temperature": 0.1})
    made, strips = body_for_the_engine(body)
    assert strips
    document = orjson.loads(made)
    assert document["stream_options"]["include_usage"] is True
    assert document["stream_options"]["continuous_usage_stats"] is False
    assert {**document, "stream_options": options} == orjson.loads(body)


@pytest.mark.parametrize(
    ("document", "endpoint"),
    [
        ({"stream": True, "stream_options": {"include_usage": True}}, "/v1/chat/completions"),
        ({"stream": True, "stream_options": "wrong"}, "/v1/chat/completions"),
        ({"stream": False}, "/v1/chat/completions"),
        ({}, "/v1/completions"),
        ({"stream": True}, "/v1/messages"),
        ({}, "/v1/embeddings"),
        ({"request_id": "mine"}, "/v1/responses"),
    ],
)
def test_nothing_is_changed_where_nothing_is_needed(document: dict[str, object], endpoint: str) -> None:
    body = orjson.dumps({"model": "demo", **document})
    assert body_for_the_engine(body, endpoint) == (body, False)


def test_a_response_gets_a_name_by_which_it_can_be_stopped() -> None:
    made, strips = body_for_the_engine(b'{"model":"demo"}', "/v1/responses")
    assert (orjson.loads(made), strips) == ({"request_id": "resp_id-1", "model": "demo"}, False)


def test_forms_pass_unchanged() -> None:
    assert counted(b"--x", Asked("demo"), "/v1/audio/transcriptions", "id-1") == (b"--x", False)
