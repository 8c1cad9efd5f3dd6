"""Which refusals of our own model a fallback could help against."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.gateway.errors import (
    BadRequestError,
    BusyError,
    EngineAnsweredError,
    EngineCrashedError,
    EngineFailedError,
    EngineRefusedError,
    EngineTooSlowError,
    GatewayError,
    LimitedError,
    UnavailableError,
)
from penstock.gateway.providers.choice import is_overflow, may_go_elsewhere, reason_for
from penstock.simulator.requests import BadRequestError as SimulatorRefusal
from penstock.simulator.requests import room


def said(message: str, **more: object) -> bytes:
    return orjson.dumps({"error": {"message": message, "type": "BadRequestError", **more}})


FULL = BusyError("x", layer="pool")
WAITED = UnavailableError("x", layer="pool")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (FULL, "noReplica"),
        (WAITED, "noReplica"),
        (EngineFailedError("x"), "failed"),
        (EngineCrashedError("x"), "failed"),
        (EngineRefusedError(500, "x"), "failed"),
        (EngineAnsweredError(503, [], said("x")), "failed"),
        (EngineAnsweredError(400, [], said("This model's maximum context length is 8 tokens.")), "tooLong"),
        (EngineAnsweredError(400, [], said("x", code="context_length_exceeded")), "tooLong"),
        (EngineRefusedError(422, "x"), None),
        (EngineTooSlowError("x"), None),
        (UnavailableError("x", code="shutting_down", layer="pool"), None),
        (UnavailableError("x", code="store_unavailable", layer="accounts"), None),
        (BusyError("x", layer="accounts"), None),
        (LimitedError("x", retry_after=1), None),
        (BadRequestError("x"), None),
    ],
)
def test_each_refusal_has_its_reason_or_none(error: GatewayError, reason: str | None):
    assert reason_for(error, ready=False) == reason


@pytest.mark.parametrize("error", [FULL, WAITED])
def test_an_overload_is_no_reason_to_pay_for_it_elsewhere(error: GatewayError):
    assert reason_for(error, ready=True) is None


def test_the_engines_words_for_a_prompt_that_is_too_long_are_known():
    with pytest.raises(SimulatorRefusal) as refusal:
        room(100, None, 10)
    assert is_overflow(400, said(str(refusal.value)))


@given(st.integers(100, 599), st.binary(max_size=60) | st.just(b'"maximum context length"') | st.just(b'{"error":1}'))
def test_no_body_confuses_it(status: int, body: bytes):
    assert may_go_elsewhere(status, body) == (status >= 500)
    assert not is_overflow(status, b'{"x":"maximum context length"}' + body)
