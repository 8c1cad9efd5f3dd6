"""One Penstock with a real chat model and a real embedding model on real vLLM, for all tests of this folder.

`pytest tests/sdk --penstock-url http://host:8000` runs them against a deployment that is there already. It must serve
the models of `DOCUMENT`. With `--penstock-state`, the state folder of one on this machine, its engines are looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI

from support.browsers import browser, page
from support.deployments import ALIAS, CHAT, CONTEXT, EMBEDDING, Deployment
from support.engines import embedding_model
from support.started import CPU_ENV, Penstock

__all__ = ["browser", "page"]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("penstock")
    group.addoption("--penstock-url", help="run the suites of the SDKs against this deployment, e.g. http://host:8000")
    group.addoption("--penstock-state", type=Path, help="its state folder, where it runs on this machine")


def document(demo_model: Path) -> dict[str, Any]:
    """What the suites expect to be served."""
    chat = {
        "max_model_len": CONTEXT,
        "enforce_eager": True,
        "enable_auto_tool_choice": True,
        "tool_call_parser": "hermes",
    }
    return {
        "models": {
            CHAT: {"source": str(demo_model), "aliases": [ALIAS], "options": chat, "env": CPU_ENV},
            EMBEDDING: {
                "source": str(embedding_model()),
                "options": {"max_model_len": 128, "enforce_eager": True},
                "env": CPU_ENV,
            },
        }
    }


@pytest.fixture(scope="package")
def running_penstock(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Started once, or the one named on the command line."""
    # The options are unknown to pytest where it finds this file only while it collects.
    if url := request.config.getoption("penstock_url", None):
        yield Deployment(url.rstrip("/"), request.config.getoption("penstock_state", None))
        return
    served = document(request.getfixturevalue("demo_model"))
    with Penstock(tmp_path_factory.mktemp("penstock"), served) as penstock:
        yield Deployment(penstock.url, penstock.folder / "state")


@pytest.fixture
def client(running_penstock: Deployment) -> Iterator[OpenAI]:
    """OpenAI's SDK as a user sets it up, except that it never tries again by itself."""
    with OpenAI(base_url=running_penstock.api, api_key="none", max_retries=0, timeout=120) as client:
        yield client
