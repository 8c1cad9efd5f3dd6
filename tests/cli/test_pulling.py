"""`penstock pull` against a stand-in for the hub."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from penstock.cli.main import main
from penstock.cli.pull_progress import LINE_EVERY, Display
from penstock.engine.weights import Progress
from support.hub import Hub, hub_server, tiny_model


@pytest.fixture
def hub() -> Iterator[Hub]:
    with hub_server() as server:
        server.push("acme/one", tiny_model(seed=1))
        server.push("acme/two", tiny_model(seed=2))
        yield server


@pytest.fixture
def document(tmp_path: Path, hub: Hub) -> str:
    path = tmp_path / "penstock.yaml"
    described = {
        "models": {
            "one": {"source": "hf://acme/one", "aliases": ["first"]},
            "two": {"source": "hf://acme/two"},
            "made-up": {"engine": "simulator"},
        },
        "weights": {"cache": str(tmp_path / "cache"), "hub": {"endpoint": hub.address}},
    }
    path.write_text(json.dumps(described), encoding="utf-8")
    return str(path)


@pytest.mark.integration
def test_pulling_brings_every_model_and_prints_where_it_is(document: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pull", "-f", document]) == 0
    captured = capsys.readouterr()
    places = dict(line.split("\t") for line in captured.out.splitlines())
    assert set(places) == {"one", "two"}
    assert all((Path(place) / "model.safetensors").is_file() for place in places.values())
    assert "made-up: the simulator needs no weights." in captured.err


@pytest.mark.integration
def test_only_the_named_model_is_pulled(document: str, hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pull", "-f", document, "first"]) == 0
    assert capsys.readouterr().out.startswith("one\t")
    assert not hub.requests_for("acme/two")


@pytest.mark.integration
def test_one_model_that_cannot_be_had_does_not_keep_the_others_away(
    document: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pull", "-f", document, "--set", "models.one.source=hf://acme/none"]) == 5
    captured = capsys.readouterr()
    assert captured.out.startswith("two\t")
    assert "acme/none" in captured.err
    assert "do:" in captured.err


@pytest.mark.integration
def test_a_source_without_a_document_is_pulled(tmp_path: Path, hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    settings = [f"weights.cache={tmp_path}/cache", f"weights.hub.endpoint={hub.address}"]
    arguments = ["pull", "--model", "hf://acme/one", *(word for text in settings for word in ("--set", text))]
    assert main(arguments) == 0
    assert capsys.readouterr().out.startswith("one\t")


def test_a_model_that_the_document_does_not_have_ends_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "penstock.yaml"
    path.write_text("models: {demo: {engine: simulator}}", encoding="utf-8")
    assert main(["pull", "-f", str(path), "dmeo"]) == 2
    assert "did you mean 'demo'?" in capsys.readouterr().err


@pytest.mark.integration
def test_ctrl_c_stops_and_the_next_pull_goes_on_where_it_stopped(document: str, hub: Hub) -> None:
    hub.push("acme/one", tiny_model(megabytes=4))
    fault = hub.fail("model.safetensors", pause_after=2 * 2**20)
    command = [sys.executable, "-m", "penstock", "pull", "-f", document, "one"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ.copy()
    )
    try:
        assert fault.paused.wait(120)
        _until_bytes_are_kept(Path(document).parent / "cache")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert out == ""
    assert "What has arrived is kept" in err
    assert "Traceback" not in err
    fault.go_on.set()
    before = hub.sent["model.safetensors"]
    assert main(["pull", "-f", document, "one"]) == 0
    assert hub.sent["model.safetensors"] - before < 3 * 2**20


def _until_bytes_are_kept(cache: Path) -> None:
    limit = time.monotonic() + 120
    while time.monotonic() < limit:
        if any(path.is_file() and path.stat().st_size > 2**20 for path in cache.rglob("*")):
            return
        time.sleep(0.01)
    pytest.fail("nothing arrived in the cache")


def test_on_a_terminal_a_bar_shows_how_far_a_model_is() -> None:
    sink = io.StringIO()
    console = Console(file=sink, force_terminal=True, width=120, color_system=None, legacy_windows=False)
    with Display(console) as display:
        report = display.begin("demo [a]")
        report(Progress(2**20, 4 * 2**20, "model.safetensors"))
        report(Progress(4 * 2**20, 4 * 2**20, "model.safetensors"))
        display.end("demo [a]")
    assert "demo" in sink.getvalue()
    assert "4.2/4.2 MB" in sink.getvalue() or "4.0/4.0 MiB" in sink.getvalue()


def test_in_a_log_a_line_now_and_then_and_one_at_the_end() -> None:
    sink = io.StringIO()
    now = [0.0]
    with Display(Console(file=sink, width=120), terminal=False, clock=lambda: now[0]) as display:
        report = display.begin("demo")
        for step in range(11):
            report(Progress(step * 2**20, 10 * 2**20, "f"))
            now[0] += LINE_EVERY / 4
        display.end("demo")
    assert sink.getvalue().splitlines() == [
        "demo: 0 B of 10.0 MiB",
        "demo: 4.0 MiB of 10.0 MiB",
        "demo: 8.0 MiB of 10.0 MiB",
        "demo: 10.0 MiB of 10.0 MiB",
    ]
