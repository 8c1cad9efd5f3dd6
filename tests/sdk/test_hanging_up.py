"""A client that hangs up frees the engine: nobody waits for the rest of the answer, so nothing makes it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from support.deployments import CHAT, Deployment, generated_tokens, until_running

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]

LENGTH = 900
"""Tokens of an answer that nobody waits for; the context holds few more."""

TRIES = 5
"""A quick engine on a machine that stalls may end its answer before the hang-up reaches it, once. Not each time:
an engine that is not told makes every answer to its end.
"""

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


def _tokens_made(engine: str, hang_up: Callable[[], None], whole: int = LENGTH) -> int:
    """Tokens that the engine made for a request that was given up."""
    made = whole
    for _ in range(TRIES):
        before = generated_tokens(engine)
        hang_up()
        until_running(engine, 0)
        made = generated_tokens(engine) - before
        if made < whole:
            break
    return made


def test_an_answer_that_is_waited_for_is_made_to_its_end(client: OpenAI, engine: str) -> None:
    """The other tests show something only because of this one."""
    before = generated_tokens(engine)
    client.chat.completions.create(**_endless())
    until_running(engine, 0)
    assert generated_tokens(engine) - before == LENGTH


def test_closing_a_stream_midway_ends_it_in_the_engine(client: OpenAI, engine: str) -> None:
    def hang_up() -> None:
        stream = client.chat.completions.create(**_endless(stream=True))
        for _, _ in zip(range(5), stream, strict=False):
            pass
        stream.close()

    # The first of the five chunks has the role and no token.
    assert 4 <= _tokens_made(engine, hang_up) < LENGTH


def test_giving_up_on_an_answer_ends_it_in_the_engine(client: OpenAI, engine: str) -> None:
    def hang_up() -> None:
        with contextlib.suppress(openai.APITimeoutError):
            client.with_options(timeout=0.3).chat.completions.create(**_endless())

    assert _tokens_made(engine, hang_up) < LENGTH


def test_giving_up_on_several_choices_ends_them_all(client: OpenAI, engine: str) -> None:
    def hang_up() -> None:
        with contextlib.suppress(openai.APITimeoutError):
            client.with_options(timeout=0.5).chat.completions.create(**_endless(n=4))

    assert _tokens_made(engine, hang_up, whole=4 * LENGTH) < 4 * LENGTH


async def test_cancelling_streams_ends_them_and_leaves_another_alone(running_penstock: Deployment, engine: str) -> None:
    for _ in range(TRIES):
        before = generated_tokens(engine)
        kept, others = await _cancel_all_but_one(running_penstock.api)
        assert kept.result() == LENGTH
        if all(other.cancelled() for other in others):
            break
    assert all(other.cancelled() for other in others)
    until_running(engine, 0)
    assert generated_tokens(engine) - before < STREAMS * LENGTH


async def _cancel_all_but_one(api: str) -> tuple[asyncio.Task[int], list[asyncio.Task[int]]]:
    """Streams that have all begun when all but the first are cancelled; how each ended."""
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

    async with (
        AsyncOpenAI(base_url=api, api_key="none", max_retries=0, timeout=300) as client,
        asyncio.TaskGroup() as group,
    ):
        kept, *others = [group.create_task(read(client)) for _ in range(STREAMS)]
        await asyncio.wait_for(all_begun.wait(), 120)
        for other in others:
            other.cancel()
    return kept, others
