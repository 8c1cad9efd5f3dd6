"""`up`, `status`, `apply`, with a real Ray and the simulator."""

from __future__ import annotations

import copy
import subprocess
import threading

import httpx
import pytest
from openai import OpenAI

from support.started import Penstock, pids_of, until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]


def _client(penstock: Penstock) -> OpenAI:
    return OpenAI(base_url=f"{penstock.url}/v1", api_key="none", max_retries=0, timeout=60)


def _ask(client: OpenAI, model: str) -> str | None:
    messages = [{"role": "user", "content": "hello"}]
    return client.chat.completions.create(model=model, messages=messages).choices[0].message.content  # type: ignore[arg-type]


def _models(penstock: Penstock) -> dict[str, dict]:
    return {model["name"]: model for model in penstock.status()["models"]}


def test_the_address_answers_for_every_name(running_penstock: Penstock) -> None:
    with _client(running_penstock) as client:
        assert {model.id for model in client.models.list()} == {"sim", "default", "slow"}
        assert _ask(client, "sim")
        assert _ask(client, "default")


def test_what_up_prints_works_as_pasted(running_penstock: Penstock) -> None:
    said = running_penstock.said()
    curl = said[said.index("curl ") : said.index("python - <<")]
    answer = subprocess.run(["bash", "-c", curl], capture_output=True, text=True, timeout=180, check=True)
    assert '"choices"' in answer.stdout
    python = said[said.index("from openai") : said.index("\nPY\n")]
    import sys

    done = subprocess.run([sys.executable, "-c", python], capture_output=True, text=True, timeout=180, check=True)
    assert done.stdout.strip()


def test_status_tells_phases_processes_and_the_address(running_penstock: Penstock) -> None:
    status = running_penstock.status()
    assert status["gateway"]["state"] == "ready"
    assert status["gateway"]["url"] == running_penstock.url
    (sim, slow) = status["models"]
    assert (sim["state"], slow["state"]) == ("ready", "ready")
    (replica,) = sim["replicas"]
    assert [mark["phase"] for mark in replica["phases"]] == ["starting", "warming", "ready"] or [
        mark["phase"] for mark in replica["phases"]
    ] == ["starting", "loading", "warming", "ready"]
    times = [mark["at"] for mark in replica["phases"]]
    assert times == sorted(times)
    assert replica["engine_pids"]
    shown = running_penstock.command("status")
    assert shown.returncode == 0
    assert "sim" in shown.stdout
    assert running_penstock.url in shown.stdout


def test_a_second_up_is_refused_with_what_to_do(running_penstock: Penstock) -> None:
    done = running_penstock.command("up", "-f", str(running_penstock.folder / "penstock.yaml"))
    assert done.returncode == 3
    assert "running already" in done.stderr
    assert "penstock apply" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_engine_takes_nothing_without_its_token(running_penstock: Penstock) -> None:
    import psutil

    (replica,) = _models(running_penstock)["sim"]["replicas"]
    (port,) = {
        connection.laddr.port
        for pid in replica["engine_pids"]
        for connection in psutil.Process(pid).net_connections("tcp")
        if connection.status == "LISTEN"
    }
    body = {"model": "sim", "messages": [{"role": "user", "content": "x"}]}
    answer = httpx.post(f"http://127.0.0.1:{port}/v1/chat/completions", json=body)
    assert answer.status_code == 401
    assert httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200


def test_models_come_change_and_go_while_the_others_keep_serving(running_penstock: Penstock) -> None:
    before = _models(running_penstock)
    document = copy.deepcopy(running_penstock.document)
    document["models"]["new"] = {"engine": "simulator", "options": {"output_tokens": 3}}
    document["models"]["slow"]["options"]["output_tokens"] = 5
    errors: list[str] = []
    done = threading.Event()

    def keep_asking() -> None:
        with _client(running_penstock) as client:
            while not done.is_set():
                try:
                    assert _ask(client, "sim")
                except Exception as error:  # noqa: BLE001  # all of them count
                    errors.append(repr(error))

    asking = threading.Thread(target=keep_asking)
    asking.start()
    try:
        applied = running_penstock.apply(document)
        assert applied.returncode == 0, applied.stderr + applied.stdout
        with _client(running_penstock) as client:
            assert _ask(client, "new")
            del document["models"]["new"]
            removed = running_penstock.apply(document)
            assert removed.returncode == 0, removed.stderr
            until(
                lambda: "new" not in {model.id for model in client.models.list()},
                limit=120,
                what="the removal of a model",
            )
    finally:
        done.set()
        asking.join()
    after = _models(running_penstock)
    assert errors == []
    assert pids_of(after["sim"]) == pids_of(before["sim"])
    assert pids_of(after["slow"]) != pids_of(before["slow"])
    assert set(after) == {"sim", "slow"}
