"""The words of a streamed answer, whatever a server sends; and what a line of the person means."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.cli.chat_stream import Piece, StreamError, pieces, printable, sentence
from penstock.cli.chat_talk import Conversation, Do, Line, understand
from support.chat_servers import DONE, error, event


def _lines(*parts: bytes) -> list[bytes]:
    return b"".join(parts).splitlines(keepends=True)


def test_the_words_come_in_their_order_until_the_end() -> None:
    stream = _lines(b": hello\n\n", event("Par"), event("is."), event(finish="stop"), DONE, event("never"))
    assert list(pieces(stream)) == [Piece("Par"), Piece("is."), Piece(finish="stop")]


def test_thinking_aloud_is_told_from_the_answer() -> None:
    stream = _lines(event(reasoning="hm"), event(reasoning_content="well"), event("Yes."), DONE)
    assert list(pieces(stream)) == [Piece(reasoning="hm"), Piece(reasoning="well"), Piece("Yes.")]


def test_the_event_of_the_usage_says_nothing() -> None:
    assert list(pieces(_lines(b'data: {"choices": [], "usage": {"total_tokens": 3}}\n\n', DONE))) == []


def test_an_error_within_a_stream_is_raised_with_its_sentence() -> None:
    found = []
    with pytest.raises(StreamError, match="The engine stopped"):
        found.extend(pieces(_lines(event("Par"), error("The engine stopped."))))


def test_words_before_an_error_are_not_lost() -> None:
    found = []
    with contextlib.suppress(StreamError):
        for piece in pieces(_lines(event("Par"), error("The engine stopped."))):
            found.append(piece)  # noqa: PERF402  # what came before the error is the point
    assert found == [Piece("Par")]


@pytest.mark.parametrize("stream", [[], _lines(event("Par")), [b"data: {}"]])
def test_a_stream_without_its_end_is_an_error(stream: list[bytes]) -> None:
    with pytest.raises(StreamError, match="cut"):
        list(pieces(stream))


def test_an_event_that_is_no_json_is_an_error_that_shows_it() -> None:
    with pytest.raises(StreamError, match="no JSON: <html>"):
        list(pieces(_lines(b"data: <html>\n\n")))


def test_an_event_of_several_lines_is_one() -> None:
    assert list(pieces([b'data: {"choices":\n', b'data: [{"delta": {"content": "a"}}]}\n', b"\n", DONE])) == [
        Piece("a")
    ]


@given(st.lists(st.one_of(st.binary(max_size=40), st.builds(lambda data: b"data: " + data, st.binary(max_size=40)))))
def test_no_stream_raises_anything_else(stream: list[bytes]) -> None:
    with contextlib.suppress(StreamError):
        list(pieces(stream))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["choices", "delta", "content", "error", "message"]), inner)
    ),
)


@given(_JSON)
def test_no_json_in_an_event_raises_anything_else(body: object) -> None:
    with contextlib.suppress(StreamError):
        list(pieces([b"data: " + json.dumps(body).encode() + b"\n", b"\n"]))
    assert isinstance(sentence(body), str)


@given(st.text())
def test_nothing_that_moves_a_terminals_cursor_is_printed(text: str) -> None:
    assert not {chr(code) for code in [*range(9), *range(11, 32), *range(127, 160)]} & set(printable(text))


def test_letters_of_all_languages_are_printed() -> None:
    assert printable("Größe 大小 مرحبا 🎉\n\tfin") == "Größe 大小 مرحبا 🎉\n\tfin"


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("  hello ", Line(Do.SAY, "hello")),
        ("", Line(Do.NOTHING)),
        ("/reset", Line(Do.RESET)),
        ("/System  Be brief. ", Line(Do.SYSTEM, "Be brief.")),
        ("/model demo", Line(Do.MODEL, "demo")),
        ("/quit", Line(Do.EXIT)),
        ("/frobnicate now", Line(Do.UNKNOWN, "frobnicate")),
        ("//etc/passwd", Line(Do.SAY, "/etc/passwd")),
    ],
)
def test_a_line_means_what_the_help_says(line: str, meant: Line) -> None:
    assert understand(line) == meant


def test_a_conversation_sends_what_was_said_before() -> None:
    conversation = Conversation("Be brief.")
    conversation.heard("1?", "one")
    assert [message["content"] for message in conversation.asking("2?")] == ["Be brief.", "1?", "one", "2?"]
    assert [message["role"] for message in conversation.asking("2?")] == ["system", "user", "assistant", "user"]


def test_a_reset_forgets_what_was_said_and_keeps_how_to_be() -> None:
    conversation = Conversation("Be brief.")
    conversation.heard("1?", "one")
    conversation.reset()
    assert [message["content"] for message in conversation.asking("2?")] == ["Be brief.", "2?"]
