"""The rows of the matrix of clients in the README. Used by `tests/clients` and `tests/sdk`."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anthropic
import ollama
import openai
import pytest

from support.curl_clients import DIALECTS, CurlRow
from support.python_clients import AnthropicRow, AsyncOpenAIRow, LangChainRow, OllamaRow, OpenAIRow, Row

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / "tests" / "clients" / "programs"
NODE_MODULES = ROOT / "examples" / "clients" / "node" / "node_modules"
CLIENTS_PYTHON = ROOT / ".venv-clients" / "bin" / "python"
REMEDY = "`make environment-clients` installs them"


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
