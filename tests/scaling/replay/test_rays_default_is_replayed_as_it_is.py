"""The replay's copy of Ray Serve's default policy against Ray's own functions, which start nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.scaling.replay.reports import Line
from penstock.scaling.replay.rivals import ray_mean
from penstock.scaling.replay.rivals.ray_default import Config, Pending, RayDefault, delayed, scaled, wanted
from penstock.scaling.replay.world import Truth

autoscaling_policy = pytest.importorskip("ray.serve.autoscaling_policy")
autoscaling_metrics_merge = pytest.importorskip("ray.serve._private.autoscaling_metrics_merge")
serve_config = pytest.importorskip("ray.serve.config")

CONFIGS = st.builds(
    Config,
    min_replicas=st.integers(0, 3),
    max_replicas=st.integers(3, 50),
    target_ongoing_requests=st.floats(0.5, 64),
    upscale_delay_s=st.sampled_from([0.0, 10.0, 30.0]),
    downscale_delay_s=st.sampled_from([0.0, 60.0, 600.0]),
    downscale_to_zero_delay_s=st.sampled_from([None, 0.0, 120.0]),
    upscaling_factor=st.floats(0.1, 3),
    downscaling_factor=st.floats(0.1, 3),
    look_back_period_s=st.just(30.0),
    metrics_interval_s=st.just(10.0),
)
SERIES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 40)), max_size=8, unique_by=lambda point: point[0]).map(
    lambda points: [(float(time), float(value)) for time, value in sorted(points)]
)


def rays(config: Config) -> Any:
    """The same settings as Ray's own."""
    return serve_config.AutoscalingConfig(**config._asdict())


def test_the_defaults_are_rays_but_for_the_target() -> None:
    own = Config()._asdict()
    theirs = serve_config.AutoscalingConfig()
    for name in own.keys() - {"target_ongoing_requests", "upscaling_factor", "downscaling_factor"}:
        assert own[name] == getattr(theirs, name), name
    assert own["upscaling_factor"] == theirs.get_upscaling_factor()
    assert own["downscaling_factor"] == theirs.get_downscaling_factor()


@given(st.lists(SERIES, max_size=5), st.integers(0, 60))
def test_the_mean_of_what_handles_report_is_rays(sources: list[list[tuple[float, float]]], later: int) -> None:
    now = max((source[-1][0] for source in sources if source), default=0.0) + later
    points = [point for source in sources for point in source]
    theirs = autoscaling_metrics_merge.merge_and_aggregate_arrays(
        np.array([time for time, _ in points], dtype=np.float64),
        np.array([value for _, value in points], dtype=np.float64),
        np.cumsum([0, *(len(source) for source in sources)]),
        now,
    )
    assert ray_mean.mean(*ray_mean.merged(sources), now) == pytest.approx(theirs)


@given(st.floats(0, 1e4), st.integers(0, 50), st.integers(0, 50), CONFIGS)
def test_what_is_wanted_is_rays(total: float, running: int, target: int, config: Config) -> None:
    context = SimpleNamespace(
        current_num_replicas=running, target_num_replicas=target, total_num_requests=total, config=rays(config)
    )
    theirs, _ = autoscaling_policy._core_replica_queue_length_policy(context)
    assert wanted(total, running, target, config) == pytest.approx(theirs)


@given(st.floats(0, 100), st.integers(0, 50), CONFIGS)
def test_the_factors_do_what_rays_do(desired: float, running: int, config: Config) -> None:
    assert scaled(desired, running, config) == autoscaling_policy._apply_scaling_factors(desired, running, rays(config))


@given(st.lists(st.tuples(st.integers(0, 9), st.floats(0.1, 400)), min_size=1, max_size=40), st.integers(0, 9), CONFIGS)
def test_changes_wait_as_long_as_rays(steps: list[tuple[int, float]], target: int, config: Config) -> None:
    own = theirs = target
    pending, state, now = Pending(), {}, 1000.0
    settings = rays(config)
    for desired, later in steps:
        now += later
        own, pending = delayed(desired, own, config, pending, now)
        theirs, state = autoscaling_policy._apply_delay_logic(desired, theirs, settings, state, _now=now)
        assert own == theirs


@given(
    st.lists(st.tuples(st.floats(0, 500), st.integers(0, 9)), min_size=1, max_size=40),
    st.integers(0, 9),
    CONFIGS,
)
def test_the_whole_policy_decides_as_ray_does(steps: list[tuple[float, int]], target: int, config: Config) -> None:
    policy = RayDefault(config, Line(), seed=1)
    decide = autoscaling_policy._apply_autoscaling_config(autoscaling_policy._core_replica_queue_length_policy)
    settings, state = rays(config), {}
    own = theirs = target
    with pytest.MonkeyPatch.context() as patch:
        for second, (total, running) in enumerate(steps):
            now = 20.0 * second
            patch.setattr(autoscaling_policy, "time", SimpleNamespace(time=lambda now=now: now))
            context = SimpleNamespace(
                current_num_replicas=running,
                target_num_replicas=theirs,
                total_num_requests=total,
                config=settings,
                policy_state=state,
            )
            theirs, state = decide(context)
            own = policy._next(total, Truth(now, own, 0, None, ((1, running, 0),) if running else (), 0))
            assert own == theirs


def test_a_handle_that_says_nothing_is_forgotten() -> None:
    policy = RayDefault(Config(min_replicas=0, max_replicas=9, downscale_delay_s=0), Line(delay_s=0), seed=1)
    busy = Truth(0, 4, 0, None, ((1, 4, 64),), 0)
    for second in range(60):
        target = policy.decide(busy._replace(now=second))
    assert target == 4
    for handle in policy._handles:
        handle.note = lambda truth: None
    told = [policy.decide(busy._replace(now=60 + second)) for second in range(21)]
    assert told[8] == 4
    assert told[-1] == 1
