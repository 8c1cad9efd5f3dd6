"""vLLM's metrics → what scaling goes by."""

from __future__ import annotations

from penstock.board.gauges import Gauge
from penstock.engine.probe import read_gauges
from penstock.simulator.metrics import Metrics

OF_TWO_ENGINES = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 3.0
vllm:num_requests_running{engine="1",model_name="m"} 4.0
vllm:num_requests_waiting{engine="0",model_name="m"} 2.0
vllm:num_requests_waiting{engine="1",model_name="m"} 0.0
vllm:num_requests_waiting_by_reason{engine="0",model_name="m",reason="capacity"} 2.0
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.25
vllm:kv_cache_usage_perc{engine="1",model_name="m"} 0.75
vllm:e2e_request_latency_seconds_bucket{engine="0",le="0.3",model_name="m"} 0.0
vllm:e2e_request_latency_seconds_count{engine="0",model_name="m"} 4.0
vllm:e2e_request_latency_seconds_sum{engine="0",model_name="m"} 10.0
"""


def test_requests_are_summed_and_the_fullest_cache_counts() -> None:
    assert read_gauges(OF_TWO_ENGINES) == {
        Gauge.RUNNING: 7,
        Gauge.QUEUED: 2,
        Gauge.KV_USAGE: 0.75,
        Gauge.REQUEST_SECONDS: 2.5,
    }


def test_an_older_vllm_has_another_name_for_its_cache() -> None:
    assert read_gauges('vllm:gpu_cache_usage_perc{model_name="m"} 0.5')[Gauge.KV_USAGE] == 0.5


def test_before_the_first_request_ended_nobody_knows_how_long_one_takes() -> None:
    assert Gauge.REQUEST_SECONDS not in read_gauges('vllm:e2e_request_latency_seconds_count{model_name="m"} 0.0')


def test_the_simulator_tells_the_same() -> None:
    metrics = Metrics("m", max_num_seqs=8)
    metrics.running, metrics.waiting = 4, 3
    metrics.whole_request.observe(2.0)
    metrics.whole_request.observe(4.0)
    assert read_gauges(metrics.render().decode()) == {
        Gauge.RUNNING: 4,
        Gauge.QUEUED: 3,
        Gauge.KV_USAGE: 0.5,
        Gauge.REQUEST_SECONDS: 3.0,
    }


def test_requests_that_have_arrived_count_before_the_engine_knows_of_them() -> None:
    metrics = 'vllm:num_requests_running{model_name="m"} 1.0\nvllm:num_requests_waiting{model_name="m"} 2.0'
    assert read_gauges(metrics, open_requests=7)[Gauge.RUNNING] == 5
    # One request with several choices is one inside the server and several in the engine.
    assert read_gauges(metrics, open_requests=1)[Gauge.RUNNING] == 1
