"""Ray Serve's side of the scaling decision, called by its controller in every turn of its loop through `entry`. Thin.

Serve keeps one of these per model and makes a new one when a number of the model changes, so what the policy remembers
starts anew then, and windows are waited out again.
"""

from __future__ import annotations

import concurrent.futures
import logging
import time
from collections.abc import Mapping
from statistics import fmean
from typing import Any

from ray.serve import autoscaling_policy
from ray.serve.config import AutoscalingContext

from penstock.board.decisions import Decisions, ScalingDecision
from penstock.board.gauges import Gauge
from penstock.board.kv import KvDecisions, KvWishes
from penstock.board.wishes import Wishes
from penstock.scaling.explanation import Explanation, Rule
from penstock.scaling.observation import Observation, Report, Settings
from penstock.scaling.policy import INITIAL, PERIOD, decide
from penstock.scaling.rest import TOLD, RestWish

RENEW = 10.0
"""Seconds between two pins of a decision that did not change."""

logger = logging.getLogger("ray.serve")
"""Ray's, because this runs in Serve's controller, whose log says what became of a number."""


class Scaler:
    """Decides for one model."""

    def __init__(
        self,
        *,
        model: str,
        decisions: Decisions | None = None,
        wishes: Wishes | None = None,
    ) -> None:
        """
        Args:
            model: its name, for the board.
            decisions: where decisions are pinned; Ray's store unless given.
            wishes: where administrators' wishes are read; Ray's store unless given.
        """
        self._model = model
        self._state = INITIAL
        self._number: int | None = None
        self._next = 0.0
        self._heard = _Heard()
        self._pins = _Pins(decisions or KvDecisions())
        self._rest = RestWish(model, wishes or KvWishes())
        _decide_alone()

    def __call__(self, context: AutoscalingContext) -> tuple[int, dict[str, Any]]:
        """Replicas wanted, and what Ray is to remember, which is nothing."""
        now = time.monotonic()
        asleep = context.target_num_replicas == 0 and context.total_queued_requests > 0
        if self._number is None or now >= self._next or asleep:
            self._next = now + PERIOD
            try:
                self._number = self._decide(context, now)
            except Exception:
                # Serve's controller runs all models; none of them may stop it.
                logger.exception("%s: no decision on replicas", self._model)
                self._number = context.target_num_replicas
        return self._number, {}

    def _decide(self, context: AutoscalingContext, now: float) -> int:
        running = {replica.unique_id for replica in context.running_replicas}
        reports, start_seconds = self._heard.reports(context.raw_metrics or {}, now)
        seen = Observation(
            now=now,
            asked=context.target_num_replicas,
            running=frozenset(running),
            reports=reports,
            waiting=context.total_queued_requests or 0.0,
            start_seconds=start_seconds,
        )
        # All are Ray's own numbers, by which only this policy goes.
        settings = Settings(
            least=context.capacity_adjusted_min_replicas,
            most=context.capacity_adjusted_max_replicas,
            target=int(context.config.target_ongoing_requests),
            upscale_delay=context.config.upscale_delay_s,
            downscale_delay=context.config.downscale_delay_s,
            downscale_to_zero_delay=context.config.downscale_to_zero_delay_s,
            kv_threshold=context.config.upscaling_factor,
        )
        number, explanation, self._state = decide(seen, settings, self._state)
        if settings.least == 0 and self._rest.granted(explanation.seen, now) and number > 0:
            number, explanation = 0, explanation._replace(rule=Rule.IDLE, text=TOLD)
        if number != seen.asked:
            text = explanation.text
            logger.info("%s: %d replicas asked for instead of %d. %s", self._model, number, seen.asked, text)
        changed = max(context.last_scale_up_time or 0.0, context.last_scale_down_time or 0.0)
        self._pins.pin(_on_the_board(self._model, number, explanation, settings, start_seconds), changed, now)
        return number


class _Heard:
    """What replicas said, with the time at which it came here: their clocks are not ours."""

    def __init__(self) -> None:
        self._came: dict[str, tuple[float, float]] = {}
        self._start_seconds: float | None = None

    def reports(self, raw: Mapping[str, Mapping[Any, Any]], now: float) -> tuple[dict[str, Report], float | None]:
        """The last report of each replica, and how long the last starts took."""
        latest = {
            name: {replica.unique_id: series[-1] for replica, series in said.items() if series}
            for name, said in raw.items()
        }
        running = latest.get(Gauge.RUNNING, {})
        self._came = {
            replica: came
            if (came := self._came.get(replica)) and came[0] == point.timestamp
            else (point.timestamp, now)
            for replica, point in running.items()
        }
        if starts := latest.get(Gauge.START_SECONDS):
            self._start_seconds = fmean(point.value for point in starts.values())

        def said(name: Gauge, replica: str) -> float | None:
            point = latest.get(name, {}).get(replica)
            return None if point is None else float(point.value)

        reports = {
            replica: Report(
                running=float(point.value),
                queued=said(Gauge.QUEUED, replica) or 0.0,
                kv_usage=said(Gauge.KV_USAGE, replica) or 0.0,
                request_seconds=said(Gauge.REQUEST_SECONDS, replica),
                age=now - self._came[replica][1],
            )
            for replica, point in running.items()
        }
        return reports, self._start_seconds


class _Pins:
    """Pins from a thread of its own, one at a time, so that a slow store holds nobody up."""

    def __init__(self, decisions: Decisions) -> None:
        self._decisions = decisions
        self._thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="scaling-board")
        self._pending: concurrent.futures.Future[None] | None = None
        self._last: tuple[int, str] | None = None
        self._since = 0.0
        self._renew_at = 0.0

    def pin(self, decision: ScalingDecision, changed: float, now: float) -> None:
        """
        Args:
            changed: when Serve last changed the number, in seconds since the epoch; 0 where it never did.
            now: monotonic seconds.
        """
        said = (decision.replicas, decision.rule)
        if self._last is None:
            self._since = changed or decision.updated
        elif self._last[0] != decision.replicas:
            self._since = decision.updated
        if (said == self._last and now < self._renew_at) or (self._pending is not None and not self._pending.done()):
            return
        self._last, self._renew_at = said, now + RENEW
        pinned = decision.model_copy(update={"since": self._since})
        self._pending = self._thread.submit(self._put, pinned)

    def _put(self, decision: ScalingDecision) -> None:
        try:
            self._decisions.pin(decision)
        except Exception:
            # For people; scaling goes on without it.
            logger.warning("a decision could not be pinned", exc_info=True)


def _on_the_board(
    model: str, number: int, why: Explanation, settings: Settings, start_seconds: float | None
) -> ScalingDecision:
    seen, at = why.seen, time.time()
    return ScalingDecision(
        model=model,
        replicas=number,
        rule=why.rule,
        text=why.text,
        since=at,
        updated=at,
        least=settings.least,
        most=settings.most,
        target=settings.target,
        asked=seen.asked,
        ready=seen.ready,
        starting=seen.starting,
        needed=seen.needed,
        running_requests=seen.in_engines,
        queued_requests=seen.queued,
        waiting_requests=seen.waiting,
        missing_reports=seen.missing,
        kv_usage=seen.kv_usage,
        idle_seconds=seen.idle,
        start_seconds=start_seconds,
    )


def _decide_alone() -> None:
    """Put two rules of Ray's aside for our policies, and for no others.

    Where no replica runs and requests wait, Ray asks for one replica without asking the policy, and for no second one
    until that has started, minutes later. And it lets each change wait for the delays that the policy has waited for.
    """
    at_zero = autoscaling_policy._get_cold_start_scale_up_replicas  # noqa: SLF001
    if getattr(at_zero, "leaves_penstock_alone", False):
        return
    afterwards = autoscaling_policy._apply_default_params_and_merge_state  # noqa: SLF001

    def at_zero_unless_ours(context: AutoscalingContext) -> int | None:
        answer: int | None = None if _is_ours(context) else at_zero(context)
        return answer

    def afterwards_unless_ours(
        policy_state: dict[str, Any], own_state: dict[str, Any], wanted: float, context: AutoscalingContext
    ) -> tuple[int, dict[str, Any]]:
        if _is_ours(context):
            return int(wanted), own_state
        answer: tuple[int, dict[str, Any]] = afterwards(policy_state, own_state, wanted, context)
        return answer

    at_zero_unless_ours.leaves_penstock_alone = True  # type: ignore[attr-defined]
    autoscaling_policy._get_cold_start_scale_up_replicas = at_zero_unless_ours  # noqa: SLF001
    autoscaling_policy._apply_default_params_and_merge_state = afterwards_unless_ours  # noqa: SLF001


def _is_ours(context: AutoscalingContext) -> bool:
    return str(context.config.policy.policy_function).startswith("penstock.")
