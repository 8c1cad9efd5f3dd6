"""What Prometheus is told of providers. Used by `upstreams`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from penstock.gateway.providers.breaker import State

Outcome = Literal["answered", "refused", "limited", "failed", "timeout", "interrupted", "left", "open"]
"""`refused`: 4xx. `limited`: 429. `interrupted`: it broke off. `left`: the client did. `open`: it was not asked."""

_STATES: Final = {State.CLOSED: 0.0, State.HALF_OPEN: 0.5, State.OPEN: 1.0}


class _Breakers(Collector):
    def __init__(self, states: Callable[[], Mapping[str, State]]) -> None:
        self._states = states

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily(
            "penstock_provider_breaker_open",
            "1 while a provider is left alone because it failed, 0.5 while one request is let through to see.",
            labels=["provider"],
        )
        for provider, state in self._states().items():
            family.add_metric([provider], _STATES[state])
        yield family


class ProviderMetrics:
    """Of one gateway.

    Args:
        registry: where they are shown.
        states: of all breakers.
    """

    def __init__(self, registry: CollectorRegistry, states: Callable[[], Mapping[str, State]]) -> None:
        self._requests = Counter(
            "penstock_provider_requests_total",
            "Requests that went to a provider, or would have, and what came of them.",
            ["provider", "outcome"],
            registry=registry,
        )
        self._fallbacks = Counter(
            "penstock_provider_fallbacks_total",
            "Requests that a model of ours could not answer and that went to its fallback, by the reason, and whether"
            " the fallback answered.",
            ["model", "provider", "reason", "answered"],
            registry=registry,
        )
        registry.register(_Breakers(states))

    def asked(self, provider: str, outcome: Outcome) -> None:
        """A request to a provider is over."""
        self._requests.labels(provider, outcome).inc()

    def fell_back(self, model: str, provider: str, reason: str, *, answered: bool) -> None:
        """A request went to a fallback."""
        self._fallbacks.labels(model, provider, reason, str(answered).lower()).inc()
