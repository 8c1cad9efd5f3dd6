"""The guardian: whatever death the replica dies, no process of the engine is left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from penstock.engine.log import EngineLog
from penstock.engine.process import EngineProcess

pytestmark = pytest.mark.integration

FAMILY = """
    import os, signal, subprocess, sys, time
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    # A child in a session of its own, as a careless engine makes them, and a grandchild that ignores SIGTERM.
    child = subprocess.Popen(
        [sys.executable, "-S", "-c", "import signal, subprocess, sys, time; signal.signal(15, signal.SIG_IGN);"
         "p = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(60)'], start_new_session=True);"
         "print('family', p.pid, flush=True); time.sleep(60)"],
        start_new_session=True, stdout=subprocess.PIPE,
    )
    child.stdout.readline()
    print("engine", os.getpid(), flush=True)
    {then}
"""
ON_SIGNAL = "signal.sigwait([signal.SIGUSR1]);"


def _script(then: str) -> list[str]:
    return [sys.executable, "-S", "-c", textwrap.dedent(FAMILY).format(then=then)]


async def _until(condition: Callable[[], object], limit: float = 90) -> None:
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, "the condition did not become true"
        await asyncio.sleep(0.01)


def _gone(pids: list[int]) -> bool:
    def ended(pid: int) -> bool:
        try:
            return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        except psutil.Error:
            return True

    return all(ended(pid) for pid in pids)


async def _start(then: str) -> tuple[EngineProcess, EngineLog, list[int]]:
    log = EngineLog()
    process = EngineProcess.start(_script(then), os.environ, log)
    await _until(log.tail)
    pids = process.pids()
    assert len(pids) == 3
    return process, log, pids


def _go(log: EngineLog) -> None:
    """Let the engine go on past `ON_SIGNAL`."""
    os.kill(int(log.tail()[0].split()[1]), signal.SIGUSR1)


async def test_a_kill_ends_the_whole_family() -> None:
    process, _, pids = await _start("time.sleep(60)")
    assert await process.kill() == 128 + signal.SIGKILL
    assert _gone(pids)


async def test_a_stop_lets_the_engine_end_gently() -> None:
    bye = "signal.signal(15, lambda *_: (print('bye', flush=True), os._exit(0)))"
    then = f"{bye}; print('set', flush=True); time.sleep(60)"
    process, log, pids = await _start(then)
    await _until(lambda: "set" in log.tail())
    assert await process.stop(60) == 0
    assert "bye" in log.tail()
    assert _gone(pids)


async def test_a_stop_kills_an_engine_that_does_not_end_in_time() -> None:
    process, log, pids = await _start(
        "signal.signal(15, signal.SIG_IGN); print('set'); sys.stdout.flush(); time.sleep(60)"
    )
    await _until(lambda: "set" in log.tail())
    began = time.monotonic()
    assert await process.stop(0.2) == 128 + signal.SIGKILL
    assert time.monotonic() - began < 40
    assert _gone(pids)


async def test_an_engine_that_crashes_leaves_no_children() -> None:
    process, log, pids = await _start(f"{ON_SIGNAL} os.kill(os.getpid(), 11)")
    _go(log)
    assert await process.wait() == 128 + signal.SIGSEGV
    assert _gone(pids)


async def test_an_engine_that_ends_leaves_no_children() -> None:
    process, log, pids = await _start(f"{ON_SIGNAL} sys.exit(3)")
    _go(log)
    assert await process.wait() == 3
    assert process.exit_status == 3
    assert not process.running
    assert _gone(pids)


@pytest.mark.parametrize("death", ["kill", "stop", "crash"])
async def test_temporary_files_of_an_engine_go_with_it(death: str, tmp_path: Path) -> None:
    code = (
        "import os, pathlib, sys, tempfile; folder = pathlib.Path(tempfile.mkdtemp(), 'kept'); folder.mkdir();"
        "print(folder, flush=True); import time; time.sleep(60)"
    )
    log = EngineLog()
    process = EngineProcess.start([sys.executable, "-S", "-c", code], {**os.environ, "TMPDIR": str(tmp_path)}, log)
    await _until(log.tail)
    assert tmp_path in Path(log.tail()[0]).parents
    if death == "kill":
        await process.kill()
    elif death == "stop":
        await process.stop(60)
    else:
        os.kill(process.pids()[0], signal.SIGSEGV)
        await process.wait()
    assert os.listdir(tmp_path) == []  # noqa: PTH208  # nothing runs beside it


async def test_a_command_that_does_not_exist_ends_with_its_reason_in_the_log() -> None:
    log = EngineLog()
    process = EngineProcess.start(["/no/such/engine"], os.environ, log)
    assert await process.wait() != 0
    assert "/no/such/engine" in "\n".join(log.tail())


async def test_a_replica_killed_with_sigkill_takes_its_engine_along(tmp_path: Path) -> None:
    replica = subprocess.Popen(  # noqa: ASYNC220  # starts at once
        [
            sys.executable,
            "-c",
            textwrap.dedent(f"""
            import asyncio, os
            from pathlib import Path
            from penstock.engine.log import EngineLog
            from penstock.engine.process import EngineProcess

            async def main():
                log = EngineLog()
                process = EngineProcess.start({_script("time.sleep(60)")!r}, os.environ, log)
                while not log.tail():
                    await asyncio.sleep(0.01)
                Path({str(tmp_path / "pids")!r}).write_text(" ".join(map(str, process.pids())) + " .")
                await process.wait()

            asyncio.run(main())
            """),
        ]
    )
    try:
        pids_file = tmp_path / "pids"
        await _until(lambda: pids_file.exists() and pids_file.read_text().endswith("."))
        pids = [int(pid) for pid in pids_file.read_text().split()[:-1]]
        assert len(pids) == 3
        guardian = psutil.Process(pids[0]).parent()
        assert guardian is not None
        replica.kill()
        replica.wait()
        await _until(lambda: _gone([*pids, guardian.pid]))
    finally:
        with contextlib.suppress(ProcessLookupError):
            replica.kill()
        replica.wait()


async def test_the_log_reaches_memory_and_file(tmp_path: Path) -> None:
    log = EngineLog(tmp_path / "logs" / "engine.log")
    lines: list[str] = []
    process = EngineProcess.start(
        [sys.executable, "-S", "-c", "import sys; print('out'); sys.stdout.flush(); print('err', file=sys.stderr)"],
        os.environ,
        log,
        on_line=lines.append,
    )
    assert await process.wait() == 0
    assert log.tail() == lines == ["out", "err"]
    assert (tmp_path / "logs" / "engine.log").read_text() == "out\nerr\n"
    assert log.written == 8
