"""Chat through OpenAI's SDK: answers, sampling, what is counted, and streams of them."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from support.deployments import ALIAS, CHAT, Deployment

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]

QUESTION: list[Any] = [{"role": "user", "content": "What is the capital of France?"}]
ANSWER = "The capital of France is Paris."
STORY: list[Any] = [{"role": "user", "content": "Tell me a story."}]


def _ask(client: OpenAI, messages: list[Any] = QUESTION, **parameters: Any) -> ChatCompletion:
    return client.chat.completions.create(**{"model": CHAT, "messages": messages, "temperature": 0, **parameters})


def _stream(client: OpenAI, messages: list[Any] = QUESTION, **parameters: Any) -> list[ChatCompletionChunk]:
    return list(_open(client, messages, **parameters))


def _open(client: OpenAI, messages: list[Any], **parameters: Any) -> Any:
    asked = {"model": CHAT, "messages": messages, "temperature": 0, "stream": True, **parameters}
    return client.chat.completions.create(**asked)


def _text(chunks: list[ChatCompletionChunk], choice: int = 0) -> str:
    pieces = (piece for chunk in chunks for piece in chunk.choices if piece.index == choice)
    return "".join(piece.delta.content or "" for piece in pieces)


def test_the_capital_of_france_is_paris(client: OpenAI) -> None:
    completion = _ask(client)
    (choice,) = completion.choices
    assert choice.message.content == ANSWER
    assert choice.message.role == "assistant"
    assert choice.finish_reason == "stop"
    assert completion.object == "chat.completion"
    assert completion.model == CHAT


def test_what_was_read_and_said_is_counted(client: OpenAI) -> None:
    usage = _ask(client).usage
    assert usage is not None
    assert usage.prompt_tokens > 0
    assert usage.completion_tokens > 0
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_an_alias_is_answered_by_the_same_model(client: OpenAI) -> None:
    assert _ask(client, model=ALIAS).choices[0].message.content == ANSWER


def test_earlier_turns_and_a_system_prompt_are_understood(client: OpenAI) -> None:
    turns = [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": "Hello!"},
        {"role": "assistant", "content": "Hello! I am the demo model of Penstock."},
        {"role": "user", "content": [{"type": "text", "text": "What is the capital of France?"}]},
    ]
    assert _ask(client, turns).choices[0].message.content == ANSWER


def test_an_answer_of_max_tokens_says_that_it_was_cut(client: OpenAI) -> None:
    for name in ("max_tokens", "max_completion_tokens"):
        completion = _ask(client, STORY, **{name: 5})
        assert completion.choices[0].finish_reason == "length"
        assert completion.usage is not None
        assert completion.usage.completion_tokens == 5


def test_an_answer_ends_before_a_stop_word(client: OpenAI) -> None:
    (choice,) = _ask(client, stop=[" is"]).choices
    assert choice.message.content == "The capital of France"
    assert choice.finish_reason == "stop"


def test_n_answers_are_n_choices(client: OpenAI) -> None:
    completion = _ask(client, n=2, temperature=1, seed=1)
    assert [choice.index for choice in completion.choices] == [0, 1]
    assert all(choice.message.content for choice in completion.choices)


def test_the_same_seed_says_the_same_and_others_do_not(client: OpenAI) -> None:
    def say(seed: int) -> str | None:
        return _ask(client, STORY, temperature=2, seed=seed, max_tokens=24).choices[0].message.content

    first = say(7)
    assert first
    assert say(7) == first
    assert any(say(seed) != first for seed in range(8, 12))


def test_logprobs_are_those_of_the_answer_and_sorted(client: OpenAI) -> None:
    (choice,) = _ask(client, logprobs=True, top_logprobs=3).choices
    assert choice.logprobs is not None
    said = choice.logprobs.content
    assert said
    assert b"".join(bytes(token.bytes or b"") for token in said).decode().startswith(ANSWER)
    for token in said:
        top = [other.logprob for other in token.top_logprobs]
        assert len(top) == 3
        assert top == sorted(top, reverse=True)
        assert token.top_logprobs[0].token == token.token, "temperature 0 says the likeliest"
        assert token.logprob <= 0
        assert sum(math.exp(value) for value in top) <= 1.001


def test_a_biased_token_is_not_said(client: OpenAI, running_penstock: Deployment) -> None:
    (choice,) = _ask(client, logprobs=True, top_logprobs=1, extra_body={"return_token_ids": True}).choices
    (first, *_) = choice.model_extra["token_ids"]
    (other,) = _ask(client, logit_bias={str(first): -100}, max_tokens=1, extra_body={"return_token_ids": True}).choices
    assert other.model_extra["token_ids"][0] != first


def test_a_stream_says_what_an_answer_says(client: OpenAI) -> None:
    chunks = _stream(client)
    assert _text(chunks) == ANSWER
    assert len(chunks) > 3, "not all at once"
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason] == ["stop"]
    assert len({chunk.id for chunk in chunks}) == 1


def test_a_stream_counts_nothing_unless_asked(client: OpenAI) -> None:
    chunks = _stream(client)
    assert all(chunk.usage is None for chunk in chunks)
    assert all(chunk.choices for chunk in chunks)


def test_a_stream_that_is_asked_to_count_ends_with_the_count(client: OpenAI) -> None:
    *chunks, last = _stream(client, stream_options={"include_usage": True})
    assert last.choices == []
    whole = _ask(client).usage
    assert last.usage is not None
    assert whole is not None
    # vLLM tells cached tokens in a whole answer only where there are some, and in a stream always.
    assert last.usage.model_copy(update={"prompt_tokens_details": whole.prompt_tokens_details}) == whole
    assert all(chunk.usage is None for chunk in chunks)
    assert _text(chunks) == ANSWER


def test_a_stream_can_count_all_the_way(client: OpenAI) -> None:
    options = {"include_usage": True, "continuous_usage_stats": True}
    chunks = _stream(client, stream_options=options)
    counts = [chunk.usage.completion_tokens for chunk in chunks if chunk.usage]
    assert len(counts) == len(chunks)
    assert counts == sorted(counts)


def test_a_stream_carries_n_choices_logprobs_and_stops(client: OpenAI) -> None:
    chunks = _stream(client, n=2, temperature=0.01, stop=[" is"], logprobs=True, top_logprobs=2)
    assert {_text(chunks, 0), _text(chunks, 1)} == {"The capital of France"}
    ends = [piece.index for chunk in chunks for piece in chunk.choices if piece.finish_reason == "stop"]
    assert sorted(ends) == [0, 1]
    assert any(piece.logprobs and piece.logprobs.content for chunk in chunks for piece in chunk.choices)


def test_the_stream_helper_of_the_sdk_puts_the_answer_together(client: OpenAI) -> None:
    with client.chat.completions.stream(model=CHAT, messages=QUESTION, temperature=0) as stream:
        pieces = [event.delta for event in stream if event.type == "content.delta"]
        completion = stream.get_final_completion()
    assert "".join(pieces) == ANSWER
    assert completion.choices[0].message.content == ANSWER


async def test_many_async_streams_at_once_keep_their_own_words(running_penstock: Deployment) -> None:
    asked = {"France": "Paris", "Germany": "Berlin", "Italy": "Rome", "Japan": "Tokyo"}
    async with AsyncOpenAI(base_url=running_penstock.api, api_key="none", max_retries=0, timeout=120) as client:

        async def ask(country: str) -> str:
            question: Any = [{"role": "user", "content": f"What is the capital of {country}?"}]
            stream = await client.chat.completions.create(model=CHAT, messages=question, temperature=0, stream=True)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

        answers = await asyncio.gather(*(ask(country) for country in asked for _ in range(4)))
    assert answers == [f"The capital of {country} is {city}." for country, city in asked.items() for _ in range(4)]


async def test_an_async_answer_is_the_same_answer(running_penstock: Deployment) -> None:
    async with AsyncOpenAI(base_url=running_penstock.api, api_key="none", max_retries=0, timeout=120) as client:
        completion = await client.chat.completions.create(model=CHAT, messages=QUESTION, temperature=0)
    assert completion.choices[0].message.content == ANSWER
