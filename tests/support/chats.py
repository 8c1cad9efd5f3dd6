"""Streams of chats that go on until they are stopped, from threads. Used by the tests on a cluster."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx


@dataclass
class Outcome:
    """What became of the requests."""

    whole: int = 0
    failures: list[str] = field(default_factory=list)
    failed_at: list[float] = field(default_factory=list)
    slowest: float = 0.0
    """Seconds of the longest whole request."""


@contextmanager
def chatting(url: str, model: str, *, streams: int, tokens: int = 32, pause: float = 0.0) -> Iterator[Outcome]:
    """Keeps so many streams going on a model; leaving the block lets the last ones end."""
    outcome, stop, lock = Outcome(), threading.Event(), threading.Lock()

    def run() -> None:
        with httpx.Client(timeout=300) as http:
            while not stop.is_set():
                began = time.monotonic()
                failure = _stream(http, url, model, tokens)
                with lock:
                    if failure is None:
                        outcome.whole += 1
                        outcome.slowest = max(outcome.slowest, time.monotonic() - began)
                    else:
                        outcome.failures.append(failure)
                        outcome.failed_at.append(time.time())
                stop.wait(pause if failure is None else 0.5)

    threads = [threading.Thread(target=run, name=f"chat-{model}-{i}") for i in range(streams)]
    for thread in threads:
        thread.start()
    try:
        yield outcome
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _stream(http: httpx.Client, url: str, model: str, tokens: int) -> str | None:
    """None where the answer is whole, else what was wrong with it."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": "What is the capital of France?"}],
        "max_tokens": tokens,
        "stream": True,
    }
    last = ""
    try:
        with http.stream("POST", f"{url}/v1/chat/completions", json=body) as response:
            if response.status_code != 200:
                return f"{response.status_code} {response.read()[:300].decode(errors='replace')}"
            for line in response.iter_lines():
                last = line or last
    except httpx.HTTPError as error:
        return f"{type(error).__name__}: {error}"
    return None if last == "data: [DONE]" else f"ended with {last[:200]}"
