"""The rows of the matrix of clients: each does the same four things at a gateway. Used by `tests/clients`.

`chat` and `stream` answer the same question with nine tokens, `error` asks a model that there is not and returns what a
user is told, `cancel` begins an answer of 90,000 tokens, returns its first piece, and hangs up.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import anthropic
import ollama
import openai
import pytest
from langchain_openai import ChatOpenAI

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / "tests" / "clients" / "programs"
NODE_MODULES = ROOT / "examples" / "clients" / "node" / "node_modules"
CLIENTS_PYTHON = ROOT / ".venv-clients" / "bin" / "python"
REMEDY = "`make environment-clients` installs them"

MOST, ENDLESS, WRONG = 9, 90_000, "dmeo"
HELLO: list[Any] = [{"role": "user", "content": "Hello"}]


class Row(Protocol):
    """A client at a gateway."""

    def chat(self) -> str: ...
    def stream(self) -> list[str]: ...
    def error(self) -> str: ...
    def cancel(self) -> str: ...


class OpenAIRow:
    """OpenAI's client, and those that are made of it."""

    def __init__(self, client: openai.OpenAI) -> None:
        self._client = client

    def _ask(self, **more: Any) -> Any:
        asked = {"model": "demo", "messages": HELLO, "max_tokens": MOST, "temperature": 0, **more}
        return self._client.chat.completions.create(**asked)

    def chat(self) -> str:
        return str(self._ask().choices[0].message.content)

    def stream(self) -> list[str]:
        return [piece for chunk in self._ask(stream=True) if (piece := chunk.choices[0].delta.content)]

    def error(self) -> str:
        with pytest.raises(openai.NotFoundError) as caught:
            self._ask(model=WRONG)
        return str(caught.value)

    def cancel(self) -> str:
        with self._ask(stream=True, max_tokens=ENDLESS) as stream:
            return next(piece for chunk in stream if (piece := chunk.choices[0].delta.content))


class AsyncOpenAIRow:
    """OpenAI's client for event loops."""

    def __init__(self, url: str) -> None:
        self._url = url

    def _run(self, work: Callable[[Callable[..., Any]], Any]) -> Any:
        async def run() -> Any:
            async with openai.AsyncOpenAI(base_url=self._url, api_key="none", max_retries=0, timeout=60) as client:

                async def ask(**more: Any) -> Any:
                    asked = {"model": "demo", "messages": HELLO, "max_tokens": MOST, "temperature": 0, **more}
                    return await client.chat.completions.create(**asked)

                return await work(ask)

        return asyncio.run(run())

    def chat(self) -> str:
        async def work(ask: Callable[..., Any]) -> str:
            return str((await ask()).choices[0].message.content)

        return str(self._run(work))

    def stream(self) -> list[str]:
        async def work(ask: Callable[..., Any]) -> list[str]:
            return [piece async for chunk in await ask(stream=True) if (piece := chunk.choices[0].delta.content)]

        return list(self._run(work))

    def error(self) -> str:
        async def work(ask: Callable[..., Any]) -> str:
            with pytest.raises(openai.NotFoundError) as caught:
                await ask(model=WRONG)
            return str(caught.value)

        return str(self._run(work))

    def cancel(self) -> str:
        async def work(ask: Callable[..., Any]) -> str:
            first = asyncio.get_running_loop().create_future()

            async def read() -> None:
                async for chunk in await ask(stream=True, max_tokens=ENDLESS):
                    if (piece := chunk.choices[0].delta.content) and not first.done():
                        first.set_result(piece)

            reading = asyncio.create_task(read())
            piece = await asyncio.wait_for(first, 60)
            reading.cancel()
            await asyncio.wait([reading])
            return str(piece)

        return str(self._run(work))


class AnthropicRow:
    """Anthropic's client."""

    def __init__(self, client: anthropic.Anthropic) -> None:
        self._client = client

    def _asked(self, **more: Any) -> dict[str, Any]:
        return {
            "model": "demo",
            "messages": HELLO,
            "max_tokens": MOST,
            "extra_body": {"temperature": 0},
            **more,
        }

    def chat(self) -> str:
        (block,) = self._client.messages.create(**self._asked()).content
        return str(block.text)

    def stream(self) -> list[str]:
        with self._client.messages.stream(**self._asked()) as stream:
            return list(stream.text_stream)

    def error(self) -> str:
        with pytest.raises(anthropic.NotFoundError) as caught:
            self._client.messages.create(**self._asked(model=WRONG))
        return str(caught.value)

    def cancel(self) -> str:
        with self._client.messages.stream(**self._asked(max_tokens=ENDLESS)) as stream:
            return next(iter(stream.text_stream))


class OllamaRow:
    """Ollama's client."""

    def __init__(self, client: ollama.Client) -> None:
        self._client = client

    def _ask(self, *, model: str = "demo", most: int = MOST, stream: bool = False) -> Any:
        options = {"temperature": 0, "num_predict": most}
        return self._client.chat(model=model, messages=HELLO, options=options, stream=stream)  # type: ignore[call-overload]

    def chat(self) -> str:
        return str(self._ask().message.content)

    def stream(self) -> list[str]:
        return [piece for part in self._ask(stream=True) if (piece := part.message.content)]

    def error(self) -> str:
        with pytest.raises(ollama.ResponseError) as caught:
            self._ask(model=WRONG)
        assert caught.value.status_code == 404
        return str(caught.value)

    def cancel(self) -> str:
        stream = self._ask(stream=True, most=ENDLESS)
        piece = next(piece for part in stream if (piece := part.message.content))
        stream.close()
        return str(piece)


class LangChainRow:
    """LangChain's client for OpenAI's API."""

    def __init__(self, url: str) -> None:
        self._url = url

    def _client(self, *, model: str = "demo", most: int = MOST) -> Any:
        return ChatOpenAI(
            model=model, base_url=self._url, api_key="none", temperature=0, max_tokens=most, max_retries=0, timeout=60
        )  # type: ignore[call-arg]

    def chat(self) -> str:
        return str(self._client().invoke("Hello").content)

    def stream(self) -> list[str]:
        return [str(chunk.content) for chunk in self._client().stream("Hello") if chunk.content]

    def error(self) -> str:
        with pytest.raises(openai.NotFoundError) as caught:
            self._client(model=WRONG).invoke("Hello")
        return str(caught.value)

    def cancel(self) -> str:
        stream = self._client(most=ENDLESS).stream("Hello")
        piece = next(str(chunk.content) for chunk in stream if chunk.content)
        stream.close()
        return piece


@dataclass
class ProgramRow:
    """A client in a process of its own, which does all four and waits."""

    process: subprocess.Popen[str]
    log: Path
    seen: dict[str, Any] = field(default_factory=dict)

    def _look(self, what: str) -> Any:
        if not self.seen:
            assert self.process.stdout is not None
            line = self.process.stdout.readline()
            assert line, f"the program said nothing:\n{self.log.read_text()}"
            self.seen = json.loads(line)
        return self.seen[what]

    def chat(self) -> str:
        return str(self._look("chat"))

    def stream(self) -> list[str]:
        return list(self._look("stream"))

    def error(self) -> str:
        return str(self._look("error"))

    def cancel(self) -> str:
        return str(self._look("cancel"))


@dataclass(frozen=True)
class Dialect:
    """How curl asks in a dialect."""

    path: str
    body: Callable[[str, int, bool], dict[str, Any]]
    text: Callable[[Any], str]
    piece: Callable[[Any], str]
    message: Callable[[Any], str]
    wrong_path: str | None = None
    """Where the path names the model: that of one that there is not."""


@dataclass(frozen=True)
class CurlRow:
    """curl, which reads lines."""

    url: str
    dialect: Dialect

    def _command(self, model: str, most: int, stream: bool) -> list[str]:
        wrong = model == WRONG and self.dialect.wrong_path
        body = json.dumps(self.dialect.body(model, most, stream))
        json_header = "content-type: application/json"
        address = self.url + (wrong or self.dialect.path)
        return ["curl", "--silent", "--no-buffer", "--max-time", "120", address, "-H", json_header, "-d", body]

    def _ask(self, model: str = "demo", *, stream: bool = False) -> str:
        return subprocess.run(
            self._command(model, MOST, stream), capture_output=True, text=True, check=True, timeout=120
        ).stdout

    def _piece(self, line: str) -> str:
        data = line.removeprefix("data:").strip()
        return self.dialect.piece(json.loads(data)) if data.startswith("{") else ""

    def chat(self) -> str:
        return self.dialect.text(json.loads(self._ask()))

    def stream(self) -> list[str]:
        return [piece for line in self._ask(stream=True).splitlines() if (piece := self._piece(line))]

    def error(self) -> str:
        return self.dialect.message(json.loads(self._ask(WRONG)))

    def cancel(self) -> str:
        with subprocess.Popen(self._command("demo", ENDLESS, True), stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            piece = next(piece for line in process.stdout if (piece := self._piece(line)))
            process.terminate()
        return piece


def _openai(model: str, most: int, stream: bool) -> dict[str, Any]:
    return {"model": model, "messages": HELLO, "max_tokens": most, "temperature": 0, "stream": stream}


def _serverless(model: str, most: int, stream: bool) -> dict[str, Any]:
    return {"model": model, "messages": HELLO, "maxTokens": most, "temperature": 0, "stream": stream}


def _ollama(model: str, most: int, stream: bool) -> dict[str, Any]:
    return {
        "model": model,
        "messages": HELLO,
        "options": {"num_predict": most, "temperature": 0},
        "stream": stream,
    }


def _text(document: Any) -> str:
    return str(document["choices"][0]["message"]["content"])


def _piece(document: Any) -> str:
    return document["choices"][0]["delta"].get("content") or ""


def _message(document: Any) -> str:
    return str(document["error"]["message"])


_DEPLOYMENT = "/openai/deployments/{}/chat/completions?api-version=2024-10-21"
DIALECTS = {
    "openai": Dialect("/v1/chat/completions", _openai, _text, _piece, _message),
    "anthropic": Dialect(
        "/v1/messages",
        _openai,
        lambda document: str(document["content"][0]["text"]),
        lambda document: document.get("delta", {}).get("text") or "",
        _message,
    ),
    "azure": Dialect(_DEPLOYMENT.format("demo"), _openai, _text, _piece, _message, _DEPLOYMENT.format(WRONG)),
    "serverless": Dialect(
        "/api/v1/ai/chat/completions",
        _serverless,
        lambda document: _text(document["data"]),
        _piece,
        lambda it: it["msg"],
    ),
    "ollama": Dialect(
        "/api/chat",
        _ollama,
        lambda document: str(document["message"]["content"]),
        lambda document: str(document["message"]["content"]),
        lambda document: str(document["error"]),
    ),
}


@contextmanager
def _openai_row(url: str) -> Iterator[Row]:
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0, timeout=60) as client:
        yield OpenAIRow(client)


@contextmanager
def _azure_row(url: str) -> Iterator[Row]:
    with openai.AzureOpenAI(
        azure_endpoint=url, api_key="none", api_version="2024-10-21", max_retries=0, timeout=60
    ) as client:
        yield OpenAIRow(client)


@contextmanager
def _anthropic_row(url: str) -> Iterator[Row]:
    with anthropic.Anthropic(base_url=url, api_key="none", max_retries=0, timeout=60) as client:
        yield AnthropicRow(client)


@contextmanager
def _ollama_row(url: str) -> Iterator[Row]:
    with ollama.Client(host=url, timeout=60) as client:
        yield OllamaRow(client)


@contextmanager
def _program_row(command: list[str], folder: Path) -> Iterator[Row]:
    said = folder / "program.log"
    with (
        said.open("wb") as log,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, cwd=folder
        ) as process,
    ):
        try:
            yield ProgramRow(process, said)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(60)


def node() -> str:
    """Its command; skips the test where it cannot be had."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("there is no Node on this machine")
    if not NODE_MODULES.exists():
        pytest.skip(f"the clients in Node are not installed; {REMEDY}")
    return found


def clients_python() -> str:
    """The Python that has the clients which have no place beside vLLM; skips the test where it was not made."""
    if not CLIENTS_PYTHON.exists():
        pytest.skip(f"the clients in .venv-clients are not installed; {REMEDY}")
    return str(CLIENTS_PYTHON)


ROWS = [
    "openai",
    "openai-async",
    "openai-serverless",
    "openai-node",
    "azure",
    "anthropic",
    "ollama",
    "langchain",
    "llamaindex",
    "vercel",
    *(f"curl-{dialect}" for dialect in DIALECTS),
]


@contextmanager
def opened(name: str, url: str, folder: Path) -> Iterator[Row]:
    """The row of a name, at a gateway."""
    if name in ("openai-node", "vercel"):
        # Node looks for packages beside a program.
        (folder / "node_modules").symlink_to(NODE_MODULES)
        program = shutil.copy(PROGRAMS / "node.mjs", folder)
        with _program_row([node(), program, name.removesuffix("-node"), url], folder) as row:
            yield row
    elif name == "llamaindex":
        with _program_row([clients_python(), str(PROGRAMS / "llamaindex.py"), url], folder) as row:
            yield row
    elif name.startswith("curl-"):
        yield CurlRow(url, DIALECTS[name.removeprefix("curl-")])
    elif name == "openai-async":
        yield AsyncOpenAIRow(f"{url}/v1")
    elif name == "langchain":
        yield LangChainRow(f"{url}/v1")
    else:
        made = {
            "openai": lambda: _openai_row(f"{url}/v1"),
            "openai-serverless": lambda: _openai_row(f"{url}/api/v1/ai"),
            "azure": lambda: _azure_row(url),
            "anthropic": lambda: _anthropic_row(url),
            "ollama": lambda: _ollama_row(url),
        }[name]()
        with made as row:
            yield row
