"""`penstock chat` against a scripted server, and in a real terminal."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from penstock.cli import session
from penstock.cli.main import main
from support.chat_servers import CUT, DONE, UNTIL_HUNG_UP, ChatServer, chat_server, error, event, refusal
from support.engines import SimulatorServer

pytestmark = pytest.mark.integration


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chat_server() as server:
        server.script = [event("The capital of France "), event("is Paris."), event(finish="stop"), DONE]
        yield server


def _ask(server: ChatServer, *arguments: str) -> int:
    return main(["chat", "--url", server.url, "-p", "What is the capital of France?", *arguments])


def test_one_question_prints_the_answer_and_nothing_else(
    server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _ask(server) == 0
    assert capsys.readouterr() == ("The capital of France is Paris.\n", "")
    assert server.asked == [
        {
            "model": "demo",
            "messages": [{"role": "user", "content": "What is the capital of France?"}],
            "stream": True,
            "temperature": 0.0,
        }
    ]


def test_what_the_options_say_is_sent(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", "sk-1")
    arguments = [
        "other",
        "--system",
        "Be brief.",
        "--temperature",
        "0.5",
        "--max-tokens",
        "7",
        "--api-key-env",
        "A_KEY",
    ]
    assert _ask(server, *arguments) == 0
    (asked,) = server.asked
    assert (asked["model"], asked["temperature"], asked["max_tokens"]) == ("other", 0.5, 7)
    assert asked["messages"][0] == {"role": "system", "content": "Be brief."}
    assert server.keys == ["Bearer sk-1"]


@pytest.mark.parametrize("tail", ["", "/", "/v1", "/v1/"])
def test_the_address_is_understood_with_and_without_its_path(server: ChatServer, tail: str) -> None:
    server.url += tail
    assert _ask(server) == 0


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://a", "http://", "http://a:99999999", "http://[::1"])
def test_what_is_no_address_ends_with_2(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chat", "--url", url, "-p", "hi"]) == 2
    assert "is no address" in capsys.readouterr().err


def test_a_key_that_is_not_there_ends_with_2_before_anything_is_asked(
    server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _ask(server, "--api-key-env", "NO_SUCH_VARIABLE") == 2
    assert "NO_SUCH_VARIABLE is empty or not set" in capsys.readouterr().err
    assert not server.keys


def test_the_running_penstock_is_talked_to_without_an_address(
    server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    session.write(session.own("127.0.0.1:1", server.url))
    assert main(["chat", "-p", "What is the capital of France?"]) == 0
    assert capsys.readouterr().out == "The capital of France is Paris.\n"


def test_nobody_at_the_address_ends_with_4(capsys: pytest.CaptureFixture[str]) -> None:
    with chat_server() as gone:
        url = gone.url
    assert main(["chat", "--url", url, "-p", "hi"]) == 4
    assert "penstock up" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("status", "exit_status", "hint"),
    [(401, 1, "--api-key-env"), (404, 2, "chat MODEL"), (400, 1, ""), (429, 5, ""), (503, 5, "")],
)
def test_a_refusal_is_told_in_the_servers_own_sentence(
    server: ChatServer, capsys: pytest.CaptureFixture[str], status: int, exit_status: int, hint: str
) -> None:
    server.refuses = (status, refusal("It is not to be."))
    assert _ask(server, "demo") == exit_status
    told = capsys.readouterr().err
    assert "It is not to be." in told
    assert hint in told


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"\xff", b'{"error": null}', b"[" * 100_000])
def test_a_refusal_that_says_nothing_is_told_all_the_same(
    server: ChatServer, capsys: pytest.CaptureFixture[str], body: bytes
) -> None:
    server.refuses = (502, body)
    assert _ask(server, "demo") == 5
    assert "502" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ([event("Par"), error("The engine stopped.")], "The engine stopped."),
        ([event("Par"), CUT], "broke|cut"),
        ([event("Par")], "cut"),
        ([event("Par"), b"data: <html>\n\n"], "no JSON"),
    ],
)
def test_an_answer_that_breaks_keeps_its_words_and_ends_with_5(
    server: ChatServer, capsys: pytest.CaptureFixture[str], script: list[bytes], told: str
) -> None:
    server.script = script
    assert _ask(server) == 5
    captured = capsys.readouterr()
    assert captured.out.startswith("Par")
    assert re.search(told, captured.err)


def test_an_answer_that_was_cut_at_its_length_says_so(server: ChatServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.script = [event("The"), event(finish="length"), DONE]
    assert _ask(server) == 0
    assert capsys.readouterr() == ("The\n", "(the answer was cut at its longest length)\n")


def test_an_answer_that_is_no_stream_ends_with_5(server: ChatServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.content_type = "text/html"
    assert _ask(server) == 5
    assert "something else than a stream" in capsys.readouterr().err


def test_several_models_and_nobody_to_ask_ends_with_their_names(
    server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.models = ["a", "b"]
    assert _ask(server) == 2
    assert "Name one of them: a, b" in capsys.readouterr().err


def test_a_question_on_standard_input_gets_a_plain_answer(
    server: ChatServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("Größe?\nWirklich?\n".encode())))
    assert main(["chat", "--url", server.url]) == 0
    assert capsys.readouterr().out == "The capital of France is Paris.\n"
    assert server.asked[0]["messages"][0]["content"] == "Größe?\nWirklich?"


@pytest.mark.parametrize("data", [b"", b" \n", b"\xff\xfe"])
def test_a_question_that_is_none_ends_with_2(
    server: ChatServer, data: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert main(["chat", "--url", server.url]) == 2
    assert not server.asked
    assert "tandard input" in capsys.readouterr().err


def test_the_simulator_is_talked_to_as_any_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with SimulatorServer(log=tmp_path / "log", options={"output_tokens": 5}) as simulator:
        assert main(["chat", "--url", simulator.url, "-p", "hi"]) == 0
    assert len(capsys.readouterr().out.split()) >= 1


_OWN_TERMINAL = (
    "import fcntl, os, signal, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    # Where the tests run in the background, this would be ignored.
    "signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
)


class _Terminal:
    """`penstock chat` in a terminal of its own."""

    def __init__(self, server: ChatServer) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", _OWN_TERMINAL, sys.executable, "-m", "penstock", "chat", "--url", server.url],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
            start_new_session=True,
        )
        os.close(theirs)
        self.screen = ""

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def shows(self, text: str, *, within: float = 90) -> None:
        """Wait until a text was shown since the last such wait."""
        self._until(lambda: text in self.screen, text, within)
        self.screen = self.screen[self.screen.index(text) + len(text) :]

    def interrupts_until(self, text: str, *, within: float = 90) -> None:
        """Ctrl-C, and again every second: one that comes a moment before the prompt waits for keys is not looked at
        until the next key."""
        limit = time.monotonic() + within
        while text not in self.screen and time.monotonic() < limit:
            self.type("\x03")
            with contextlib.suppress(AssertionError):
                self._until(lambda: text in self.screen, text, 1)
        self.shows(text)

    def ends(self, *, within: float = 90) -> int:
        self._until(lambda: self.process.poll() is not None, "the end", within)
        return int(self.process.returncode)

    def _until(self, condition: Callable[[], bool], what: str, within: float) -> None:
        limit = time.monotonic() + within
        while not condition():
            assert time.monotonic() < limit, f"{what!r} did not come; the screen shows {self.screen!r}"
            if select.select([self._ours], [], [], 0.05)[0]:
                try:
                    self.screen += os.read(self._ours, 65536).decode(errors="replace")
                except OSError:  # the other side is closed
                    self.process.wait(60)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._ours)


@pytest.fixture
def terminal(server: ChatServer) -> Iterator[_Terminal]:
    terminal = _Terminal(server)
    try:
        yield terminal
    finally:
        terminal.close()


def test_a_conversation_remembers_and_forgets(server: ChatServer, terminal: _Terminal) -> None:
    terminal.shows("> ")
    terminal.type("first\n")
    terminal.shows("is Paris.")
    terminal.shows("> ")
    terminal.type("second\n")
    terminal.shows("is Paris.")
    terminal.type("/reset\n")
    terminal.shows("forgotten")
    terminal.type("/system Be brief.\n")
    terminal.shows("system: Be brief.")
    terminal.type("third\n")
    terminal.shows("is Paris.")
    terminal.shows("> ")
    terminal.type("/models\n")
    terminal.shows("* demo")
    terminal.type("/what\n")
    terminal.shows("There is no /what")
    terminal.shows("> ")
    terminal.type("\x04")
    assert terminal.ends() == 0
    assert [[message["content"] for message in asked["messages"]] for asked in server.asked] == [
        ["first"],
        ["first", "The capital of France is Paris.", "second"],
        ["Be brief.", "third"],
    ]


def test_ctrl_c_stops_an_answer_at_the_server_and_not_the_conversation(server: ChatServer, terminal: _Terminal) -> None:
    server.script = [event("Well, "), UNTIL_HUNG_UP]
    terminal.shows("> ")
    terminal.type("first\n")
    terminal.shows("Well, ")
    terminal.type("\x03")
    terminal.shows("stopped")
    assert server.hung_up.wait(60)
    server.script = [event("Yes."), DONE]
    terminal.shows("> ")
    terminal.interrupts_until("Ctrl-D leaves")
    terminal.type("second\n")
    terminal.shows("Yes.")
    terminal.shows("> ")
    terminal.type("/exit\n")
    assert terminal.ends() == 0
    assert [message["content"] for message in server.asked[1]["messages"]] == ["first", "Well, ", "second"]


def test_an_error_does_not_end_the_conversation_and_the_question_can_be_asked_again(
    server: ChatServer, terminal: _Terminal
) -> None:
    server.script = [error("The engine stopped.")]
    terminal.shows("> ")
    terminal.type("first\n")
    terminal.shows("The engine stopped.")
    server.script = [event("Yes."), DONE]
    terminal.shows("> ")
    terminal.type("again\n")
    terminal.shows("Yes.")
    terminal.shows("> ")
    terminal.type("\x04")
    assert terminal.ends() == 0
    assert [message["content"] for message in server.asked[1]["messages"]] == ["again"]


def test_of_several_models_the_person_picks(server: ChatServer) -> None:
    server.models = ["a", "b"]
    terminal = _Terminal(server)
    try:
        terminal.shows("Which model (a, b)?")
        terminal.type("c\n")
        terminal.shows("Which model (a, b)?")
        terminal.type("b\n")
        terminal.shows("> ")
        terminal.type("/model a\n")
        terminal.shows("Now with a")
        terminal.type("hi\n")
        terminal.shows("is Paris.")
        terminal.shows("> ")
        terminal.type("\x04")
        assert terminal.ends() == 0
    finally:
        terminal.close()
    assert server.asked[0]["model"] == "a"
