"""From nothing to several replicas and back with a real Ray and the simulator, and `penstock status --why` tells it."""

from __future__ import annotations

import contextlib
import copy
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.started import Penstock, pids_of, until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]

TARGET, MOST = 4, 3
REPLICAS = {
    "min": 0,
    "max": MOST,
    "target": TARGET,
    "upscaleDelay": "2s",
    "downscaleDelay": "8s",
    "downscaleToZeroDelay": "45s",
}
DOCUMENT = {
    "models": {
        "sim": {
            "engine": "simulator",
            "replicas": REPLICAS,
            "options": {"time_to_first_token": "20ms", "tokens_per_second": 20, "output_tokens": 40},
        }
    }
}


@pytest.fixture(scope="module")
def running_penstock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Penstock]:
    folder: Path = tmp_path_factory.mktemp("scaling")
    with Penstock(folder, copy.deepcopy(DOCUMENT)) as running:
        yield running


class Clients:
    """So many clients, each with one request in progress at any time, until they are told to stop."""

    def __init__(self, penstock: Penstock, count: int) -> None:
        self.wrong: list[str] = []
        self.answered = 0
        self._url = f"{penstock.url}/v1/chat/completions"
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(count)]

    def _ask(self) -> None:
        body = {"model": "sim", "messages": [{"role": "user", "content": "hello"}]}
        with httpx.Client(timeout=300) as client:
            while not self._done.is_set():
                try:
                    answer = client.post(self._url, json=body)
                except httpx.HTTPError as error:
                    self.wrong.append(repr(error))
                else:
                    self.answered += 1
                    if answer.status_code != 200:
                        self.wrong.append(f"{answer.status_code} {answer.text}")

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._done.set()
            for thread in self._threads:
                thread.join()


def _model(penstock: Penstock) -> dict[str, Any]:
    (model,) = penstock.status()["models"]
    return model


def _until(penstock: Penstock, ready: int, what: str) -> dict[str, Any]:
    """The model once so many replicas are ready, and as many are asked for."""

    def as_asked() -> dict[str, Any] | None:
        model = _model(penstock)
        phases = [replica["phase"] for replica in model["replicas"]]
        decided = model["scaling"] and model["scaling"]["replicas"]
        return model if phases == ["ready"] * ready and decided == ready else None

    return until(as_asked, limit=240, what=what)


def test_a_crowd_before_a_sleeping_model_gets_as_many_replicas_as_it_needs_and_leaves_none(
    running_penstock: Penstock,
) -> None:
    asleep = _until(running_penstock, 0, "a model that sleeps")
    assert asleep["state"] == "idle"
    assert asleep["scaling"]["text"] == "Nothing is in progress or waiting, and 0 are asked for."

    clients = Clients(running_penstock, TARGET * MOST)
    with clients.asking():
        awake = _until(running_penstock, MOST, f"{MOST} replicas under {TARGET * MOST} requests")
        told = running_penstock.command("status", "--why").stdout
        assert f"sim: {MOST} replicas" in told
        assert f"from 0 to {MOST} · requests:" in " ".join(told.split())
        shown = httpx.get(f"{running_penstock.url}/metrics", timeout=60).text
        assert f'penstock_scaling_desired_replicas{{model="sim"}} {MOST}.0' in shown

        # Numbers that change are taken over where the model stands.
        changed = copy.deepcopy(DOCUMENT)
        changed["models"]["sim"]["replicas"] |= {"downscaleDelay": "9s", "kvThreshold": 0.8}
        applied = running_penstock.apply(changed)
        assert applied.returncode == 0, applied.stderr + applied.stdout
        assert pids_of(_until(running_penstock, MOST, "the same replicas after a change")) == pids_of(awake)
    assert clients.wrong == []
    assert clients.answered >= TARGET * MOST

    _until(running_penstock, 1, "one replica after a lull")
    slept = _until(running_penstock, 0, "no replica after an idle time")
    assert slept["state"] == "idle"


def test_one_request_wakes_one_replica(running_penstock: Penstock) -> None:
    _until(running_penstock, 0, "a model that sleeps")
    body = {"model": "sim", "messages": [{"role": "user", "content": "hello"}]}
    answer = httpx.post(f"{running_penstock.url}/v1/chat/completions", json=body, timeout=300)
    assert answer.status_code == 200
    model = _model(running_penstock)
    assert len(model["replicas"]) == 1
    assert model["scaling"]["replicas"] == 1
