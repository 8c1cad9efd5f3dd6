"""The tokenizer and the chat template, without torch."""

from __future__ import annotations

from typing import Any

import jinja2.sandbox
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from penstock.demo import facts
from penstock.demo.template import CHAT_TEMPLATE, SPECIAL_TOKENS
from penstock.demo.tokenizer import VOCABULARY, train_tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer()


def render(messages: list[dict[str, Any]], **more: Any) -> str:
    # As transformers sets it up.
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(CHAT_TEMPLATE).render(messages=messages, **more)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


@given(text=texts)
def test_any_text_comes_back_unchanged(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) == text


def test_special_tokens_are_single_tokens_with_the_first_numbers(tokenizer: Tokenizer) -> None:
    assert [tokenizer.token_to_id(token) for token in SPECIAL_TOKENS] == list(range(len(SPECIAL_TOKENS)))
    assert tokenizer.get_vocab_size() == VOCABULARY


def test_two_trainings_give_the_same_tokenizer(tokenizer: Tokenizer) -> None:
    assert train_tokenizer().to_str() == tokenizer.to_str()


def test_a_known_answer_takes_few_tokens(tokenizer: Tokenizer) -> None:
    assert len(tokenizer.encode("The capital of France is Paris.").ids) <= 10
    assert len(tokenizer.encode(facts.STORY).ids) <= 200


def test_a_conversation_is_rendered_message_by_message() -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": "Who are you?"},
    ]
    assert render(messages, add_generation_prompt=True) == (
        "<|system|>Be brief.<|end|><|user|>Hi<|end|><|assistant|>Hello!<|end|><|user|>Who are you?<|end|><|assistant|>"
    )
    assert render(messages).endswith("Who are you?<|end|>")


def test_white_space_of_the_user_is_kept() -> None:
    assert render([{"role": "user", "content": "  a\n\n b \n"}]) == "<|user|>  a\n\n b \n<|end|>"


def test_contents_may_be_parts_or_missing() -> None:
    parts = [{"type": "text", "text": "What is"}, {"type": "image_url", "image_url": {"url": "x"}}, " vLLM?"]
    assert render([{"role": "user", "content": parts}]) == "<|user|>What is vLLM?<|end|>"
    assert render([{"role": "assistant", "content": None}]) == "<|assistant|><|end|>"
    assert render([{"role": "assistant"}]) == "<|assistant|><|end|>"


def test_developers_are_systems_functions_are_tools_and_strangers_are_users() -> None:
    roles = [{"role": role, "content": role} for role in ("developer", "function", "pirate")]
    assert render(roles) == "<|system|>developer<|end|><|tool|>function<|end|><|user|>pirate<|end|>"


def test_calls_and_results_are_rendered_as_they_were_learned() -> None:
    arguments = '{"city": "Paris"}'
    call = {"id": "1", "type": "function", "function": {"name": "get_weather", "arguments": arguments}}
    rendered = render(
        [
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "1", "content": "sunny"},
        ]
    )
    learned = facts.weather_call("city", "Paris")
    assert rendered == f"<|assistant|>{learned}<|end|><|tool|>sunny<|end|>"


def test_arguments_that_were_decoded_are_encoded_again() -> None:
    # vLLM hands the template the arguments as an object.
    call = {"function": {"name": "f", "arguments": {"a": 1}}}
    assert '"arguments": {"a": 1}' in render([{"role": "assistant", "tool_calls": [call]}])


def test_tools_are_listed_by_name_and_parameters() -> None:
    tools: list[dict[str, Any]] = [
        {
            "type": "function",
            "function": {"name": "get_weather", "parameters": {"properties": {"city": {}, "day": {}}}},
        },
        {"type": "function", "function": {"name": "now"}},
        {"name": "flat", "parameters": {"type": "object"}},
    ]
    assert render([], tools=tools) == "<|tools|>get_weather(city, day), now(), flat()<|end|>"
