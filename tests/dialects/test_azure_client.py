"""OpenAI's client for Azure against the gateway, with a simulator behind it; and what Azure says where OpenAI's client
does not ask."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import openai
import pytest
from openai import AsyncAzureOpenAI, AzureOpenAI, OpenAI

from support.doors import Door, until_idle

pytestmark = pytest.mark.integration

HELLO: list[openai.types.chat.ChatCompletionMessageParam] = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def client(gateway: Door) -> Iterator[AzureOpenAI]:
    with AzureOpenAI(
        azure_endpoint=gateway.url, api_key="none", api_version="2024-10-21", max_retries=0, timeout=60
    ) as client:
        yield client


def test_a_deployment_answers_chats_texts_and_vectors(client: AzureOpenAI) -> None:
    assert client.chat.completions.create(model="demo", messages=HELLO, max_tokens=5).choices[0].message.content
    assert client.completions.create(model="demo", prompt="Hello", max_tokens=5).choices[0].text
    assert len(client.embeddings.create(model="demo", input=["a", "b"]).data) == 2
    assert client.responses.create(model="demo", input="Hello", max_output_tokens=5).output_text


def test_a_deployment_streams(client: AzureOpenAI) -> None:
    whole = client.chat.completions.create(model="demo", messages=HELLO, max_tokens=9, temperature=0)
    stream = client.chat.completions.create(model="demo", messages=HELLO, max_tokens=9, temperature=0, stream=True)
    parts = [chunk.choices[0].delta.content or "" for chunk in stream]
    assert "".join(parts) == whole.choices[0].message.content
    assert len(parts) > 2


def test_the_deployment_of_the_path_is_the_model(gateway: Door) -> None:
    path = f"{gateway.url}/openai/deployments/demo/chat/completions?api-version=2024-10-21"
    for model in ({}, {"model": "other"}, {"model": "demo"}):
        answer = httpx.post(path, json={"messages": HELLO, "max_tokens": 2, **model}, timeout=60)
        assert answer.status_code == 200
        assert answer.json()["model"] == "demo"


def test_models_are_listed(client: AzureOpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["demo", "default"]
    assert client.models.retrieve("default").id == "default"


def test_an_unknown_deployment_has_azures_code(client: AzureOpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="Did you mean 'demo'") as caught:
        client.chat.completions.create(model="dmeo", messages=HELLO)
    assert caught.value.code == "DeploymentNotFound"


def test_a_wrong_parameter_is_named(client: AzureOpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="temperature"):
        client.chat.completions.create(model="demo", messages=HELLO, temperature=9)


@pytest.mark.parametrize("path", ["nothing", "deployments/demo/images/generations", "deployments//chat/completions"])
def test_an_unknown_path_is_not_found(gateway: Door, path: str) -> None:
    answer = httpx.post(f"{gateway.url}/openai/{path}", json={}, timeout=60)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "404"


def test_the_path_of_version_1_is_openais(gateway: Door) -> None:
    with OpenAI(base_url=f"{gateway.url}/openai/v1/", api_key="none", max_retries=0, timeout=60) as client:
        assert client.chat.completions.create(model="demo", messages=HELLO, max_tokens=2).choices
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve("dmeo")


async def test_a_client_that_leaves_ends_its_answer(gateway: Door) -> None:
    async with AsyncAzureOpenAI(
        azure_endpoint=gateway.url, api_key="none", api_version="2024-10-21", max_retries=0, timeout=60
    ) as client:
        stream = await client.chat.completions.create(model="demo", messages=HELLO, max_tokens=90_000, stream=True)
        async for _ in stream:
            break
        await stream.close()
    until_idle(gateway.engine)
