"""Tools through OpenAI's SDK: a call that is forced, required or chosen, whole and in a stream."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from openai import OpenAI

from penstock.demo.facts import CAPITALS
from support.deployments import CHAT

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]

WEATHER_SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}, "unit": {"enum": ["C", "F"]}},
    "required": ["city", "unit"],
    "additionalProperties": False,
}
# Strict: else vLLM forces a call, but not its arguments (its option tool_strict_level says so for every tool).
WEATHER: Any = {"type": "function", "function": {"name": "get_weather", "strict": True, "parameters": WEATHER_SCHEMA}}
TIME_SCHEMA = {
    "type": "object",
    "properties": {"zone": {"enum": ["CET", "UTC"]}},
    "required": ["zone"],
    "additionalProperties": False,
}
TIME: Any = {"type": "function", "function": {"name": "get_time", "strict": True, "parameters": TIME_SCHEMA}}
SCHEMAS = {"get_weather": WEATHER_SCHEMA, "get_time": TIME_SCHEMA}
NAMED: Any = {"type": "function", "function": {"name": "get_time"}}
FREE: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
"""A tool that nothing forces; the demo model has learned when and how to call it."""
QUESTION: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
LIMIT = 300
"""Tokens: where a grammar leaves the model free, it might say much."""


def _ask(client: OpenAI, choice: Any, tools: list[Any], **parameters: Any) -> Any:
    return client.chat.completions.create(
        model=CHAT,
        messages=QUESTION,
        tools=tools,
        tool_choice=choice,
        temperature=0,
        max_completion_tokens=LIMIT,
        **parameters,
    )


def _check(name: str, arguments: str) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(arguments)
    jsonschema.validate(parsed, SCHEMAS[name])
    return parsed


def _check_city(arguments: str) -> None:
    """Some city that the model knows: too tiny to copy reliably, it may name another one than was asked about."""
    parsed = json.loads(arguments)
    assert set(parsed) == {"city"}
    assert parsed["city"] in CAPITALS.values()


def _streamed_calls(chunks: Any) -> dict[int, tuple[str, str]]:
    """Name and arguments of each call, by its index, put together as the SDK's users do."""
    calls: dict[int, tuple[str, str]] = {}
    for chunk in chunks:
        for piece in chunk.choices[0].delta.tool_calls or []:
            name, arguments = calls.get(piece.index, ("", ""))
            calls[piece.index] = (name + (piece.function.name or ""), arguments + (piece.function.arguments or ""))
    return calls


def test_a_named_tool_is_called_with_arguments_by_its_schema(client: OpenAI) -> None:
    (choice,) = _ask(client, NAMED, [WEATHER, TIME]).choices
    (call,) = choice.message.tool_calls
    assert call.type == "function"
    assert call.id
    assert call.function.name == "get_time"
    _check("get_time", call.function.arguments)


def test_a_required_tool_is_called_with_arguments_by_its_schema(client: OpenAI) -> None:
    (choice,) = _ask(client, "required", [WEATHER, TIME]).choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls
    for call in choice.message.tool_calls:
        _check(call.function.name, call.function.arguments)


@pytest.mark.parametrize("choice", [NAMED, "required"], ids=["named", "required"])
def test_a_stream_carries_a_call_in_pieces(client: OpenAI, choice: Any) -> None:
    calls = _streamed_calls(_ask(client, choice, [WEATHER, TIME], stream=True))
    assert calls
    for name, arguments in calls.values():
        _check(name, arguments)
    if choice is NAMED:
        assert [name for name, _ in calls.values()] == ["get_time"]


def test_the_model_chooses_the_tool_that_fits_the_question(client: OpenAI) -> None:
    (choice,) = _ask(client, "auto", [FREE]).choices
    assert choice.finish_reason == "tool_calls"
    (call,) = choice.message.tool_calls
    assert call.function.name == "get_weather"
    _check_city(call.function.arguments)


def test_a_stream_carries_a_call_that_the_model_chose(client: OpenAI) -> None:
    chunks = list(_ask(client, "auto", [FREE], stream=True))
    calls = _streamed_calls(chunks)
    assert [name for name, _ in calls.values()] == ["get_weather"]
    _check_city(calls[0][1])
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_no_tool_is_called_where_none_may_be(client: OpenAI) -> None:
    (choice,) = _ask(client, "none", [WEATHER]).choices
    assert not choice.message.tool_calls
    assert choice.message.content


def test_a_tools_result_is_read(client: OpenAI) -> None:
    (choice,) = _ask(client, "auto", [FREE]).choices
    (call,) = choice.message.tool_calls
    turns = [
        *QUESTION,
        choice.message,
        {"role": "tool", "tool_call_id": call.id, "content": '{"temperature": 20, "unit": "C"}'},
    ]
    completion = client.chat.completions.create(model=CHAT, messages=turns, tools=[FREE], temperature=0)
    assert completion.choices[0].message.content
    assert not completion.choices[0].message.tool_calls
