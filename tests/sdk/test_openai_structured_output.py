"""Structured output through OpenAI's SDK: answers that follow a schema whatever the model would rather say."""

from __future__ import annotations

import json
import re
from typing import Any, Literal

import jsonschema
import pytest
from openai import OpenAI
from pydantic import BaseModel, Field

from support.deployments import CHAT

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]

QUESTION: list[Any] = [{"role": "user", "content": "What is the capital of France?"}]
LIMIT = 400

SCHEMA = {
    "type": "object",
    "properties": {
        "country": {"enum": ["France", "Italy"]},
        "large": {"type": "boolean"},
        "names": {"type": "array", "items": {"type": "string", "maxLength": 8}, "minItems": 2, "maxItems": 2},
    },
    "required": ["country", "large", "names"],
    "additionalProperties": False,
}


class City(BaseModel):
    name: str = Field(max_length=12)
    continent: Literal["Europe", "Asia"]
    capital: bool


def _format(name: str, schema: dict[str, Any]) -> Any:
    return {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": schema}}


def test_an_answer_follows_the_schema(client: OpenAI) -> None:
    completion = client.chat.completions.create(
        model=CHAT,
        messages=QUESTION,
        temperature=0,
        max_completion_tokens=LIMIT,
        response_format=_format("answer", SCHEMA),
    )
    (choice,) = completion.choices
    assert choice.finish_reason == "stop"
    jsonschema.validate(json.loads(choice.message.content or ""), SCHEMA)


def test_a_stream_follows_the_schema(client: OpenAI) -> None:
    stream = client.chat.completions.create(
        model=CHAT,
        messages=QUESTION,
        temperature=0,
        max_completion_tokens=LIMIT,
        response_format=_format("answer", SCHEMA),
        stream=True,
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    jsonschema.validate(json.loads(text), SCHEMA)


def test_any_json_is_json(client: OpenAI) -> None:
    completion = client.chat.completions.create(
        model=CHAT,
        messages=QUESTION,
        temperature=0,
        max_completion_tokens=LIMIT,
        response_format={"type": "json_object"},
    )
    (choice,) = completion.choices
    assert choice.finish_reason == "stop"
    assert isinstance(json.loads(choice.message.content or ""), dict)


def test_parse_gives_an_object_of_ones_own_class(client: OpenAI) -> None:
    completion = client.chat.completions.parse(
        model=CHAT, messages=QUESTION, temperature=0, max_completion_tokens=LIMIT, response_format=City
    )
    parsed = completion.choices[0].message.parsed
    assert isinstance(parsed, City)


def test_the_engines_own_words_for_it_reach_the_engine(client: OpenAI) -> None:
    """`extra_body` is how vLLM's own parameters travel."""
    completion = client.chat.completions.create(
        model=CHAT,
        messages=QUESTION,
        temperature=0,
        extra_body={"structured_outputs": {"regex": "[0-9]{4}-[0-9]{2}"}},
    )
    assert re.fullmatch("[0-9]{4}-[0-9]{2}", completion.choices[0].message.content or "")
