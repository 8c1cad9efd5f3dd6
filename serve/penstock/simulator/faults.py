"""Failures that were asked for: a share of requests that fail, a crash, a hang, silence. Used by the app before any
work."""

from __future__ import annotations

import os
import random
import sys
from typing import Literal

from penstock.config.simulator import SimulatorOptions

CRASH_CODE = 70

Verdict = Literal["answer", "fail", "hang", "silence", "crash"]


class Faults:
    """Decides what becomes of each request, in the order of their arrival; the same seed decides the same."""

    def __init__(self, options: SimulatorOptions) -> None:
        self._options = options
        self._random = random.Random(options.seed)  # noqa: S311  # chance that can be repeated is the point
        self._seen = 0
        self.silent = False
        """Whether nothing is answered any more, health and metrics included."""

    def next(self) -> Verdict:
        """What becomes of the next request. `crash_after: 2` answers two and crashes at the third."""
        options = self._options
        seen = self._seen
        self._seen += 1
        if options.crash_after is not None and seen >= options.crash_after:
            return "crash"
        if options.silent_after is not None and seen >= options.silent_after:
            self.silent = True
            return "silence"
        if options.hang_after is not None and seen >= options.hang_after:
            return "hang"
        return "fail" if options.fail_rate and self._random.random() < options.fail_rate else "answer"


def crash() -> None:
    """End the process as a crash would: at once, with nothing cleaned up."""
    sys.stderr.write("ERROR simulated crash (crash_after)\n")
    sys.stderr.flush()
    os._exit(CRASH_CODE)
