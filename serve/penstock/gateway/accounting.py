"""What the ledger is told of a request that is over, and what Prometheus is told of the ledger. Used by `app`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from penstock.accounts.account import ANONYMOUS
from penstock.accounts.ledger.entry import Entry, count, new_uid
from penstock.accounts.limits.rules import cost
from penstock.config.limits import Price
from penstock.gateway.call import Call
from penstock.gateway.errors import UnavailableError
from penstock.gateway.usage import Usage

if TYPE_CHECKING:
    from penstock.accounts.ledger.opening import OpenUsage
    from penstock.accounts.ledger.writer import Ledger


def entry_of(call: Call, status: int, seconds: float, prices: Mapping[str, Price] | None = None) -> Entry:
    """The entry of a request for a model, which is over.

    Args:
        prices: of models, by their names.
        status: as in metrics.
        seconds: from its head to its end.
    """
    account = call.account or ANONYMOUS
    usage = call.usage or Usage()
    model = call.answered_by or call.model
    return Entry(
        uid=new_uid(),
        at=time.time(),
        key=account.id,
        team=account.owner,
        model=model,
        endpoint=call.endpoint,
        status=status,
        prompt=count(usage.prompt),
        completion=count(usage.completion),
        cached=count(usage.cached),
        exact=usage.exact,
        first_byte_ms=None if call.first_byte is None else count((call.first_byte - call.began) * 1000),
        duration_ms=count(seconds * 1000),
        request_id=call.request_id.decode("latin-1"),
        cache=call.cache,
        provider=call.provider,
        fallback=call.fallback,
        cost=cost((prices or {}).get(model), usage.prompt, usage.completion, usage.cached),
    )


class Accounting:
    """The ledger, as the gateway uses it.

    Args:
        usage: opened.
        registry: where its metrics are shown.
        prices: of models, by their names.
    """

    def __init__(
        self, usage: OpenUsage, registry: CollectorRegistry, prices: Mapping[str, Price] | None = None
    ) -> None:
        self._usage = usage
        self._prices = prices
        self._requests = Counter(
            "penstock_usage_requests_total", "Requests for models, by team.", ["team", "model"], registry=registry
        )
        self._tokens = Counter(
            "penstock_usage_tokens_total",
            "Tokens of requests that are over, by team: of prompts, those of them that were cached, and of answers.",
            ["team", "model", "kind"],
            registry=registry,
        )
        registry.register(_Health(usage.ledger))

    def check(self) -> None:
        """Raises UnavailableError where a request could not be counted, and is not to be served then."""
        if self._usage.refuses:
            raise UnavailableError(
                "Usage cannot be kept any more: its store or this gateway's disk takes nothing, as the gateway's log"
                " says. Until it does, requests are refused (accounts.usage.whenFull).",
                code="usage_unavailable",
                layer="accounts",
                retry_after=5.0,
            )

    def note(self, call: Call, status: int, seconds: float) -> None:
        """A request for a model is over."""
        entry = entry_of(call, status, seconds, self._prices)
        self._usage.note(entry)
        self._requests.labels(entry.team, entry.model).inc()
        for kind, tokens in (("prompt", entry.prompt), ("cached", entry.cached), ("completion", entry.completion)):
            self._tokens.labels(entry.team, entry.model, kind).inc(tokens)


class _Health(Collector):
    """How the ledger is, when asked."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def collect(self) -> Iterable[Metric]:
        yield CounterMetricFamily(
            "penstock_usage_lost_total", "Requests that the ledger does not know.", value=self._ledger.lost
        )
        yield GaugeMetricFamily(
            "penstock_usage_buffered_bytes",
            "Bytes of usage on this gateway's disk that the store has not yet.",
            value=self._ledger.buffered,
        )
        yield GaugeMetricFamily(
            "penstock_usage_store_gone",
            "1 while the ledger's store cannot be reached.",
            value=float(self._ledger.store_fails),
        )
