"""A client that hangs up frees the engine: nobody waits for the rest of the answer, so nothing makes it."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from support.deployments import CHAT, Deployment, generated_tokens, until_running

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]

LENGTH = 900
"""Tokens of an answer that nobody waits for; the context holds few more."""

STREAMS = 8
USAGE = {"include_usage": True}


@pytest.fixture(scope="module")
def engine_url(running_penstock: Deployment) -> str:
    return running_penstock.engine_url(CHAT)


@pytest.fixture
def engine(engine_url: str) -> str:
    """The engine's address; it has nothing to do."""
    until_running(engine_url, 0)
    return engine_url


def _endless(**parameters: Any) -> dict[str, Any]:
    story = {"model": CHAT, "messages": [{"role": "user", "content": "Tell me a story."}], "max_tokens": LENGTH}
    return {**story, "extra_body": {"ignore_eos": True}, **parameters}


def test_an_answer_that_is_waited_for_is_made_to_its_end(client: OpenAI, engine: str) -> None:
    """The other tests show something only because of this one."""
    before = generated_tokens(engine)
    client.chat.completions.create(**_endless())
    until_running(engine, 0)
    assert generated_tokens(engine) - before == LENGTH


def test_closing_a_stream_midway_ends_it_in_the_engine(client: OpenAI, engine: str) -> None:
    before = generated_tokens(engine)
    stream = client.chat.completions.create(**_endless(stream=True))
    for _, _ in zip(range(5), stream, strict=False):
        pass
    until_running(engine, 1)
    stream.close()
    until_running(engine, 0)
    assert 5 <= generated_tokens(engine) - before < LENGTH


def test_giving_up_on_an_answer_ends_it_in_the_engine(client: OpenAI, engine: str) -> None:
    before = generated_tokens(engine)
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.3).chat.completions.create(**_endless())
    until_running(engine, 0)
    assert generated_tokens(engine) - before < LENGTH


def test_giving_up_on_several_choices_ends_them_all(client: OpenAI, engine: str) -> None:
    before = generated_tokens(engine)
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.5).chat.completions.create(**_endless(n=4))
    until_running(engine, 0)
    assert generated_tokens(engine) - before < 4 * LENGTH


async def test_cancelling_streams_ends_them_and_leaves_another_alone(running_penstock: Deployment, engine: str) -> None:
    begun = 0
    all_begun = asyncio.Event()

    async def read(client: AsyncOpenAI) -> int:
        nonlocal begun
        async for chunk in await client.chat.completions.create(**_endless(stream=True, stream_options=USAGE)):
            if chunk.usage is not None:
                return chunk.usage.completion_tokens
            if chunk.choices[0].delta.role:
                begun += 1
                if begun == STREAMS:
                    all_begun.set()
        return -1

    before = generated_tokens(engine)
    async with (
        AsyncOpenAI(base_url=running_penstock.api, api_key="none", max_retries=0, timeout=300) as client,
        asyncio.TaskGroup() as group,
    ):
        kept, *others = [group.create_task(read(client)) for _ in range(STREAMS)]
        await asyncio.wait_for(all_begun.wait(), 120)
        for other in others:
            other.cancel()
    assert kept.result() == LENGTH
    assert all(other.cancelled() for other in others)
    until_running(engine, 0)
    assert generated_tokens(engine) - before < STREAMS * LENGTH
