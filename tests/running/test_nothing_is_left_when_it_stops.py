"""Ctrl-C at any moment, `down`, and wrong starts: no process stays, no traceback is shown."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import psutil
import pytest

from support.started import Penstock, still_there, until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

SLOW_START = {"models": {"sim": {"engine": "simulator", "options": {"startup": "10m"}}}}


def _engine_of(penstock: Penstock) -> list[psutil.Process]:
    return [process for process in penstock.remember() if "penstock.simulator" in _command(process)]


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_an_engine_starts_stops_everything(tmp_path: Path, how: signal.Signals) -> None:
    penstock = Penstock(tmp_path / "p", SLOW_START)
    penstock.start()
    try:
        until(lambda: _engine_of(penstock), limit=240, what="an engine process")
    finally:
        status = penstock.stop(how)
    assert status == 0
    assert "Traceback" not in penstock.said()
    assert penstock.left() == []


def test_a_signal_while_ray_starts_stops_everything(tmp_path: Path) -> None:
    penstock = Penstock(tmp_path / "p", SLOW_START)
    penstock.start()
    try:
        until(lambda: any("gcs_server" in _command(p) for p in penstock.remember()), limit=240, what="Ray's start")
    finally:
        status = penstock.stop()
    assert status in (0, 130)
    assert "Traceback" not in penstock.said()


def test_a_kill_of_up_itself_leaves_nothing(tmp_path: Path) -> None:
    penstock = Penstock(tmp_path / "p", SLOW_START)
    penstock.start()
    try:
        engine = until(lambda: _engine_of(penstock), limit=240, what="an engine process")
        penstock.process.kill()
        until(lambda: not still_there(engine), limit=120, what="the engine's end")
    finally:
        penstock.stop(signal.SIGKILL)


def test_down_stops_it_from_elsewhere(tmp_path: Path) -> None:
    with Penstock(tmp_path / "p", {"models": {}}) as penstock:
        penstock.remember()
        done = penstock.command("down")
        assert done.returncode == 0, done.stderr
        assert penstock.process.wait(60) == 0
        until(lambda: not penstock.left(), limit=120, what="the end of its processes")
        again = penstock.command("down")
        assert again.returncode == 4
        assert "penstock up" in again.stderr


def test_a_taken_port_is_named_before_anything_starts(tmp_path: Path) -> None:
    penstock = Penstock(tmp_path / "p", {"models": {}})
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", penstock.port))
        holder.listen()
        penstock.start()
        try:
            status = penstock.process.wait(240)
        finally:
            penstock.stop()
    assert status == 3
    assert str(penstock.port) in penstock.said()
    assert f"process {psutil.Process().pid}" in penstock.said()
    assert "--set gateway.port=" in penstock.said()


def test_an_engine_that_cannot_start_ends_up_with_its_reason(tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    penstock = Penstock(tmp_path / "p", {"models": {"broken": {"source": str(folder)}}})
    penstock.start()
    try:
        status = penstock.process.wait(300)
    finally:
        penstock.stop()
    assert status == 5
    assert "config.json" in penstock.said()
    assert "Traceback" not in penstock.said()
