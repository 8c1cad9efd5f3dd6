"""Limits on the road of a request: let in before it waits for a replica, settled when it is over. Used by `inference`.

What a client is told is OpenAI's: 429 with `retry-after`, and `x-ratelimit-*` on every answer that a limit of a minute
concerns, of the narrowest one.
"""

from __future__ import annotations

import math
from typing import Final

from penstock.accounts.account import ANONYMOUS
from penstock.accounts.limits.counters import CountersGoneError
from penstock.accounts.limits.errors import OverLimitError
from penstock.accounts.limits.estimate import estimate
from penstock.accounts.limits.limiter import Admission, Limiter, Tokens
from penstock.accounts.limits.rules import BILLIONTHS, Rule, Unit
from penstock.accounts.limits.standing import Meter, Standing
from penstock.gateway.bodies import Asked
from penstock.gateway.call import Call
from penstock.gateway.errors import BudgetSpentError, LimitedError, UnavailableError
from penstock.gateway.headers import Header
from penstock.gateway.metrics import Metrics
from penstock.gateway.turns import Line

_ANSWERS: Final = frozenset({"/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"})
_READS: Final = frozenset({"/v1/embeddings", "/v1/rerank", "/v1/score"})
"""Endpoints that take tokens of a prompt, and make none. All others take none, or tell them only in the end."""

_WHOSE: Final = {"key": "this key", "team": "the team {who!r}", "model": "the model {who!r}"}
_UNKNOWN_WAIT: Final = 1.0
"""Seconds after which another try makes sense where requests in progress must end first."""


def expected_tokens(endpoint: str, asked: Asked, body_size: int) -> int:
    """How many tokens a request may take."""
    if endpoint in _ANSWERS:
        return estimate(body_size, asked.most, asked.answers)
    return estimate(body_size, 0) if endpoint in _READS else 0


async def enter(limiter: Limiter, metrics: Metrics, call: Call, asked: Asked, body_size: int) -> Admission | None:
    """Let a call in; None where nothing limits it. `leave` ends it.

    Raises:
        LimitedError, BudgetSpentError: a limit is reached.
        UnavailableError: nobody can tell.
    """
    tokens = expected_tokens(call.endpoint, asked, body_size)
    account = call.account or ANONYMOUS
    call.line = Line(account.id, limiter.share_of(account))
    try:
        admission = await limiter.admit(account, call.model, tokens)
    except OverLimitError as error:
        call.common += standing_lines(error.standing)
        metrics.limited(error.rule.scope, error.rule.name)
        raise _refused(error) from None
    except CountersGoneError:
        raise UnavailableError(
            "The counters of limits (Redis) cannot be reached, so nobody can tell whether this request may pass; the"
            " gateway's log says why. Try again later.",
            code="limits_unavailable",
            layer="accounts",
            retry_after=1.0,
        ) from None
    if admission is not None:
        call.common += standing_lines(admission.standing)
    return admission


def leave(limiter: Limiter, admission: Admission, call: Call, asked: Asked, body_size: int) -> None:
    """The call is over: count what it took."""
    limiter.settle(admission, taken(call, asked, body_size), paid_as=call.answered_by or call.model)


def taken(call: Call, asked: Asked, body_size: int) -> Tokens | None:
    """The tokens of a call that is over: those that the engine counted, else the estimate where it answered at all."""
    if (usage := call.usage) is not None:
        return Tokens(usage.prompt, usage.completion, usage.cached)
    if not call.begun or call.status >= 400:
        return None
    prompt = expected_tokens(call.endpoint, asked._replace(most=0), body_size)
    return Tokens(prompt, expected_tokens(call.endpoint, asked, body_size) - prompt)


def standing_lines(standing: Standing) -> list[Header]:
    """The `x-ratelimit-*` lines."""
    return [*_lines(b"requests", standing.requests), *_lines(b"tokens", standing.tokens)]


def written_duration(seconds: float) -> str:
    """As OpenAI writes it: `350ms`, `12.5s`, `1m0s`, `2h0m5s`."""
    milliseconds = math.ceil(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{rest / 1000:g}s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text


def _lines(unit: bytes, meter: Meter | None) -> list[Header]:
    if meter is None:
        return []
    return [
        (b"x-ratelimit-limit-" + unit, b"%d" % meter.limit),
        (b"x-ratelimit-remaining-" + unit, b"%d" % meter.remaining),
        (b"x-ratelimit-reset-" + unit, written_duration(meter.reset).encode()),
    ]


def _refused(error: OverLimitError) -> LimitedError | BudgetSpentError:
    rule = error.rule
    limit = f"{_whose(rule)} may take {_amount(rule)} ({rule.name})"
    if rule.period is not None:
        return BudgetSpentError(
            f"The budget of this {rule.period.value} is spent: {limit}. It begins anew with the next"
            f" {rule.period.value} of UTC. Ask whoever runs this address for more.",
            retry_after=error.wait or _UNKNOWN_WAIT,
        )
    return LimitedError(f"A limit is reached: {limit}. Try again later.", retry_after=error.wait or _UNKNOWN_WAIT)


def _whose(rule: Rule) -> str:
    return _WHOSE[rule.scope].format(who=rule.who)


def _amount(rule: Rule) -> str:
    if rule.unit is Unit.MONEY:
        return f"{rule.limit / BILLIONTHS:g} a {_period(rule)}"
    if rule.name == "requestsAtOnce":
        return f"{rule.limit} requests at once"
    return f"{rule.limit} {rule.unit.value} a {_period(rule)}"


def _period(rule: Rule) -> str:
    return rule.period.value if rule.period is not None else "minute"
