"""What `/metrics` and `/load` say, under vLLM's names, so that scaling and dashboards see no difference.

Counts are plain numbers, written by `generation` for every token; Prometheus' text is made when it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

CONTENT_TYPE = b"text/plain; version=1.0.0; charset=utf-8"
FINISHED_REASONS = ("stop", "length", "abort", "error", "repetition")

_LABELS = ["model_name", "engine"]
_SECONDS = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640)


class Metrics:
    """The counts of one engine."""

    def __init__(self, model: str, *, max_num_seqs: int) -> None:
        self.running = 0
        self.waiting = 0
        self.prompt_tokens = 0
        self.generation_tokens = 0
        self.finished = dict.fromkeys(FINISHED_REASONS, 0)
        self._max_num_seqs = max_num_seqs
        self._labels = [model, "0"]
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        self.first_token = self._histogram("vllm:time_to_first_token_seconds", "Time to first token in seconds.")
        self.whole_request = self._histogram("vllm:e2e_request_latency_seconds", "Whole time of requests in seconds.")

    @property
    def load(self) -> int:
        """Requests in progress, queued ones included."""
        return self.running + self.waiting

    def render(self) -> bytes:
        """Prometheus' text."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """The counts as they are now. Called by the registry."""
        yield self._gauge("vllm:num_requests_running", "Requests that are being generated.", self.running)
        yield self._gauge("vllm:num_requests_waiting", "Requests that wait for their turn.", self.waiting)
        usage = min(self.running / self._max_num_seqs, 1.0)
        yield self._gauge("vllm:kv_cache_usage_perc", "Share of the cache in use, 1 means all of it.", usage)
        yield self._counter("vllm:prompt_tokens", "Tokens of prompts.", self.prompt_tokens)
        yield self._counter("vllm:generation_tokens", "Tokens of answers.", self.generation_tokens)
        success = CounterMetricFamily(
            "vllm:request_success", "Requests by how they ended.", labels=[*_LABELS, "finished_reason"]
        )
        for reason, count in self.finished.items():
            success.add_metric([*self._labels, reason], count)
        yield success

    def _gauge(self, name: str, text: str, value: float) -> Metric:
        family = GaugeMetricFamily(name, text, labels=_LABELS)
        family.add_metric(self._labels, value)
        return family

    def _counter(self, name: str, text: str, value: float) -> Metric:
        family = CounterMetricFamily(name, text, labels=_LABELS)
        family.add_metric(self._labels, value)
        return family

    def _histogram(self, name: str, text: str) -> Histogram:
        return Histogram(name, text, labelnames=_LABELS, registry=self._registry, buckets=_SECONDS).labels(
            *self._labels
        )
