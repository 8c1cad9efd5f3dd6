"""The end in memory, all of it in a file that stays bounded."""

from __future__ import annotations

from pathlib import Path

from penstock.engine.log import EngineLog


def test_memory_holds_the_last_lines() -> None:
    log = EngineLog(keep=3)
    for number in range(5):
        log.add(f"{number}\n".encode())
    assert log.tail() == ["2", "3", "4"]
    assert log.tail(1) == ["4"]


def test_a_line_that_is_no_text_is_kept_readable() -> None:
    assert EngineLog().add(b"\xff\xfe ok\r\n").endswith("ok")


def test_a_giant_line_is_cut_in_memory() -> None:
    log = EngineLog()
    log.add(b"x" * 100_000)
    assert len(log.tail()[0]) == 4096


def test_the_file_begins_anew_past_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "engine.log"
    log = EngineLog(path, limit=100)
    for _ in range(35):
        log.add(b"0123456789\n")
    log.close()
    assert path.with_name("engine.log.1").stat().st_size > 100
    assert path.stat().st_size <= 110


def test_a_full_or_forbidden_disk_does_not_stop_the_engine(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    log = EngineLog(tmp_path / "file" / "engine.log")
    assert log.add(b"still here\n") == "still here"
    assert log.tail() == ["still here"]
