"""The scanner of server-sent events."""

from __future__ import annotations

from itertools import pairwise

import orjson
from hypothesis import given
from hypothesis import strategies as st

from penstock.bench.events import EventScanner


def chunk(text: str | None, **more: object) -> bytes:
    delta = {} if text is None else {"content": text}
    return b"data: " + orjson.dumps({"choices": [{"index": 0, "delta": delta}], **more}) + b"\n\n"


def whole_stream(texts: list[str]) -> bytes:
    head = b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n: a comment\n\nevent: message\n'
    usage = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2 * len(texts)}}
    end = b"data: " + orjson.dumps(usage) + b"\n\ndata: [DONE]\n\n"
    return head + b"".join(chunk(text) for text in texts) + chunk(None, usage=None) + end


texts = st.lists(st.text(min_size=1, max_size=20), max_size=12)


@given(texts, st.data(), st.booleans())
def test_pieces_do_not_matter(words: list[str], data: st.DataObject, crlf: bool) -> None:
    stream = whole_stream(words)
    if crlf:
        stream = stream.replace(b"\n", b"\r\n")
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=20)) | {0, len(stream)})
    scanner = EventScanner()
    counted = sum(scanner.feed(stream[start:end]) for start, end in pairwise(cuts))
    assert counted == scanner.chunks == len(words)
    assert scanner.tokens == 2 * len(words)
    assert scanner.done
    assert scanner.error is None


@given(st.text())
def test_what_the_model_says_is_never_taken_for_the_protocol(text: str) -> None:
    scanner = EventScanner()
    hostile = f'{text}"content": "x" "usage": {{"completion_tokens": 9}} data: [DONE]\n\ndata: [DONE]\n'
    scanner.feed(chunk(hostile) + chunk('{"error": {"message": "no"}}'))
    assert (scanner.chunks, scanner.tokens, scanner.done, scanner.error) == (2, None, False, None)


def test_text_of_completions_reasoning_and_tool_arguments_counts() -> None:
    scanner = EventScanner()
    scanner.feed(b'data: {"choices": [{"text": "a"}]}\n\n')
    scanner.feed(b'data:{"choices":[{"delta":{"reasoning_content":"b"}}]}\n\n')
    scanner.feed(b'data: {"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"{"}}]}}]}\n\n')
    scanner.feed(b'data: {"choices":[{"text":"","finish_reason":"stop"}]}\n\n')
    assert scanner.chunks == 3


def test_an_error_event_is_an_error() -> None:
    scanner = EventScanner()
    scanner.feed(chunk("a") + b'data: {"error": {"message": "the engine is gone", "code": 502}}\n\n')
    assert scanner.error == "the engine is gone"
    assert not scanner.done


def test_a_broken_error_event_is_an_error_too() -> None:
    scanner = EventScanner()
    scanner.feed(b'data: {"error": "just text"}\n\n')
    assert scanner.error == '{"error": "just text"}'


def test_usage_that_makes_no_sense_is_left_out() -> None:
    scanner = EventScanner()
    scanner.feed(b'data: {"usage": {"completion_tokens": "many"}}\n\n')
    scanner.feed(b'data: {"usage": {}}\n\n')
    scanner.feed(b'data: {"usage": {\n\n')
    assert scanner.tokens is None
