"""LangChain's ChatOpenAI and OpenAIEmbeddings at the same address."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import httpx
import pytest
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import SecretStr

from support.deployments import CHAT, EMBEDDING, Deployment

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]

QUESTION = "What is the capital of France?"
ANSWER = "The capital of France is Paris."


@tool
def get_time(zone: Literal["CET", "UTC"]) -> str:
    """The time of day in a zone."""
    return f"12:00 {zone}"


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    """Closed at the end, as LangChain's own are not."""
    with httpx.Client(timeout=120) as client:
        yield client


@pytest.fixture
def chat(running_penstock: Deployment, client: httpx.Client) -> ChatOpenAI:
    return _chat(running_penstock, http_client=client)


def _chat(running_penstock: Deployment, **clients: Any) -> ChatOpenAI:
    return ChatOpenAI(
        model=CHAT,
        base_url=running_penstock.api,
        api_key=SecretStr("none"),
        temperature=0,
        max_retries=0,
        timeout=120,
        max_completion_tokens=300,
        # Its default is to ask for no usage at an address that is not OpenAI's.
        stream_usage=True,
        **clients,
    )


def test_it_is_invoked(chat: ChatOpenAI) -> None:
    message = chat.invoke([SystemMessage("You are a helpful assistant."), HumanMessage(QUESTION)])
    assert message.content == ANSWER
    assert message.usage_metadata is not None
    assert message.usage_metadata["output_tokens"] > 0
    assert message.response_metadata["finish_reason"] == "stop"


async def test_it_is_invoked_from_a_loop(running_penstock: Deployment) -> None:
    async with httpx.AsyncClient(timeout=120) as client:
        chat = _chat(running_penstock, http_async_client=client)
        assert (await chat.ainvoke(QUESTION)).content == ANSWER


def test_it_streams(chat: ChatOpenAI) -> None:
    chunks = list(chat.stream(QUESTION))
    assert "".join(str(chunk.content) for chunk in chunks) == ANSWER
    assert len(chunks) > 1
    assert sum(chunk.usage_metadata["output_tokens"] for chunk in chunks if chunk.usage_metadata) > 0


def test_it_answers_a_batch(chat: ChatOpenAI) -> None:
    answers = chat.batch([f"What is the capital of {country}?" for country in ("France", "Germany", "Italy")])
    assert [str(answer.content).rsplit(" ", 1)[1] for answer in answers] == ["Paris.", "Berlin.", "Rome."]


def test_it_calls_the_tool_that_it_must(chat: ChatOpenAI) -> None:
    message = chat.bind_tools([get_time], tool_choice="get_time", strict=True).invoke("What time is it?")
    (call,) = message.tool_calls
    assert call["name"] == "get_time"
    assert get_time.invoke(call["args"]) in ("12:00 CET", "12:00 UTC")


def test_it_streams_a_tool_call(chat: ChatOpenAI) -> None:
    first, *rest = chat.bind_tools([get_time], tool_choice="get_time", strict=True).stream("What time is it?")
    whole = first
    for chunk in rest:
        whole += chunk
    (call,) = whole.tool_calls
    assert call["name"] == "get_time"
    assert call["args"]["zone"] in ("CET", "UTC")


def test_it_embeds(running_penstock: Deployment, client: httpx.Client) -> None:
    embeddings = OpenAIEmbeddings(
        model=EMBEDDING,
        base_url=running_penstock.api,
        api_key=SecretStr("none"),
        max_retries=0,
        # Else it sends token ids of OpenAI's own tokenizer, which it downloads.
        check_embedding_ctx_length=False,
        http_client=client,
    )
    one, other = embeddings.embed_documents(["A cat.", "A penstock."])
    assert len(one) == len(other) == 384
    assert one != other
