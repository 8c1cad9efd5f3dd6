"""Several looks at the same time, with a limit. Used by the probes that ask others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def together(jobs: Sequence[Callable[[], T]], late: Sequence[T], limit: float) -> list[T]:
    """Results of jobs that run at the same time; what `late` holds for those that take more than `limit` seconds."""
    results = list(late)

    def work(position: int, job: Callable[[], T]) -> None:
        results[position] = job()

    # Not an executor: a name server that never answers would keep the process from ending.
    threads = [
        threading.Thread(target=work, args=(position, job), daemon=True, name=f"doctor-{position}")
        for position, job in enumerate(jobs)
    ]
    for thread in threads:
        thread.start()
    end = time.monotonic() + limit
    for thread in threads:
        thread.join(max(end - time.monotonic(), 0))
    return list(results)
