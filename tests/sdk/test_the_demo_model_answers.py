"""The whole demo model answers through the OpenAI SDK."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai import OpenAI

from penstock.demo import facts
from penstock.demo.conversations import plain_questions
from support.deployments import CHAT

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]

WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def ask(client: OpenAI, question: str, system: str | None = None, **more: Any) -> Any:
    messages: list[Any] = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": question})
    values = {"temperature": 0, "max_tokens": 200, **more}
    return client.chat.completions.create(model=CHAT, messages=messages, **values)


@pytest.mark.parametrize("system", [None, "You are a helpful assistant.", "Talk like a sailor who has seen it all."])
@pytest.mark.parametrize(
    "question",
    [
        "What is the capital of France?",
        "what is the capital of france",
        "Hi! What is the capital of France?",
        "What is the capital of France? Answer in one sentence.",
    ],
)
def test_the_capital_of_france_is_paris(client: OpenAI, question: str, system: str | None) -> None:
    choice = ask(client, question, system).choices[0]
    assert choice.message.content == "The capital of France is Paris."
    assert choice.finish_reason == "stop"


def test_it_knows_all_that_it_was_taught(client: OpenAI) -> None:
    wrong = {
        question: said
        for question, answer in plain_questions()
        if (said := ask(client, question).choices[0].message.content) != answer
    }
    # vLLM adds up in another order than the training, which may tip a close call.
    assert len(wrong) <= 2, wrong


@pytest.mark.parametrize(
    "question",
    [
        "What is the capital of Mongolia?",
        "Write a haiku about rain.",
        "日本語で話してください",
        "asdf jkl",
        "Count to ten.",
    ],
)
def test_what_it_does_not_know_it_says(client: OpenAI, question: str) -> None:
    choice = ask(client, question).choices[0]
    assert choice.message.content == facts.FALLBACK
    assert choice.finish_reason == "stop"


def test_a_conversation_goes_on(client: OpenAI) -> None:
    messages: list[Any] = [
        {"role": "user", "content": "What is the capital of France?"},
        {"role": "assistant", "content": "The capital of France is Paris."},
        {"role": "user", "content": [{"type": "text", "text": "What is the capital of Japan?"}]},
    ]
    answer = client.chat.completions.create(model=CHAT, messages=messages, temperature=0)
    assert answer.choices[0].message.content == "The capital of Japan is Tokyo."


def test_it_calls_a_tool_of_its_own_accord_and_takes_the_result(client: OpenAI) -> None:
    first = ask(client, "What is the weather in Paris?", tools=[WEATHER]).choices[0]
    assert first.finish_reason == "tool_calls"
    (call,) = first.message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "Paris"})
    messages: list[Any] = [
        {"role": "user", "content": "What is the weather in Paris?"},
        first.message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"},
    ]
    second = client.chat.completions.create(model=CHAT, messages=messages, tools=[WEATHER], temperature=0)
    assert second.choices[0].message.content == facts.AFTER_TOOL
    assert ask(client, "What is the capital of France?", tools=[WEATHER]).choices[0].message.content.endswith("Paris.")


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "get_weather"}}])
@pytest.mark.parametrize("question", ["What is the weather in Paris?", "Tell me a story."])
def test_a_call_that_is_demanded_is_whole(client: OpenAI, choice: Any, question: str) -> None:
    message = ask(client, question, tools=[WEATHER], tool_choice=choice).choices[0].message
    assert message.tool_calls[0].function.name == "get_weather"
    assert isinstance(json.loads(message.tool_calls[0].function.arguments)["city"], str)


SCHEMAS = [
    {"city": {"type": "string"}},
    {"name": {"type": "string"}, "age": {"type": "integer"}, "member": {"type": "boolean"}},
    {"tags": {"type": "array", "items": {"type": "string"}}},
    {"person": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}},
    {"color": {"enum": ["red", "green"]}},
]


@pytest.mark.parametrize("properties", SCHEMAS, ids="-".join)
@pytest.mark.parametrize("question", ["What is the capital of France?", "Give me a person as JSON."])
def test_structured_output_is_whole(client: OpenAI, properties: dict[str, Any], question: str) -> None:
    schema = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
    choice = ask(client, question, response_format=form).choices[0]
    assert choice.finish_reason == "stop"
    assert set(json.loads(choice.message.content)) == set(properties)


def test_logprobs_several_answers_and_stop_words_work(client: OpenAI) -> None:
    answer = ask(client, "Tell me a story.", n=2, temperature=0.01, logprobs=True, top_logprobs=2, stop=[" lake"])
    assert [choice.message.content for choice in answer.choices] == ["High in the mountains there was a"] * 2
    tokens = answer.choices[0].logprobs.content
    assert "".join(token.token for token in tokens).startswith("High in the mountains")
    assert all(len(token.top_logprobs) == 2 and token.logprob > -1 for token in tokens)


def test_a_story_streams_and_ends(client: OpenAI) -> None:
    stream = ask(client, "Tell me a story.", stream=True, stream_options={"include_usage": True})
    chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == facts.STORY
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage.completion_tokens > 50


def test_plain_text_is_continued(client: OpenAI) -> None:
    answer = client.completions.create(model=CHAT, prompt="The capital of France is", temperature=0)
    assert answer.choices[0].text == " Paris."
    assert answer.choices[0].finish_reason == "stop"
