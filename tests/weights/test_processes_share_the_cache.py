"""Several processes on one node, and processes that die."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.config import Weights, parse_source
from penstock.engine.weights import Patience, Progress, fetch, inspect
from penstock.errors import WeightsError
from support.fetching import FetchProcess
from support.hub import Hub, hub_server, tiny_model

pytestmark = pytest.mark.integration

SOURCE = "hf://acme/tiny"
MODEL = tiny_model(megabytes=4)
SIZE = sum(map(len, MODEL.values()))
WEIGHTS = "model.safetensors"


@pytest.fixture
def hub():
    with hub_server() as server:
        server.push("acme/tiny", MODEL)
        yield server


@pytest.fixture
def settings(hub: Hub, tmp_path: Path) -> dict:
    return {"cache": str(tmp_path / "cache"), "hub": {"endpoint": hub.address}}


def get(settings: dict, source: str = SOURCE, **more):
    return fetch(
        parse_source(source), Weights.model_validate(settings), patience=Patience(attempts=3, first_wait=0.01), **more
    )


def until(condition: Callable[[], bool], *, within: float = 90) -> None:
    limit = time.monotonic() + within
    while not condition():
        assert time.monotonic() < limit, "it did not happen in time"
        time.sleep(0.01)


def test_a_killed_download_is_never_taken_for_whole_and_goes_on_where_it_stopped(hub, settings):
    fault = hub.fail(WEIGHTS, pause_after=3 * 2**20)
    with FetchProcess(SOURCE, settings) as process:
        assert fault.paused.wait(90)
        until(lambda: process.progress >= 2 * 2**20)
        reached = process.progress
        process.kill()
    assert not inspect(parse_source(SOURCE), Weights.model_validate(settings)).cached
    partial = next(Path(settings["cache"]).glob("*.partial"))
    arrived = (partial / ".incoming" / WEIGHTS).stat().st_size
    assert arrived >= reached - SIZE + len(MODEL[WEIGHTS])
    sent = hub.sent[WEIGHTS]
    with get(settings) as held:
        assert (held.path / WEIGHTS).read_bytes() == MODEL[WEIGHTS]
    assert hub.sent[WEIGHTS] - sent == len(MODEL[WEIGHTS]) - arrived
    assert hub.sent["config.json"] == len(MODEL["config.json"])


def test_two_processes_that_want_the_same_weights_fetch_them_once(hub, settings):
    fault = hub.fail(WEIGHTS, pause_after=2 * 2**20)
    with FetchProcess(SOURCE, settings) as first:
        assert fault.paused.wait(90)
        until(lambda: first.progress >= 2**20)
        with FetchProcess(SOURCE, settings) as second:
            until(lambda: second.progress >= 2**20)  # of the first one's download
            fault.go_on.set()
            assert first.said("held") == second.said("held")
    assert hub.sent[WEIGHTS] == len(MODEL[WEIGHTS])


def test_the_one_that_waits_goes_on_when_the_first_dies(hub, settings):
    fault = hub.fail(WEIGHTS, pause_after=2 * 2**20)
    with FetchProcess(SOURCE, settings) as first:
        assert fault.paused.wait(90)
        until(lambda: first.progress >= 2 * 2**20)
        with FetchProcess(SOURCE, settings) as second:
            until(lambda: second.progress >= 2**20)
            first.kill()
            path = Path(second.said("held"))
    assert (path / WEIGHTS).read_bytes() == MODEL[WEIGHTS]
    assert hub.sent[WEIGHTS] == len(MODEL[WEIGHTS])


def test_weights_leave_the_cache_oldest_first_and_never_while_a_process_uses_them(hub, settings):
    for name in "abcd":
        hub.push(f"acme/{name}", tiny_model(megabytes=1, seed=ord(name)))
    bounded = settings | {"limit": int(3.5 * 2**20)}
    with FetchProcess("hf://acme/a", bounded) as user:
        used = Path(user.said("held"))
        older = get(bounded, "hf://acme/b")
        older.release()
        newer = get(bounded, "hf://acme/c")
        newer.release()
        get(bounded, "hf://acme/d").release()
        assert used.exists()
        assert not older.path.exists()
        assert newer.path.exists()
    # The lock died with its process.
    get(bounded, "hf://acme/c").release()
    get(bounded, "hf://acme/d").release()
    get(bounded, "hf://acme/b").release()
    assert not used.exists()


def test_weights_that_cannot_fit_beside_those_in_use_are_an_error_that_evicts_nothing(hub, settings):
    hub.push("acme/a", tiny_model(megabytes=1, seed=1))
    hub.push("acme/b", tiny_model(megabytes=1, seed=2))
    bounded = settings | {"limit": int(4.5 * 2**20)}
    with get(bounded, "hf://acme/a") as used:
        idle = get(bounded, "hf://acme/b")
        idle.release()
        with pytest.raises(WeightsError, match=r"4 MiB, and the cache .* 4.5 MiB, of which 1 MiB are in use") as caught:
            get(bounded)
        assert "weights.limit to 6Mi" in str(caught.value)
        assert used.path.exists()
        assert idle.path.exists()


def test_a_download_that_was_given_up_makes_room_like_everything_else(hub, settings):
    hub.fail(WEIGHTS, cut_after=1000, times=3)
    with pytest.raises(WeightsError, match="cut the connection"):
        get(settings)
    assert list(Path(settings["cache"]).glob("*.partial"))
    hub.push("acme/a", tiny_model(megabytes=1))
    get(settings | {"limit": 2 * 2**20}, "hf://acme/a").release()
    assert not list(Path(settings["cache"]).glob("*.partial"))


def test_held_weights_are_let_go_once_and_the_report_ends_at_the_whole(hub, settings):
    seen: list[Progress] = []
    held = get(settings, report=seen.append)
    held.release()
    held.release()
    again: list[Progress] = []
    get(settings, report=again.append).release()
    assert seen[-1].done == again[-1].done == SIZE
