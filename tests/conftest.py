"""What holds for every test: nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import psutil
import pytest

# What the surroundings of a run say of colours, widths, tokens and clusters is not for the tests, and what a test asks
# of this machine goes through no proxy. It comes first because modules of the project's look while they are imported.
for _name in ("FORCE_COLOR", "PY_COLORS", "NO_COLOR", "GITHUB_ACTIONS", "COLUMNS", "HF_TOKEN", "RAY_ADDRESS"):
    os.environ.pop(_name, None)
_DIRECT = [os.environ[name] for name in ("NO_PROXY", "no_proxy") if os.environ.get(name)] + ["127.0.0.1,localhost"]
os.environ["NO_PROXY"] = os.environ["no_proxy"] = ",".join(dict.fromkeys(_DIRECT))

# The same cases in every run: a run that fails, fails again. `make explore` draws new ones, and more.
SLOW = [hypothesis.HealthCheck.too_slow]
"""Data that is drawn slowly says more of the machine than of a test."""
hypothesis.settings.register_profile(
    "repeatable", max_examples=50, derandomize=True, deadline=None, suppress_health_check=SLOW
)
hypothesis.settings.register_profile(
    "explore", max_examples=1000, deadline=None, print_blob=True, suppress_health_check=SLOW
)
hypothesis.settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def _no_process_outlives_a_test(request: pytest.FixtureRequest) -> Iterator[None]:
    """Children that a test started end with it. Fixtures of a wider scope keep theirs."""
    before = set(psutil.Process().children(recursive=True))
    names = set(request.fixturenames)
    yield
    if names & {"running_penstock", "vllm_server", "embedding_server", "simulator_server", "browser"}:
        return
    limit = time.monotonic() + 60
    while left := {p for p in set(psutil.Process().children(recursive=True)) - before if _is_ours(p)}:
        if time.monotonic() > limit:
            told = [f"{process.pid} {_command(process)}" for process in left]
            for process in left:
                process.kill()
            pytest.fail(f"processes were left behind: {told}")
        time.sleep(0.02)


def _is_ours(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and "resource_tracker" not in _command(process)
    except psutil.Error:
        return False


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return "?"


@pytest.fixture(scope="session")
def demo_model() -> Path:
    """The demo model, made where `make` makes it, or made now."""
    path = Path(__file__).parents[1] / "build" / "demo-model"
    subprocess.run([sys.executable, "-m", "penstock.demo", str(path)], check=True, capture_output=True, timeout=600)
    return path


@pytest.fixture(autouse=True)
def _own_state_directory(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test sees or changes what a Penstock of this machine noted."""
    path = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("PENSTOCK_STATE_DIR", str(path))
    return path


@pytest.fixture(autouse=True)
async def _no_task_outlives_a_test() -> AsyncIterator[None]:
    """Tasks that an async test started end with it."""
    before = asyncio.all_tasks()
    yield
    left = {task for task in asyncio.all_tasks() - before if not task.done()} - {asyncio.current_task()}
    assert not left, f"tasks were left behind: {left}"
