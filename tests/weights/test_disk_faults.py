"""Disks that are full, small, or not ours."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from penstock.config import Weights, parse_source
from penstock.engine.weights import Patience, fetch
from penstock.errors import WeightsError
from support.fetching import FetchProcess
from support.hub import hub_server, tiny_model

pytestmark = pytest.mark.integration

MODEL = tiny_model(megabytes=4)
WEIGHTS = "model.safetensors"


@pytest.fixture
def hub():
    with hub_server() as server:
        server.push("acme/tiny", MODEL)
        yield server


def settings_for(hub, cache: Path) -> dict:
    return {"cache": str(cache), "hub": {"endpoint": hub.address}}


def get(settings: dict):
    return fetch(
        parse_source("hf://acme/tiny"), Weights.model_validate(settings), patience=Patience(attempts=2, first_wait=0.01)
    )


def in_small_disk(size: str, at: Path) -> tuple[str, ...]:
    """What to put before a command so that a folder is a disk of its own for it, as any user."""
    script = f'mount -t tmpfs -o size={size} none "{at}" && exec "$@"'
    before = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh")
    if subprocess.run([*before, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine lets users mount nothing")
    return before


def test_a_write_that_fails_is_an_error_that_keeps_what_arrived(hub, tmp_path):
    settings = settings_for(hub, tmp_path)
    with FetchProcess("hf://acme/tiny", settings, largest_file=2**20) as process:
        message = json.loads(process.said("error"))
    assert "is full" in message
    assert "goes on where it stopped" in message
    sent = hub.sent[WEIGHTS]
    arrived = next(tmp_path.glob("*.partial/.incoming/*.safetensors")).stat().st_size
    assert arrived == 2**20
    with get(settings) as held:
        assert (held.path / WEIGHTS).read_bytes() == MODEL[WEIGHTS]
    assert hub.sent[WEIGHTS] - sent == len(MODEL[WEIGHTS]) - arrived


def test_a_disk_that_fills_up_meanwhile_is_an_error_that_names_it(hub, tmp_path):
    before = in_small_disk("8m", tmp_path)
    fault = hub.fail(WEIGHTS, pause_after=2**20)
    with FetchProcess("hf://acme/tiny", settings_for(hub, tmp_path / "cache"), before=before,
                      filler=str(tmp_path / "filler")) as process:  # fmt: skip
        assert fault.paused.wait(90)
        process.said("filled")
        fault.go_on.set()
        message = json.loads(process.said("error"))
    assert f"{tmp_path / 'cache'} is full" in message


def test_a_disk_that_is_too_small_is_an_error_before_anything_is_fetched(hub, tmp_path):
    before = in_small_disk("2m", tmp_path)
    with FetchProcess("hf://acme/tiny", settings_for(hub, tmp_path / "cache"), before=before) as process:
        message = json.loads(process.said("error"))
    assert "free, and 4 MiB are to come" in message
    assert WEIGHTS not in hub.sent


def test_a_cache_that_is_a_file_is_an_error_that_names_it(hub, tmp_path):
    (tmp_path / "cache").write_text("")
    with pytest.raises(WeightsError, match=r"cache .*/cache cannot be used: "):
        get(settings_for(hub, tmp_path / "cache"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_cache_that_may_not_be_written_is_an_error_that_names_it(hub, tmp_path):
    tmp_path.chmod(0o555)
    with pytest.raises(WeightsError, match=r"cannot be written: Permission denied"):
        get(settings_for(hub, tmp_path / "cache"))


def read_only(at: Path) -> tuple[str, ...]:
    script = f'mount --bind "{at}" "{at}" && mount -o remount,bind,ro "{at}" && exec "$@"'
    before = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh")
    if subprocess.run([*before, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine lets users mount nothing")
    return before


def test_a_cache_on_a_read_only_disk_serves_what_it_has(hub, tmp_path):
    settings = settings_for(hub, tmp_path / "cache")
    with get(settings) as held:
        path = held.path
    with FetchProcess("hf://acme/tiny", settings, before=read_only(tmp_path)) as process:
        assert process.said("held") == str(path)


def test_a_cache_on_a_read_only_disk_takes_nothing_new_and_says_so(hub, tmp_path):
    with FetchProcess("hf://acme/tiny", settings_for(hub, tmp_path / "cache"), before=read_only(tmp_path)) as process:
        message = json.loads(process.said("error"))
    assert "cannot be written: Read-only file system" in message
