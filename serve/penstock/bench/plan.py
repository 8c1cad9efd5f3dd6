"""What to measure: the targets, the load and how often. Made by the command line, run by `runner`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from penstock.errors import DocumentError

PROMPT = "Tell me a story about a penstock."


@dataclass(frozen=True)
class Target:
    """One address to measure."""

    name: str
    """What it is called in the results."""

    base_url: str
    """Up to and including `/v1`, as in the OpenAI SDK: `http://127.0.0.1:8000/v1`."""

    model: str
    """The name to ask for."""

    api_key: str | None = field(default=None, repr=False)
    """Sent as a bearer token."""

    pids: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """Serving processes by role (`gateway`, `engine`). Their descendants count with them."""

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise DocumentError(
                f"The target {self.name!r} has the address {self.base_url!r}, which is no http address.",
                remedy="Write it as http://127.0.0.1:8000/v1.",
            )


@dataclass(frozen=True)
class Plan:
    """The load, the same for every target.

    A round gives every target one slot at each concurrency. A slot is a closed loop: so many streams at once, each
    beginning the next request when its last one ended, until the slot's requests are used up and all have ended.
    """

    concurrencies: tuple[int, ...] = (1, 8, 32)
    """Streams at once."""

    rounds: int = 9
    """Measured rounds: that many pairs of slots of any two targets."""

    warm_up: int = 1
    """Rounds before them that are not counted."""

    requests_per_stream: int = 2
    """Requests of a slot, per stream."""

    least_requests: int = 8
    """Requests of a slot at least, so that a slot with one stream is no shorter than the clock can see."""

    max_tokens: int = 64
    """Tokens of each answer."""

    prompt: str = PROMPT
    endpoint: Literal["chat", "completions"] = "chat"

    extra_body: Mapping[str, Any] = field(default_factory=lambda: {"ignore_eos": True, "temperature": 0})
    """Further keys of each request. `ignore_eos` makes every answer of vLLM `max_tokens` long."""

    timeout: float = 120.0
    """Seconds that one request may take."""

    def __post_init__(self) -> None:
        if not self.concurrencies:
            raise DocumentError("The plan names no concurrency.", remedy="Name at least one, such as 1.")
        if len(set(self.concurrencies)) != len(self.concurrencies):
            raise DocumentError(f"The plan names a concurrency twice: {self.concurrencies}.", remedy="Name each once.")
        counts = {
            "concurrencies": min(self.concurrencies),
            "rounds": self.rounds,
            "requests_per_stream": self.requests_per_stream,
            "least_requests": self.least_requests,
            "max_tokens": self.max_tokens,
        }
        for name, value in counts.items():
            if value < 1:
                raise DocumentError(f"{name} of the plan is {value}.", remedy="It is at least 1.")
        if self.warm_up < 0 or not self.timeout > 0:
            raise DocumentError(
                f"warm_up of the plan is {self.warm_up} and timeout {self.timeout}.",
                remedy="The one is at least 0, the other above 0.",
            )

    @classmethod
    def first_token(cls, pairs: int = 200) -> Self:
        """Many short pairs at one stream, for the time to first token: one request a slot, a few tokens each."""
        return cls(concurrencies=(1,), rounds=pairs, warm_up=5, requests_per_stream=1, least_requests=1, max_tokens=4)

    def requests_of_slot(self, concurrency: int) -> int:
        """Requests that one slot sends."""
        return max(concurrency * self.requests_per_stream, self.least_requests, concurrency)

    def body(self, model: str) -> dict[str, Any]:
        """The JSON body of every request to a target."""
        asked: dict[str, Any] = (
            {"messages": [{"role": "user", "content": self.prompt}]}
            if self.endpoint == "chat"
            else {"prompt": self.prompt}
        )
        return {
            "model": model,
            **asked,
            "max_tokens": self.max_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
            **self.extra_body,
        }
