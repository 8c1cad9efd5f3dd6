"""Completions, embeddings, responses, models and tokens through OpenAI's SDK, and what every answer carries."""

from __future__ import annotations

import base64
import math
import struct
from typing import Any

import httpx
import pytest
from openai import OpenAI

from support.deployments import ALIAS, CHAT, CONTEXT, EMBEDDING, Deployment

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]

QUESTION: list[Any] = [{"role": "user", "content": "What is the capital of France?"}]
ANSWER = "The capital of France is Paris."


def _cosine(one: list[float], other: list[float]) -> float:
    dot = sum(x * y for x, y in zip(one, other, strict=True))
    return dot / math.sqrt(sum(x * x for x in one) * sum(y * y for y in other))


# Completions


def test_a_text_is_completed(client: OpenAI) -> None:
    completion = client.completions.create(model=CHAT, prompt="The capital of France is", temperature=0, max_tokens=8)
    (choice,) = completion.choices
    assert choice.text.startswith(" Paris")
    assert completion.usage is not None
    assert 0 < completion.usage.completion_tokens <= 8


def test_several_texts_are_completed_in_their_order(client: OpenAI) -> None:
    prompts = ["The capital of France is", "The capital of Italy is"]
    completion = client.completions.create(model=CHAT, prompt=prompts, temperature=0, max_tokens=8, echo=True)
    assert [choice.index for choice in completion.choices] == [0, 1]
    assert all(choice.text.startswith(prompt) for choice, prompt in zip(completion.choices, prompts, strict=True))


def test_a_completion_streams(client: OpenAI) -> None:
    asked: dict[str, Any] = {"model": CHAT, "prompt": "The capital of France is", "temperature": 0, "max_tokens": 8}
    whole = client.completions.create(**asked).choices[0].text
    options = {"include_usage": True}
    *chunks, last = client.completions.create(**asked, stream=True, stream_options=options)
    assert "".join(chunk.choices[0].text for chunk in chunks) == whole
    assert last.choices == []
    assert last.usage.completion_tokens > 0


# Embeddings


def test_a_text_is_384_numbers_of_length_one(client: OpenAI) -> None:
    embedded = client.embeddings.create(model=EMBEDDING, input="A penstock carries water.", encoding_format="float")
    (item,) = embedded.data
    assert len(item.embedding) == 384
    assert math.isclose(math.hypot(*item.embedding), 1, abs_tol=1e-3)
    assert embedded.usage.prompt_tokens > 0
    assert embedded.model == EMBEDDING


def test_base64_carries_the_same_numbers(client: OpenAI) -> None:
    text = "A penstock carries water."
    floats = client.embeddings.create(model=EMBEDDING, input=text, encoding_format="float").data[0].embedding
    encoded: Any = client.embeddings.create(model=EMBEDDING, input=text, encoding_format="base64").data[0].embedding
    assert isinstance(encoded, str)
    decoded = struct.unpack("<384f", base64.b64decode(encoded))
    assert max(abs(x - y) for x, y in zip(floats, decoded, strict=True)) <= 1e-6
    # Without a format, the SDK asks for base64 and decodes it.
    implicit = client.embeddings.create(model=EMBEDDING, input=text).data[0].embedding
    assert max(abs(x - y) for x, y in zip(floats, implicit, strict=True)) <= 1e-6


def test_a_list_of_texts_comes_back_in_its_order(client: OpenAI) -> None:
    texts = ["A cat sits on the mat.", "A kitten is sitting on a rug.", "The stock market fell sharply today."]
    listed = client.embeddings.create(model=EMBEDDING, input=texts, encoding_format="float").data
    assert [item.index for item in listed] == [0, 1, 2]
    for item, text in zip(listed, texts, strict=True):
        (alone,) = client.embeddings.create(model=EMBEDDING, input=text, encoding_format="float").data
        assert _cosine(item.embedding, alone.embedding) > 0.999


def test_texts_that_mean_the_same_are_nearer(client: OpenAI) -> None:
    texts = ["A cat sits on the mat.", "A kitten is sitting on a rug.", "The stock market fell sharply today."]
    cat, kitten, market = (item.embedding for item in client.embeddings.create(model=EMBEDDING, input=texts).data)
    assert _cosine(cat, kitten) > 0.4
    assert _cosine(cat, kitten) > _cosine(cat, market) + 0.2


# Responses


def test_a_response_is_created(client: OpenAI) -> None:
    response = client.responses.create(model=CHAT, input="What is the capital of France?", temperature=0)
    assert response.output_text == ANSWER
    assert response.status == "completed"
    assert response.usage is not None
    assert response.usage.output_tokens > 0


def test_a_response_streams_its_events_in_order(client: OpenAI) -> None:
    events = list(
        client.responses.create(model=CHAT, input="What is the capital of France?", temperature=0, stream=True)
    )
    kinds = [event.type for event in events]
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == ANSWER
    assert len(deltas) > 1
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].response.output_text == ANSWER


# Models


def test_the_models_are_listed_with_their_names(client: OpenAI) -> None:
    models = {model.id: model for model in client.models.list()}
    assert set(models) == {CHAT, ALIAS, EMBEDDING}
    assert all(model.object == "model" and model.owned_by and model.created for model in models.values())


def test_a_model_tells_its_context_and_that_it_is_ready(client: OpenAI) -> None:
    for name in (CHAT, ALIAS):
        model = client.models.retrieve(name)
        assert model.id == name
        assert model.model_extra is not None
        assert model.model_extra["max_model_len"] == CONTEXT
        assert model.model_extra["ready"] is True
    embedding = client.models.retrieve(EMBEDDING)
    assert embedding.model_extra is not None
    assert embedding.model_extra["max_model_len"] == 128


# Tokens


def test_a_text_becomes_tokens_and_text_again(running_penstock: Deployment) -> None:
    text = "Wide, dull, and nothing is lost: ü, 水."
    with httpx.Client(base_url=running_penstock.url, timeout=60) as client:
        counted = client.post("/tokenize", json={"model": CHAT, "prompt": text, "add_special_tokens": False})
        assert counted.status_code == 200, counted.text
        tokens = counted.json()
        assert tokens["count"] == len(tokens["tokens"]) > 0
        assert tokens["max_model_len"] == CONTEXT
        back = client.post("/detokenize", json={"model": CHAT, "tokens": tokens["tokens"]})
    assert back.json()["prompt"] == text


def test_a_conversation_has_as_many_tokens_as_are_counted_when_it_is_answered(
    client: OpenAI, running_penstock: Deployment
) -> None:
    counted = httpx.post(f"{running_penstock.url}/tokenize", json={"model": CHAT, "messages": QUESTION}, timeout=60)
    usage = client.chat.completions.create(model=CHAT, messages=QUESTION, max_tokens=1).usage
    assert usage is not None
    assert counted.json()["count"] == usage.prompt_tokens


# What every answer carries


def test_a_request_keeps_the_id_that_its_client_gave_it(client: OpenAI) -> None:
    mine = {"x-request-id": "order-66"}
    completion = client.chat.completions.create(model=CHAT, messages=QUESTION, max_tokens=1, extra_headers=mine)
    assert completion._request_id == "order-66"


def test_a_request_without_an_id_gets_one_of_its_own(client: OpenAI) -> None:
    ids = [client.embeddings.create(model=EMBEDDING, input="x")._request_id for _ in range(2)]
    assert all(ids)
    assert len(set(ids)) == 2


def test_the_raw_answer_has_its_header_lines(client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model=CHAT, messages=QUESTION, temperature=0)
    assert raw.status_code == 200
    assert raw.headers["content-type"].startswith("application/json")
    assert raw.headers["x-request-id"] == raw.request_id
    assert raw.parse().choices[0].message.content == ANSWER


def test_a_raw_stream_is_an_event_stream(client: OpenAI) -> None:
    asked: dict[str, Any] = {"model": CHAT, "messages": QUESTION, "temperature": 0, "stream": True}
    with client.chat.completions.with_streaming_response.create(**asked) as raw:
        assert raw.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in raw.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    assert all(line.startswith("data: ") for line in lines)
