"""`penstock chat`: a conversation in the terminal, or one question and its answer."""

from __future__ import annotations

import contextlib
import importlib
import signal
import sys
from collections.abc import Callable, Generator
from types import FrameType
from typing import Annotated, Any, NamedTuple, Self

import typer
from rich.console import Console
from rich.text import Text

from penstock.cli import exits, session
from penstock.cli.chat_server import Server
from penstock.cli.chat_stream import Piece, printable
from penstock.cli.chat_talk import HELP, Conversation, Do, understand
from penstock.environment import variable
from penstock.errors import DocumentError, NotRunningError, PenstockError

_DEFAULT_URL = "http://127.0.0.1:8000"


class _Interrupts:
    """Whether Ctrl-C came, also where its exception was lost in a library on the way."""

    def __init__(self) -> None:
        self.seen = False
        self._before: Any = None

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.seen = True
        raise KeyboardInterrupt


class _Sampling(NamedTuple):
    temperature: float | None
    max_tokens: int | None


def chat(
    *,
    model: Annotated[str | None, typer.Argument(help="The model; the only one without.", metavar="MODEL")] = None,
    prompt: Annotated[
        str | None, typer.Option("--prompt", "-p", help="Ask this, print the answer and leave.", metavar="TEXT")
    ] = None,
    url: Annotated[
        str | None, typer.Option(help=f"The address; the running Penstock's, else {_DEFAULT_URL}.", metavar="URL")
    ] = None,
    system: Annotated[str, typer.Option(help="Tell the model how to be.", metavar="TEXT")] = "",
    temperature: Annotated[
        float, typer.Option(help="0 always picks the likeliest word; higher is more varied.", min=0, max=2)
    ] = 0.0,
    max_tokens: Annotated[int | None, typer.Option(help="Longest answer, in tokens.", min=1)] = None,
    api_key_env: Annotated[
        str | None, typer.Option(help="Variable that holds the key, where the address asks for one.", metavar="NAME")
    ] = None,
) -> None:
    """Talk to a served model. In the conversation, /help lists what else there is.

    With -p, or with a question on standard input, it prints the answer and leaves.

    Example: penstock chat

    Example: penstock chat demo -p "What is the capital of France?"
    """
    running = session.running() if url is None else None
    server = Server(url or (running.url if running else _DEFAULT_URL), key=_key(api_key_env))
    sampling = _Sampling(temperature, max_tokens)
    conversation = Conversation(system)
    alone = prompt is not None or not sys.stdin.isatty()
    if alone:
        question = prompt if prompt is not None else _standard_input()
        _answer(server, _choose(server, model, ask=None), conversation, question, sampling)
        return
    # For its side effect: lines can be edited, and called back with the arrow keys.
    with contextlib.suppress(ImportError):
        importlib.import_module("readline")
    _Dialogue(server, _choose(server, model, ask=input), conversation, sampling).run(input)


def _key(name: str | None) -> str | None:
    if name is None:
        return None
    key = (variable(name) or "").strip()
    if not key:
        raise DocumentError(f"--api-key-env: the variable {name} is empty or not set.", remedy=f"export {name}=...")
    if not (key.isascii() and key.isprintable()):
        raise DocumentError(f"--api-key-env: what the variable {name} holds is no key.", remedy=f"export {name}=...")
    return key


def _standard_input() -> str:
    try:
        question = sys.stdin.buffer.read().decode("utf-8").strip()
    except UnicodeDecodeError:
        raise DocumentError("The question on standard input is not valid UTF-8.") from None
    if not question:
        raise DocumentError("Standard input holds no question.", remedy='Give one: penstock chat -p "Who are you?"')
    return question


def _choose(server: Server, wanted: str | None, ask: Callable[[str], str] | None) -> str:
    """The model to talk to: the one that is named, the only one, or the one that the person picks."""
    if wanted is not None:
        return wanted
    names = server.models()
    if not names:
        raise NotRunningError(f"{server.url} serves no model.", remedy="Add one under models, then: penstock apply")
    if len(names) == 1:
        return names[0]
    listed = ", ".join(names)
    if ask is None:
        raise DocumentError(f"{server.url} serves several models.", remedy=f"Name one of them: {listed}")
    while True:
        try:
            given = ask(f"Which model ({listed})? ").strip()
        except EOFError:
            raise typer.Exit from None
        if given in names:
            return given


def _answer(server: Server, model: str, conversation: Conversation, question: str, sampling: _Sampling) -> None:
    """Print one answer and nothing else."""
    plain = not sys.stdout.isatty()
    last = "\n"
    finish = None
    with contextlib.closing(_pieces(server, model, conversation, question, sampling)) as pieces:
        for piece in pieces:
            text = piece.text if plain else printable(piece.text)
            sys.stdout.write(text)
            sys.stdout.flush()
            last, finish = text or last, piece.finish or finish
    if not last.endswith("\n"):
        sys.stdout.write("\n")
    if finish == "length":
        print("(the answer was cut at its longest length)", file=sys.stderr)


def _pieces(
    server: Server, model: str, conversation: Conversation, question: str, sampling: _Sampling
) -> Generator[Piece]:
    return server.answer(model, conversation.asking(question), **sampling._asdict())


class _Dialogue:
    """The conversation in a terminal."""

    def __init__(self, server: Server, model: str, conversation: Conversation, sampling: _Sampling) -> None:
        self._server = server
        self._model = model
        self._conversation = conversation
        self._sampling = sampling
        self._console = Console(highlight=False)

    def run(self, ask: Callable[[str], str]) -> None:
        """Until the person leaves."""
        self._note(f"{self._model} at {self._server.url}. /help shows what there is, Ctrl-D leaves.")
        while True:
            try:
                line = understand(ask("> "))
            except EOFError:
                self._console.print()
                return
            except KeyboardInterrupt:
                self._note("\nCtrl-D leaves.")
                continue
            if line.do is Do.EXIT:
                return
            with _Interrupts() as interrupts:
                try:
                    self._obey(line.do, line.text)
                except KeyboardInterrupt:
                    self._note("\nstopped")
                except PenstockError as error:
                    if interrupts.seen:
                        # It met the interrupt half-way: what broke is what the person stopped.
                        self._note("\nstopped")
                    else:
                        exits.tell(error)

    def _obey(self, do: Do, text: str) -> None:
        match do:
            case Do.SAY:
                self._talk(text)
            case Do.RESET:
                self._conversation.reset()
                self._note("It has forgotten what was said.")
            case Do.SYSTEM:
                if text:
                    self._conversation.system = text
                self._note(f"system: {self._conversation.system or 'nothing'}")
            case Do.MODELS:
                names = self._server.models()
                self._note("\n".join(f"{'*' if name == self._model else ' '} {name}" for name in names))
            case Do.MODEL:
                self._switch(text)
            case Do.HELP:
                self._note(HELP)
            case Do.UNKNOWN:
                self._note(f"There is no /{text}. To say a line that begins with /, write //.\n{HELP}")

    def _switch(self, name: str) -> None:
        names = self._server.models()
        if name in names:
            self._model = name
            self._note(f"Now with {name}; what was said stays.")
        else:
            self._note(f"There is no model {name!r}. /model takes one of: {', '.join(names)}")

    def _talk(self, question: str) -> None:
        said: list[str] = []
        thinking = False
        finish = None
        pieces = _pieces(self._server, self._model, self._conversation, question, self._sampling)
        try:
            with contextlib.closing(pieces), self._console.status("", spinner="dots") as waiting:
                for piece in pieces:
                    waiting.stop()
                    if thinking and piece.text:
                        self._console.print("\n")
                    thinking = bool(piece.reasoning) or (thinking and not piece.text)
                    # Before it is shown: Ctrl-C may come in between, and what was read must not be forgotten.
                    said += [piece.text] if piece.text else []
                    self._show(piece)
                    finish = piece.finish or finish
        finally:
            # A stopped answer is part of the conversation; a question without any answer is not.
            if said:
                self._conversation.heard(question, "".join(said))
                self._console.print()
        if finish == "length":
            self._note("(the answer was cut at its longest length)")

    def _show(self, piece: Piece) -> None:
        if piece.reasoning:
            self._console.print(Text(printable(piece.reasoning), "dim"), end="", soft_wrap=True)
        self._console.file.write(printable(piece.text))
        self._console.file.flush()

    def _note(self, text: str) -> None:
        self._console.print(Text(printable(text), "dim"), soft_wrap=True)
