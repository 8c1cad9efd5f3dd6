"""The API of platforms for serverless endpoints: its documented shapes, and OpenAI's client on the same path."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import orjson
import pytest
from openai import AsyncOpenAI, OpenAI

from support.doors import Door, until_idle

pytestmark = pytest.mark.integration

HELLO: list[Any] = [{"role": "user", "content": "Hello"}]
ASKED: dict[str, Any] = {"model": "demo", "messages": HELLO, "maxTokens": 7, "topP": 0.9, "temperature": 0}


@pytest.fixture
def client(gateway: Door) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{gateway.url}/api/v1/ai", api_key="none", max_retries=0, timeout=60) as client:
        yield client


def _post(gateway: Door, body: dict[str, Any], path: str = "chat/completions") -> httpx.Response:
    return httpx.post(f"{gateway.url}/api/v1/ai/{path}", json=body, timeout=60)


def test_an_answer_stands_in_the_envelope_and_beside_it(gateway: Door) -> None:
    answer = _post(gateway, ASKED).json()
    assert (answer["code"], answer["msg"]) == (200, "Operation successful")
    completion = answer["data"]
    assert completion["object"] == "chat.completion"
    assert completion["usage"]["completion_tokens"] == 7
    assert {name: answer[name] for name in completion} == completion
    assert set(answer) == {"code", "msg", "data", *completion}


def test_names_in_camel_case_are_openais_names(gateway: Door) -> None:
    camel = _post(gateway, ASKED).json()["choices"]
    snake = _post(gateway, {"model": "demo", "messages": HELLO, "max_tokens": 7, "top_p": 0.9, "temperature": 0})
    assert camel == snake.json()["choices"]
    both = _post(gateway, {**ASKED, "max_tokens": 3}).json()
    assert both["usage"]["completion_tokens"] == 3, "OpenAI's name counts where both are given"


def test_every_event_of_a_stream_is_a_message_with_the_usage_so_far(gateway: Door) -> None:
    answer = _post(gateway, {**ASKED, "stream": True})
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    events = answer.text.removesuffix("\n\n").split("\n\n")
    assert all(event.startswith("event:messages\ndata: ") for event in events)
    *chunks, done = [event.partition("data: ")[2] for event in events]
    assert done == "[DONE]"
    documents = [orjson.loads(chunk) for chunk in chunks]
    assert all(document["object"] == "chat.completion.chunk" for document in documents)
    counts = [document["usage"]["completion_tokens"] for document in documents]
    assert counts == sorted(counts)
    assert counts[-1] == 7
    assert all(document["choices"] for document in documents), "every chunk has a choice, as these clients expect"


@pytest.mark.parametrize(
    "asked", [{"stream_options": {"include_usage": True}}, {"streamOptions": {"includeUsage": True}}]
)
def test_who_asks_for_the_last_chunk_gets_it(gateway: Door, asked: dict[str, Any]) -> None:
    lines = _post(gateway, {**ASKED, "stream": True, **asked}).text.split("\n")
    chunks = [orjson.loads(line[6:]) for line in lines if line.startswith("data: {")]
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["completion_tokens"] == 7


def test_openais_client_works_on_the_same_path(client: OpenAI) -> None:
    whole = client.chat.completions.create(model="demo", messages=HELLO, max_tokens=9, temperature=0)
    stream = client.chat.completions.create(model="demo", messages=HELLO, max_tokens=9, temperature=0, stream=True)
    parts = [chunk.choices[0].delta.content or "" for chunk in stream]
    assert "".join(parts) == whole.choices[0].message.content != ""
    assert len(client.embeddings.create(model="demo", input=["a", "b"]).data) == 2
    assert client.completions.create(model="demo", prompt="a", max_tokens=3).choices[0].text
    assert [model.id for model in client.models.list()] == ["demo", "default"]
    assert client.models.retrieve("default").id == "default"


def test_an_error_stands_in_the_envelope_and_beside_it(gateway: Door, client: OpenAI) -> None:
    answer = _post(gateway, {**ASKED, "model": "dmeo"})
    assert answer.status_code == 404
    said = answer.json()
    assert set(said) == {"code", "msg", "data", "error"}
    assert (said["code"], said["data"]) == (404, None)
    assert "Did you mean 'demo'" in said["msg"]
    assert said["error"]["message"] == said["msg"]
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="dmeo", messages=HELLO)
    assert caught.value.code == "model_not_found"


def test_what_an_engine_refuses_is_said(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="temperature"):
        client.chat.completions.create(model="demo", messages=HELLO, temperature=9, stream=True)


def test_an_unknown_path_is_not_found(gateway: Door) -> None:
    answer = _post(gateway, {}, "nothing")
    assert (answer.status_code, answer.json()["code"]) == (404, 404)


async def test_a_client_that_leaves_ends_its_answer(gateway: Door) -> None:
    async with AsyncOpenAI(base_url=f"{gateway.url}/api/v1/ai", api_key="none", max_retries=0, timeout=60) as client:
        stream = await client.chat.completions.create(model="demo", messages=HELLO, max_tokens=90_000, stream=True)
        async for _ in stream:
            break
        await stream.close()
    until_idle(gateway.engine)
