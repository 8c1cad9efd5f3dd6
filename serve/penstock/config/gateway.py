"""`gateway`: the address that clients talk to, and its bounds."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator

from penstock.config.addresses import host_problem, origin_problem
from penstock.config.base import Section
from penstock.config.cache import CacheSettings
from penstock.config.units import Duration, Port, Size

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


class Hold(Section):
    """Requests that wait because no replica is free: scaled to zero, starting, or replaced."""

    seconds: Duration = 600.0
    """A request waits at most so long, then gets 503 with `Retry-After`."""

    requests: int = Field(default=256, ge=0)
    """Requests that wait per model and gateway at most; one more gets 429 at once."""

    heartbeat: Duration | None = Field(default=None, gt=0)
    """A stream that waits for so long begins with a comment, and gets one each time as long again passes, so that no
    balancer and no client takes it for dead. Off unless given: the first comment commits the answer to status 200, so
    what goes wrong after it is told by an error event in the stream."""


class Leases(Section):
    """Permissions to send a request to a replica. Taking one costs a round trip, so a finished one is used again."""

    keep: Duration = 2.0
    """A lease that nobody uses is given back after so long. Longer saves more, shorter balances and drains better."""

    renew: Duration = 5.0
    """A lease is given back after its first use past this age, used or not, so that new replicas get their share."""


class Cors(Section):
    """Which web pages of other origins may call the address from a browser."""

    allow_origins: list[str] = Field(default_factory=list)
    """Origins such as `https://app.example.com`, or `*`. Empty: none."""

    allow_headers: list[str] = Field(default_factory=lambda: ["*"])
    """Request headers that pages may send; `*` repeats what the browser asks for."""

    expose_headers: list[str] = Field(default_factory=lambda: ["x-request-id"])
    """Response headers that pages may read."""

    max_age: Duration = 600.0
    """How long a browser may remember the answer."""

    @field_validator("allow_origins")
    @classmethod
    def _origins_are_origins(cls, origins: list[str]) -> list[str]:
        for origin in origins:
            if origin != "*" and (problem := origin_problem(origin)):
                raise ValueError(problem)
        if "*" in origins and len(origins) > 1:
            raise ValueError("`*` means every origin; leave out the others, or leave out `*`")
        return origins

    @field_validator("allow_headers", "expose_headers")
    @classmethod
    def _headers_are_names(cls, names: list[str]) -> list[str]:
        for name in names:
            if _HEADER_NAME.fullmatch(name) is None:
                raise ValueError(f"{name!r} is no name of a header; write for example x-request-id")
        return names


class Gateway(Section):
    """The OpenAI-compatible address."""

    host: str = "127.0.0.1"
    """Address to listen on. 127.0.0.1 is this machine only."""

    port: Port = 8000
    """Port to listen on."""

    replicas: int = Field(default=1, ge=1)
    """Gateway replicas. On one machine they share the port."""

    longest_request: Duration = Field(default=600.0, gt=0)
    """The longest that one request may take, stream included. Grace periods of draining and stopping follow from it."""

    drain_delay: Duration = 10.0
    """A gateway that stops says not ready and goes on taking connections for so long, so that whoever balances the load
    leaves it out before it closes. On one machine there is no such wait."""

    max_body_bytes: Size = Field(default=32 * 2**20, gt=0)
    """Largest request body; a larger one gets 413."""

    max_json_depth: int = Field(default=64, ge=1)
    """Deepest nesting of a JSON body; a deeper one gets 400 before anything parses it."""

    max_header_bytes: Size = Field(default=64 * 2**10, gt=0)
    """Largest head of a request, all header lines together; a larger one gets 431."""

    max_connections: int = Field(default=4096, ge=1)
    """Open connections at most; one more gets 503 and is closed."""

    header_timeout: Duration = Field(default=10.0, gt=0)
    """A connection that has not sent a whole head of a request after so long gets 408 and is closed."""

    body_timeout: Duration = Field(default=30.0, gt=0)
    """A request whose body makes no progress for so long gets 408."""

    write_timeout: Duration = Field(default=60.0, gt=0)
    """A client that takes nothing of its response for so long is cut off, and its work cancelled."""

    keep_alive: Duration = 75.0
    """An idle connection is closed after so long."""

    connect_timeout: Duration = Field(default=3.0, gt=0)
    """Connecting to an engine takes at most so long before another replica is tried."""

    attempts: int = Field(default=3, ge=1)
    """Replicas that one request is tried on at most. Only before the first byte of an answer, and never on a third one
    after two have died with the request in their hands."""

    page: bool = True
    """Whether a browser that opens the address finds a page there: a playground, and for administrators keys, usage and
    models. It asks for the same keys as every other client."""

    model_names: Literal["exact", "forgiving"] = "exact"
    """How clients must write a model's name. `forgiving`: as users of other servers write it, too: in any case, by its
    repository (`meta-llama/Llama-3.2-1B-Instruct`), or with a tag (`llama3.2:1b`), where that fits one model only."""

    hold: Hold = Field(default_factory=Hold)
    """Requests that wait for a replica."""

    leases: Leases = Field(default_factory=Leases)
    """How long a permission to use a replica is kept."""

    cache: CacheSettings = Field(default_factory=CacheSettings)
    """Answers that are kept for equal requests."""

    cors: Cors = Field(default_factory=Cors)
    """Calls from web pages of other origins."""

    @field_validator("host")
    @classmethod
    def _host_is_a_host(cls, host: str) -> str:
        if problem := host_problem(host):
            raise ValueError(problem)
        return host
