from __future__ import annotations

from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.simulators import client_of, simulator

FIELDS = (  # noqa: SIM905  # a list of strings reads worse
    "model messages role content prompt input max_tokens max_output_tokens n stop stream stream_options "
    "include_usage temperature top_p seed logprobs top_logprobs tools tool_choice type function name "
    "parameters response_format json_schema schema dimensions encoding_format tokens echo system "
    "stop_sequences input_schema"
).split()
VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-2, 9)
    | st.floats(-3, 3)
    | st.text(max_size=4)
    | st.sampled_from(["demo", "user", "required", "auto", "function", "json_schema", "base64", "any", "object"])
)
JSON = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=5),
    max_leaves=15,
)
MESSAGES = st.just([{"role": "user", "content": "hi"}]) | JSON
BODIES = JSON | st.builds(
    lambda usual, more: {**usual, **more},
    st.fixed_dictionaries({"model": st.just("demo"), "messages": MESSAGES, "prompt": st.just("a") | JSON}),
    st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=4),
)
PATHS = ("chat/completions", "completions", "embeddings", "responses", "messages", "messages/count_tokens")


async def post(path: str, content: bytes) -> httpx.Response:
    _, app = simulator(output_tokens=4)
    async with client_of(app) as client:
        return await client.post(path, content=content, headers={"content-type": "application/json"})


@pytest.mark.parametrize("path", [*(f"/v1/{path}" for path in PATHS), "/tokenize", "/detokenize"])
@settings(max_examples=50, deadline=None)
@given(body=BODIES)
async def test_any_json_is_answered_or_refused(path: str, body: Any):
    answer = await post(path, orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS))
    assert answer.status_code in (200, 400, 404)
    if answer.status_code != 200:
        assert answer.json()["error"]["message"]


@given(content=st.binary(max_size=64))
@settings(deadline=None)
async def test_any_bytes_are_answered_or_refused(content: bytes):
    assert (await post("/v1/chat/completions", content)).status_code == 400


async def test_a_very_deep_body_is_refused_or_answered():
    for depth in (100, 2_000, 100_000):
        content = b'{"messages":[{"role":"user","content":"a"}],"tools":' + b"[" * depth + b"]" * depth + b"}"
        assert (await post("/v1/chat/completions", content)).status_code == 400
