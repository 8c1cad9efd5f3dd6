"""The gateway's metrics, in a registry of their own. Labels are bounded: what is unknown has no label of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from penstock.gateway.usage import Usage

NO_MODEL: Final = ""
"""The label of requests that name no model that there is."""

CONTENT_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"

_DURATIONS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_HELD = (1, 2.5, 5, 10, 20, 30, 60, 90, 120, 180, 300, 600, 1200)
_FIRST_BYTES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


_ERRORS: Final = (
    ("gateway", "shutting_down"),
    *[("pool", reason) for reason in ("queue_full", "no_replica", "shutting_down")],
    *[("engine", reason) for reason in ("refused", "connect_timeout", "died", "nonsense", "status", "token_refused")],
    *[("engine", reason) for reason in ("timeout", "engine_crashed_repeatedly")],
)
"""What is counted from the start, at 0: what grows from nothing is no growth to Prometheus."""

HeldOutcome = Literal["served", "refused", "left"]


class PoolNumbers(Protocol):
    """What of a pool is shown."""

    @property
    def lent(self) -> int: ...
    @property
    def idle(self) -> int: ...
    @property
    def waiting(self) -> int: ...


class _Pools(Collector):
    """Reads the pools when asked, so that nothing is counted twice and removed models vanish."""

    def __init__(self, pools: Callable[[], Mapping[str, PoolNumbers]], connections: Callable[[], int]) -> None:
        self._pools = pools
        self._connections = connections

    def collect(self) -> Iterable[Metric]:
        leases = GaugeMetricFamily(
            "penstock_gateway_leases", "Leases on replicas: in use by requests, or idle.", labels=["model", "state"]
        )
        waiting = GaugeMetricFamily(
            "penstock_gateway_requests_waiting", "Requests that wait for a replica.", labels=["model"]
        )
        for model, pool in self._pools().items():
            leases.add_metric([model, "held"], pool.lent)
            leases.add_metric([model, "idle"], pool.idle)
            waiting.add_metric([model], pool.waiting)
        connections = GaugeMetricFamily("penstock_gateway_connections", "Open connections of clients.")
        connections.add_metric([], self._connections())
        return [leases, waiting, connections]


class Metrics:
    """All metrics of one gateway."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "penstock_gateway_requests_total",
            "Requests answered; status 499 where the client left before.",
            ["model", "endpoint", "status"],
            registry=self.registry,
        )
        self._duration = Histogram(
            "penstock_gateway_request_duration_seconds",
            "From the head of the request to the last byte of the answer.",
            ["model", "endpoint"],
            buckets=_DURATIONS,
            registry=self.registry,
        )
        self._first_byte = Histogram(
            "penstock_gateway_time_to_first_byte_seconds",
            "From the head of the request to the first byte of the answer.",
            ["model", "endpoint"],
            buckets=_FIRST_BYTES,
            registry=self.registry,
        )
        self._tokens = Counter(
            "penstock_gateway_tokens_total",
            "Tokens that engines counted, where their answers say.",
            ["model", "kind"],
            registry=self.registry,
        )
        self._errors = Counter(
            "penstock_gateway_relay_errors_total",
            "What went wrong between the gateway and engines, retried or not.",
            ["layer", "reason"],
            registry=self.registry,
        )
        for layer, reason in _ERRORS:
            self._errors.labels(layer, reason)
        self._held = Histogram(
            "penstock_gateway_held_seconds",
            "How long requests waited that had to wait for a replica, and what came of it.",
            ["model", "outcome"],
            buckets=_HELD,
            registry=self.registry,
        )

        self._limited = Counter(
            "penstock_gateway_limited_total",
            "Requests refused because a limit was reached, by whose and which one.",
            ["scope", "limit"],
            registry=self.registry,
        )
        self._counters_gone = Gauge(
            "penstock_gateway_limit_counters_gone",
            "1 while the shared counters of limits (Redis) cannot be reached.",
            registry=self.registry,
        )

    def watch_counters(self, gone: Callable[[], bool]) -> None:
        """Show whether shared counters are gone. Called once."""
        self._counters_gone.set_function(lambda: float(gone()))

    def limited(self, scope: str, limit: str) -> None:
        """A limit was reached. Both are words from the code."""
        self._limited.labels(scope, limit).inc()

    def watch(self, pools: Callable[[], Mapping[str, PoolNumbers]], connections: Callable[[], int]) -> None:
        """Show the numbers of pools and connections. Called once."""
        self.registry.register(_Pools(pools, connections))

    def answered(self, model: str, endpoint: str, status: int, seconds: float, first_byte: float | None) -> None:
        """A request is over. Times in seconds."""
        self._requests.labels(model, endpoint, str(status)).inc()
        self._duration.labels(model, endpoint).observe(seconds)
        if first_byte is not None:
            self._first_byte.labels(model, endpoint).observe(first_byte)

    def held(self, model: str, outcome: HeldOutcome, seconds: float) -> None:
        """A request no longer waits for a replica: it has one, was refused, or its client left."""
        self._held.labels(model, outcome).observe(seconds)

    def counted(self, model: str, usage: Usage) -> None:
        """An engine's answer said what it used."""
        self._tokens.labels(model, "prompt").inc(usage.prompt)
        self._tokens.labels(model, "completion").inc(usage.completion)

    def error(self, layer: str, reason: str) -> None:
        """Something went wrong on the way. Both are words from the code, never from a request."""
        self._errors.labels(layer, reason).inc()

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self.registry)
