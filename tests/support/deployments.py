"""A running Penstock as the suites of the SDKs see it: its address, and its engines where they are on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from support.started import until

CHAT = "demo"
"""The demo model."""

ALIAS = "default"
"""Another name of it."""

EMBEDDING = "all-minilm-l6-v2"
"""A real embedding model of 384 numbers."""

CONTEXT = 1024
"""Tokens of context of the chat model."""


@dataclass(frozen=True)
class Deployment:
    """Where it is. `state` is its state folder; None where it runs on another machine."""

    url: str
    state: Path | None = None

    @property
    def api(self) -> str:
        """The base_url of OpenAI's SDK."""
        return f"{self.url}/v1"

    def engine_url(self, model: str) -> str:
        """The address of the model's only engine, behind the gateway. Skips the test where it cannot be reached."""
        if self.state is None:
            pytest.skip("the engines are on another machine; name the state folder with --penstock-state")
        done = subprocess.run(
            [sys.executable, "-m", "penstock", "status", "--json"],
            env={**os.environ, "PENSTOCK_STATE_DIR": str(self.state)},
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        (entry,) = (entry for entry in json.loads(done.stdout)["models"] if entry["name"] == model)
        (replica,) = entry["replicas"]
        (port,) = (port for pid in replica["engine_pids"] if (port := _port_option(pid)) is not None)
        return f"http://127.0.0.1:{port}"


def requests_running(engine_url: str) -> int:
    """Requests that the engine is working on, by vLLM's own count."""
    return _metric(engine_url, "vllm:num_requests_running")


def generated_tokens(engine_url: str) -> int:
    """Tokens that the engine has made since it started."""
    return _metric(engine_url, "vllm:generation_tokens_total")


def until_running(engine_url: str, count: int, limit: float = 30.0) -> None:
    """Wait until the engine works on exactly so many requests."""
    until(lambda: requests_running(engine_url) == count, limit=limit, what=f"{count} running requests", every=0.02)


def _metric(engine_url: str, name: str) -> int:
    text = httpx.get(f"{engine_url}/metrics", timeout=30).text
    (line,) = (line for line in text.splitlines() if line.startswith(f"{name}{{"))
    return int(float(line.rsplit(" ", 1)[1]))


def _port_option(pid: int) -> int | None:
    """The port of the engine's HTTP server. Its other processes have ports too, a dozen, and no such option."""
    command = psutil.Process(pid).cmdline()
    return int(command[command.index("--port") + 1]) if "--port" in command else None
