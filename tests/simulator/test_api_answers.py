"""What clients get, without sockets. That it is vLLM's shape is for `test_simulator_agrees_with_vllm`."""

from __future__ import annotations

import asyncio
import base64
import json
import math
import struct

import pytest

from support.simulators import client_of, simulator

SAID = {"model": "demo", "messages": [{"role": "user", "content": "hello"}]}
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
NAMED = {"type": "function", "function": {"name": "weather"}}


async def ask(path: str, body: object, *, status: int = 200, **options):
    _, app = simulator(**options)
    async with client_of(app) as client:
        answer = await client.post(path, json=body)
    assert answer.status_code == status, answer.text
    return answer


def frames(text: str) -> list:
    lines = [line.removeprefix("data: ") for line in text.split("\n") if line.startswith("data: ")]
    return [json.loads(line) if line != "[DONE]" else line for line in lines]


async def test_a_stream_says_what_the_whole_answer_says():
    body = {**SAID, "seed": 5, "max_tokens": 12}
    whole = (await ask("/v1/chat/completions", body)).json()["choices"][0]["message"]["content"]
    chunks = frames((await ask("/v1/chat/completions", {**body, "stream": True})).text)
    assert chunks[-1] == "[DONE]"
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks[:-1]) == whole
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks[:-1]] == [None] * 12 + ["length"]


async def test_the_same_seed_says_the_same_and_no_seed_does_not():
    _, app = simulator()
    async with client_of(app) as client:

        async def say(**more) -> str:
            return (await client.post("/v1/chat/completions", json={**SAID, **more})).json()["choices"][0]["message"][
                "content"
            ]

        assert await say(seed=1) == await say(seed=1)
        assert await say(seed=1) != await say(seed=2)
        assert await say(temperature=0) == await say(temperature=0)
        assert await say() != await say()


async def test_usage_comes_last_and_only_when_asked_for():
    body = {**SAID, "max_tokens": 3, "stream": True}
    without = frames((await ask("/v1/chat/completions", body)).text)
    assert not any("usage" in chunk for chunk in without[:-1])
    chunks = frames((await ask("/v1/chat/completions", {**body, "stream_options": {"include_usage": True}})).text)
    assert chunks[-2]["choices"] == []
    assert chunks[-2]["usage"]["completion_tokens"] == 3
    assert chunks[-1] == "[DONE]"


@pytest.mark.parametrize(("choice", "reason"), [(NAMED, "stop"), ("required", "tool_calls")])
async def test_a_forced_tool_is_called_with_arguments_that_fit(choice, reason):
    body = {**SAID, "tools": [WEATHER], "tool_choice": choice}
    said = (await ask("/v1/chat/completions", body)).json()["choices"][0]
    call = said["message"]["tool_calls"][0]["function"]
    assert (call["name"], json.loads(call["arguments"])) == ("weather", {"city": "word"})
    assert said["finish_reason"] == reason
    chunks = frames((await ask("/v1/chat/completions", {**body, "stream": True})).text)
    calls = [c["choices"][0]["delta"].get("tool_calls", [{}])[0].get("function", {}) for c in chunks[:-1]]
    assert "".join(call.get("arguments", "") for call in calls) == '{"city":"word"}'
    assert [call["name"] for call in calls if "name" in call] == ["weather"]
    assert chunks[-2]["choices"][0]["finish_reason"] == reason


async def test_a_tool_that_is_not_forced_is_not_called():
    said = (await ask("/v1/chat/completions", {**SAID, "tools": [WEATHER], "tool_choice": "auto"})).json()
    assert said["choices"][0]["message"]["content"]


async def test_a_json_object_is_an_object():
    said = (await ask("/v1/chat/completions", {**SAID, "response_format": {"type": "json_object"}})).json()
    assert json.loads(said["choices"][0]["message"]["content"]) == {}


async def test_choices_differ_and_are_counted_together():
    said = (await ask("/v1/chat/completions", {**SAID, "n": 3, "max_tokens": 9})).json()
    assert len({choice["message"]["content"] for choice in said["choices"]}) == 3
    assert said["usage"]["completion_tokens"] == 27
    body = {**SAID, "n": 3, "max_tokens": 9, "stream": True, "logprobs": True, "top_logprobs": 2}
    chunks = frames((await ask("/v1/chat/completions", body)).text)[:-1]
    assert {chunk["choices"][0]["index"] for chunk in chunks} == {0, 1, 2}
    tops = [chunk["choices"][0]["logprobs"]["content"][0]["top_logprobs"] for chunk in chunks[3:]]
    assert {len(top) for top in tops} <= {1, 2}


async def test_completions_echo_and_stream():
    body = {"model": "demo", "prompt": ["one", "two"], "max_tokens": 4, "echo": True, "logprobs": 2, "seed": 1}
    whole = (await ask("/v1/completions", body)).json()["choices"]
    assert [choice["text"][:3] for choice in whole] == ["one", "two"]
    assert len(whole[0]["logprobs"]["tokens"]) == 4
    options = {"include_usage": True, "continuous_usage_stats": True}
    chunks = frames((await ask("/v1/completions", {**body, "stream": True, "stream_options": options})).text)
    first = [c["choices"][0]["text"] for c in chunks[:-2] if c["choices"][0]["index"] == 0]
    assert "".join(first) == whole[0]["text"]
    assert chunks[-2]["usage"]["completion_tokens"] == 8


async def test_embeddings_are_of_length_one_and_the_same_for_the_same_text():
    numbers = (await ask("/v1/embeddings", {"input": ["a", "b", "a"]})).json()["data"]
    vectors = [item["embedding"] for item in numbers]
    assert vectors[0] == vectors[2] != vectors[1]
    assert all(len(vector) == 384 and math.isclose(math.hypot(*vector), 1) for vector in vectors)
    coded = (await ask("/v1/embeddings", {"input": "a", "encoding_format": "base64", "dimensions": 8})).json()
    assert len(struct.unpack("<8f", base64.b64decode(coded["data"][0]["embedding"]))) == 8


async def test_responses_stream_the_text_they_end_with():
    body = {"input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}], "instructions": "be"}
    whole = (await ask("/v1/responses", {**body, "temperature": 0})).json()
    assert whole["status"] == "completed"
    events = frames((await ask("/v1/responses", {**body, "temperature": 0, "stream": True})).text)
    text = "".join(event.get("delta", "") for event in events)
    assert text == whole["output"][0]["content"][0]["text"]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == text


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"max_tokens": 3}, "max_tokens"),
        ({"max_tokens": 2000}, "max_tokens"),
        ({"max_tokens": 500, "stop_sequences": [" sea", " oak", " the", " fox", " dog"]}, "stop_sequence"),
        (
            {
                "max_tokens": 90,
                "tools": [{"name": "t", "input_schema": {"type": "object"}}],
                "tool_choice": {"type": "any"},
            },
            "tool_use",
        ),
    ],
)
async def test_messages_end_for_anthropics_reasons(more, reason):
    body = {"messages": SAID["messages"], "system": "be brief", **more}
    assert (await ask("/v1/messages", body)).json()["stop_reason"] == reason
    events = frames((await ask("/v1/messages", {**body, "stream": True})).text)
    assert events[0]["type"] == "message_start"
    assert events[-2]["delta"]["stop_reason"] == reason
    assert events[-1]["type"] == "message_stop"


async def test_tokens_of_a_text_give_the_text_back():
    tokens = (await ask("/tokenize", {"prompt": "héllo wörld"})).json()["tokens"]
    assert (await ask("/detokenize", {"tokens": tokens})).json()["prompt"] == "héllo wörld"
    await ask("/tokenize", {}, status=400)
    await ask("/detokenize", {"tokens": [-1]}, status=400)


@pytest.mark.parametrize("path", ["/v1/models", "/v1/chat/completions", "/nope", "/openapi.json", "/tokenize"])
@pytest.mark.parametrize("header", [None, "Bearer wrong", "secret"])
async def test_without_the_token_nothing_is_told(path, header):
    _, app = simulator(token="secret")
    async with client_of(app) as client:
        answer = await client.get(path, headers={"authorization": header} if header else {})
    assert answer.status_code == 401
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


async def test_probes_need_no_token_and_the_right_one_opens():
    _, app = simulator(token="secret")
    async with client_of(app) as client:
        for path in ("/health", "/metrics", "/load", "/version"):
            assert (await client.get(path)).status_code == 200
        right = {"authorization": "Bearer secret"}
        assert (await client.get("/v1/models", headers=right)).json()["data"][0]["id"] == "demo"


async def test_a_share_of_requests_fails_the_same_way_each_time():
    async def statuses() -> list[int]:
        _, app = simulator(fail_rate=0.5, seed=3)
        async with client_of(app) as client:
            return [(await client.post("/v1/chat/completions", json=SAID)).status_code for _ in range(40)]

    first = await statuses()
    assert 8 < first.count(500) < 32
    assert await statuses() == first


async def test_one_more_than_the_places_waits_its_turn():
    engine, app = simulator(max_num_seqs=1, time_to_first_token=0.5)
    async with client_of(app) as client:
        asked = [asyncio.ensure_future(client.post("/v1/chat/completions", json=SAID)) for _ in range(3)]
        async with asyncio.timeout(60):
            while (engine.metrics.running, engine.metrics.waiting) != (1, 2):  # noqa: ASYNC110  # the app has no event for it
                await asyncio.sleep(0)
        assert (await client.get("/load")).json() == {"server_load": 3}
        await asyncio.gather(*asked)
    assert engine.metrics.load == 0


async def test_the_pace_is_kept():
    started = asyncio.get_running_loop().time()
    await ask("/v1/chat/completions", {**SAID, "max_tokens": 11}, time_to_first_token=0.1, tokens_per_second=100)
    assert 0.2 <= asyncio.get_running_loop().time() - started < 30


async def test_metrics_count_what_was_said():
    _, app = simulator()
    async with client_of(app) as client:
        await client.post("/v1/chat/completions", json={**SAID, "max_tokens": 7})
        await client.post("/v1/chat/completions", json={**SAID, "max_tokens": 7, "stream": True})
        text = (await client.get("/metrics")).text
    assert 'vllm:generation_tokens_total{engine="0",model_name="demo"} 14.0' in text
    assert 'vllm:request_success_total{engine="0",finished_reason="length",model_name="demo"} 2.0' in text
    assert 'vllm:time_to_first_token_seconds_count{engine="0",model_name="demo"} 2.0' in text


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {**SAID, "n": 1000}),
        ("/v1/chat/completions", {**SAID, "stop": [""]}),
        ("/v1/completions", {"prompt": [-1]}),
        ("/v1/completions", {"prompt": ["a", ""], "n": 100}),
        ("/v1/embeddings", {"input": "a", "dimensions": 0}),
        ("/v1/chat/completions", {**SAID, "tools": [WEATHER], "tool_choice": {"function": {"name": "zz"}}}),
        ("/v1/chat/completions", {**SAID, "seed": 10**30}),
        ("/v1/messages", {**SAID, "max_tokens": 10**6}),
    ],
    ids=str,
)
async def test_what_makes_no_sense_is_refused(path, body):
    answer = (await ask(path, body, status=400)).json()
    assert answer["error"]["message"]
