"""Anthropic's SDK at the same address: a message, a stream, a count of tokens, and its own errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from support.deployments import CHAT, EMBEDDING, Deployment

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]

QUESTION: list[Any] = [{"role": "user", "content": "What is the capital of France?"}]
ANSWER = "The capital of France is Paris."
SURELY = {"temperature": 0}
"""A parameter of the API that the SDK's methods no longer name."""


@pytest.fixture
def claude(running_penstock: Deployment) -> Iterator[anthropic.Anthropic]:
    """Its SDK; it adds /v1/messages to the address itself."""
    with anthropic.Anthropic(base_url=running_penstock.url, api_key="none", max_retries=0, timeout=120) as client:
        yield client


def test_a_message_is_answered(claude: anthropic.Anthropic) -> None:
    message = claude.messages.create(model=CHAT, max_tokens=64, messages=QUESTION, extra_body=SURELY)
    (block,) = message.content
    assert block.type == "text"
    assert block.text == ANSWER
    assert message.role == "assistant"
    assert message.stop_reason == "end_turn"
    assert message.usage.input_tokens > 0
    assert message.usage.output_tokens > 0


def test_a_message_with_a_system_prompt_and_earlier_turns_is_answered(claude: anthropic.Anthropic) -> None:
    turns: list[Any] = [
        {"role": "user", "content": "Hello!"},
        {"role": "assistant", "content": "Hello! I am the demo model of Penstock."},
        *QUESTION,
    ]
    message = claude.messages.create(
        model=CHAT, max_tokens=64, system="You are a helpful assistant.", messages=turns, extra_body=SURELY
    )
    assert message.content[0].text == ANSWER  # type: ignore[union-attr]  # it asked for no tool


def test_a_cut_message_says_so(claude: anthropic.Anthropic) -> None:
    message = claude.messages.create(model=CHAT, max_tokens=3, messages=QUESTION, extra_body=SURELY)
    assert message.stop_reason == "max_tokens"


def test_a_stream_says_what_a_message_says(claude: anthropic.Anthropic) -> None:
    with claude.messages.stream(model=CHAT, max_tokens=64, messages=QUESTION, extra_body=SURELY) as stream:
        pieces = list(stream.text_stream)
        message = stream.get_final_message()
    assert "".join(pieces) == ANSWER
    assert len(pieces) > 1
    assert message.content[0].text == ANSWER  # type: ignore[union-attr]
    assert message.stop_reason == "end_turn"
    assert message.usage.output_tokens > 0


def test_a_streams_events_are_in_order(claude: anthropic.Anthropic) -> None:
    stream = claude.messages.create(model=CHAT, max_tokens=64, messages=QUESTION, extra_body=SURELY, stream=True)
    kinds = [event.type for event in stream]
    assert kinds[0] == "message_start"
    assert kinds[1] == "content_block_start"
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert set(kinds[2:-3]) == {"content_block_delta"}


def test_tokens_of_a_message_are_counted_without_answering_it(claude: anthropic.Anthropic) -> None:
    counted = claude.messages.count_tokens(model=CHAT, messages=QUESTION)
    message = claude.messages.create(model=CHAT, max_tokens=1, messages=QUESTION, extra_body=SURELY)
    assert counted.input_tokens == message.usage.input_tokens


def test_an_unknown_model_is_not_found(claude: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError) as caught:
        claude.messages.create(model="dmeo", max_tokens=8, messages=QUESTION, extra_body=SURELY)
    body: Any = caught.value.body
    assert body["type"] == "error"
    assert body["error"]["type"] == "not_found_error"
    assert "Did you mean 'demo'?" in body["error"]["message"]


@pytest.mark.parametrize(
    "asked",
    [
        {"model": EMBEDDING, "max_tokens": 8, "messages": QUESTION},
        {"model": CHAT, "max_tokens": 8, "messages": [{"role": "user", "content": "water " * 3000}]},
        {"model": CHAT, "max_tokens": 8, "messages": QUESTION, "extra_body": SURELY | {"temperature": "hot"}},
        {"model": CHAT, "max_tokens": 0, "messages": QUESTION},
    ],
    ids=["an embedding model", "too long", "a wrong type", "a wrong number"],
)
def test_a_wrong_message_is_a_bad_request_in_its_own_form(claude: anthropic.Anthropic, asked: dict[str, Any]) -> None:
    with pytest.raises(anthropic.BadRequestError) as caught:
        claude.messages.create(**asked)
    body: Any = caught.value.body
    assert body["type"] == "error"
    assert body["error"]["type"] == "invalid_request_error"
    assert body["error"]["message"]
