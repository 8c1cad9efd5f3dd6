"""Processes that fetch weights, for tests of what happens between processes and when they are killed.

Run as a script by `FetchProcess`: reads a JSON object of arguments from its first argument, prints `progress <bytes>`
and then `held <path>` or `error <message>` a line, and holds the weights until its standard input ends.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Self


def main() -> None:
    import resource

    from penstock.config import Weights, parse_source
    from penstock.engine.weights import Patience, Progress, fetch
    from penstock.errors import WeightsError

    arguments = json.loads(sys.argv[1])
    if (largest := arguments.get("largest_file")) is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))

    def report(progress: Progress) -> None:
        print("progress", progress.done, flush=True)
        if (filler := arguments.get("filler")) is not None and progress.done > 0:
            fill(Path(filler))
            print("filled", filler, flush=True)

    settings = Weights.model_validate(arguments["settings"])
    try:
        held = fetch(
            parse_source(arguments["source"]), settings, report=report, patience=Patience(attempts=3, first_wait=0.01)
        )
    except WeightsError as error:
        print("error", json.dumps(str(error)), flush=True)
        return
    print("held", held.path, flush=True)
    sys.stdin.read()


def fill(path: Path) -> None:
    """Use up what is left of a disk."""
    with path.open("ab", buffering=0) as file:
        for size in (2**20, 2**12, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue


class FetchProcess:
    """A process that fetches and holds. Killed at the end of the context, if not before."""

    def __init__(self, source: str, settings: dict[str, Any], *, before: tuple[str, ...] = (), **more: Any) -> None:
        arguments = json.dumps({"source": source, "settings": settings, **more})
        self._process = subprocess.Popen(
            [*before, sys.executable, "-P", str(Path(__file__)), arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line.strip())

    def said(self, word: str, *, within: float = 120) -> str:
        """The rest of the first line that begins with a word, once there is one."""
        limit = time.monotonic() + within
        while time.monotonic() < limit:
            ended = self._process.poll() is not None and not self._reader.is_alive()
            for line in list(self.lines):
                if line.split(" ")[0] == word:
                    return line.partition(" ")[2]
            if ended:
                break
            time.sleep(0.01)
        raise AssertionError(f"no {word!r} within {within} s; it said {self.lines[-5:]}")

    @property
    def progress(self) -> int:
        """Bytes that it last spoke of."""
        return max((int(line.split()[1]) for line in self.lines if line.startswith("progress")), default=0)

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._reader.join()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()


if __name__ == "__main__":
    main()
