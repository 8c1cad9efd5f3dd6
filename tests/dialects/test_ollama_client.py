"""Ollama's own Python client against the gateway, with a simulator behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import ollama
import pytest

from support.doors import Door, until_idle

pytestmark = pytest.mark.integration

HELLO = [{"role": "user", "content": "Hello"}]
SURE = {"temperature": 0, "num_predict": 12}
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture
def client(gateway: Door) -> Iterator[ollama.Client]:
    with ollama.Client(host=gateway.url, timeout=60) as client:
        yield client


def test_a_chat_is_answered(client: ollama.Client) -> None:
    answer = client.chat(model="demo", messages=HELLO, options=SURE)
    assert answer.model == "demo"
    assert answer.message.role == "assistant"
    assert answer.message.content
    assert (answer.done, answer.done_reason, answer.eval_count) == (True, "length", 12)
    assert answer.prompt_eval_count
    assert answer.total_duration


def test_a_streamed_chat_says_what_a_whole_one_says(client: ollama.Client) -> None:
    whole = client.chat(model="demo", messages=HELLO, options=SURE)
    parts = list(client.chat(model="demo", messages=HELLO, options=SURE, stream=True))
    assert "".join(part.message.content or "" for part in parts) == whole.message.content
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    assert (parts[-1].eval_count, parts[-1].prompt_eval_count) == (whole.eval_count, whole.prompt_eval_count)


def test_a_text_is_generated_and_streamed(client: ollama.Client) -> None:
    whole = client.generate(model="demo", prompt="Hello", options=SURE)
    parts = list(client.generate(model="demo", prompt="Hello", options=SURE, stream=True))
    assert "".join(part.response for part in parts) == whole.response != ""
    raw = client.generate(model="demo", prompt="Hello", raw=True, options=SURE)
    assert raw.response
    assert raw.prompt_eval_count < whole.prompt_eval_count, "nothing is put around a raw prompt"  # type: ignore[operator]


def test_a_schema_shapes_the_answer(client: ollama.Client) -> None:
    schema = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
    answer = client.chat(model="demo", messages=HELLO, format=schema)
    assert answer.message.content is not None
    assert '"age"' in answer.message.content


def test_vectors_are_made_of_texts(client: ollama.Client) -> None:
    answer = client.embed(model="demo", input=["a", "b"])
    assert len(answer.embeddings) == 2
    assert answer.embeddings[0] != answer.embeddings[1]
    assert client.embed(model="demo", input="a").embeddings[0] == answer.embeddings[0]
    assert list(client.embeddings(model="demo", prompt="a").embedding) == list(answer.embeddings[0])


def test_models_are_listed_and_shown(client: ollama.Client) -> None:
    assert [model.model for model in client.list().models] == ["demo", "default"]
    assert [model.model for model in client.ps().models] == ["demo", "default"]
    shown = client.show("default")
    assert shown.capabilities == ["completion", "tools"]
    assert shown.modelinfo is not None
    assert shown.modelinfo["penstock.context_length"] == 1024


def test_a_model_is_loaded_and_not_unloaded(client: ollama.Client) -> None:
    assert client.generate(model="demo").done_reason == "load"
    assert client.chat(model="demo").done_reason == "load"
    with pytest.raises(ollama.ResponseError, match="not unloaded by clients"):
        client.generate(model="demo", keep_alive=0)


@pytest.mark.parametrize("stream", [False, True])
def test_an_unknown_model_is_not_found(client: ollama.Client, stream: bool) -> None:
    with pytest.raises(ollama.ResponseError, match="Did you mean 'demo'") as caught:
        list(client.chat(model="dmeo", messages=HELLO, stream=stream))  # type: ignore[call-overload]
    assert caught.value.status_code == 404
    with pytest.raises(ollama.ResponseError, match="Did you mean 'demo'"):
        client.show("dmeo")


def test_what_an_engine_refuses_is_said(client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError, match="temperature") as caught:
        client.chat(model="demo", messages=HELLO, options={"temperature": 9})
    assert caught.value.status_code == 400


def test_what_is_not_here_is_said(client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError, match="There is no '/api/pull' here") as caught:
        client.pull("demo")
    assert caught.value.status_code == 404


@pytest.mark.parametrize("body", ["", "[]", "{", '{"messages": 1}', '{"model": "demo", "messages": [1]}'])
def test_a_wrong_body_gets_ollamas_error(gateway: Door, body: str) -> None:
    answer = httpx.post(f"{gateway.url}/api/chat", content=body, timeout=60)
    assert answer.status_code == 400
    assert list(answer.json()) == ["error"]


def test_curl_sends_json_as_a_form(gateway: Door) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    body = '{"model": "demo", "messages": [{"role": "user", "content": "Hi"}], "options": {"num_predict": 3}}'
    answer = httpx.post(f"{gateway.url}/api/chat", content=body, headers=form, timeout=60)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert len(answer.text.splitlines()) == 4


def test_a_version_is_told_and_other_methods_are_refused(gateway: Door) -> None:
    assert httpx.get(f"{gateway.url}/api/version", timeout=60).json()["version"].count(".") == 2
    wrong = httpx.get(f"{gateway.url}/api/chat", timeout=60)
    assert wrong.status_code == 405
    assert wrong.headers["allow"] == "POST, OPTIONS"
    assert list(wrong.json()) == ["error"]


async def test_a_client_that_leaves_ends_its_answer(gateway: Door) -> None:
    client = ollama.AsyncClient(host=gateway.url, timeout=60)
    async with client:
        stream: Any = await client.chat(model="demo", messages=HELLO, stream=True, options={"num_predict": 90_000})
        async for _ in stream:
            break
        await stream.aclose()
    await asyncio.to_thread(until_idle, gateway.engine)
