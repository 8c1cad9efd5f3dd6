"""The clients of `examples/clients` as they stand there, against the demo model and a real embedding model."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from penstock.config import Document
from support.client_rows import clients_python, node
from support.deployments import CHAT, EMBEDDING, Deployment

CLIENTS = Path(__file__).parents[2] / "examples" / "clients"
SAID = "The capital of France is Paris."


def _python() -> list[str]:
    return [sys.executable]


def _llamaindex() -> list[str]:
    return [clients_python()]


def _node() -> list[str]:
    return [node()]


def _curl() -> list[str]:
    return ["bash"]


RUN: dict[str, Callable[[], list[str]]] = {
    "curl/chat.sh": _curl,
    "python/agent.py": _python,
    "python/chat.py": _python,
    "python/langchain_client.py": _python,
    "python/llamaindex_client.py": _llamaindex,
    "python/ollama_client.py": _python,
    "python/search.py": _python,
    "node/chat.mjs": _node,
    "node/vercel.mjs": _node,
}


def _said(deployment: Deployment, command: list[str], folder: Path = CLIENTS) -> str:
    environment = {**os.environ, "PENSTOCK_URL": deployment.url}
    done = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _run(deployment: Deployment, program: str) -> list[str]:
    return _said(deployment, [*RUN[program](), program]).splitlines()


@pytest.mark.parametrize("program", ["python/chat.py", "python/ollama_client.py", "node/chat.mjs"])
@pytest.mark.engine
@pytest.mark.timeout(900)
def test_a_chat_says_the_same_whole_and_streamed(running_penstock: Deployment, program: str) -> None:
    assert _run(running_penstock, program) == [SAID, SAID]


@pytest.mark.parametrize("program", ["python/langchain_client.py", "node/vercel.mjs"])
@pytest.mark.engine
@pytest.mark.timeout(900)
def test_a_framework_chats_streams_and_embeds(running_penstock: Deployment, program: str) -> None:
    assert _run(running_penstock, program) == [SAID, SAID, "384 numbers"]


@pytest.mark.engine
@pytest.mark.timeout(900)
def test_llamaindex_finds_a_text_by_meaning(running_penstock: Deployment) -> None:
    whole, streamed, found = _run(running_penstock, "python/llamaindex_client.py")
    assert (whole, streamed) == (SAID, SAID)
    assert found.startswith("Bread rises")


@pytest.mark.engine
@pytest.mark.timeout(900)
def test_an_agent_calls_its_tool(running_penstock: Deployment) -> None:
    called, answer = _run(running_penstock, "python/agent.py")[:2]
    assert called.startswith("get_time(")
    assert called.endswith((" UTC", " CET"))
    assert answer


@pytest.mark.engine
@pytest.mark.timeout(900)
def test_a_search_finds_what_is_meant(running_penstock: Deployment) -> None:
    best, *_ = _run(running_penstock, "python/search.py")
    assert best.endswith("Bread rises because yeast makes gas of sugar.")


@pytest.mark.engine
@pytest.mark.timeout(900)
def test_curl_asks_in_every_dialect(running_penstock: Deployment) -> None:
    shown = _said(running_penstock, [*_curl(), "curl/chat.sh"])
    parts = shown.split("\n== ")[1:]
    assert [part.splitlines()[0] for part in parts] == [
        "OpenAI",
        "OpenAI, streamed",
        "Anthropic",
        "Azure OpenAI",
        "Serverless platforms",
        "Ollama",
    ]
    assert all("Paris" in part for part in parts), shown
    assert "data: [DONE]" in parts[1]
    assert '"msg":"Operation successful"' in parts[4]
    assert '"done":true' in parts[5]


@pytest.mark.engine
@pytest.mark.timeout(900)
def test_go_needs_nothing_but_its_library(running_penstock: Deployment, tmp_path: Path) -> None:
    if shutil.which("go") is None:
        pytest.skip("there is no Go on this machine")
    built = tmp_path / "client"
    environment = {**os.environ, "GOFLAGS": "-mod=mod", "GOPROXY": "off"}
    subprocess.run(["go", "build", "-o", str(built), "."], cwd=CLIENTS / "go", env=environment, check=True, timeout=600)
    assert _said(running_penstock, [str(built)]).splitlines() == [SAID, SAID]


def test_every_client_is_run_and_listed() -> None:
    programs = {
        str(path.relative_to(CLIENTS))
        for path in CLIENTS.rglob("*")
        if path.suffix in (".sh", ".py", ".mjs", ".go") and "node_modules" not in path.parts
    }
    assert programs == {*RUN, "go/main.go"}
    page = (CLIENTS / "README.md").read_text()
    assert {program for program in programs if f"]({program})" not in page} == set()


def test_they_ask_models_of_the_example() -> None:
    text = (CLIENTS.parent / "chat-and-embedding.yaml").read_text()
    document = Document.model_validate(yaml.safe_load(text))
    assert set(document.models) == {CHAT, EMBEDDING}
