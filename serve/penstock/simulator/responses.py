"""`POST /v1/responses`: text only, whole and streamed. Nothing is stored."""

from __future__ import annotations

import time
from typing import Any

import orjson

from penstock.simulator import answers
from penstock.simulator.answers import Answer
from penstock.simulator.asgi import Exchange
from penstock.simulator.chat import MESSAGE_TOKENS, sampling_key, text_of
from penstock.simulator.generation import Engine
from penstock.simulator.naming import new_id
from penstock.simulator.requests import ResponsesBody, check_model, check_range, read, room
from penstock.simulator.streaming import sse, stream_tokens, unless_gone
from penstock.simulator.words import count_tokens

_NULLS = (  # noqa: SIM905  # a list of strings reads worse
    "max_tool_calls previous_response_id prompt reasoning text top_logprobs user kv_transfer_params ec_transfer_params"
    " input_messages output_messages"
).split()


async def create(engine: Engine, exchange: Exchange) -> None:
    """Answer an input. Raises ApiError."""
    body = await read(exchange, ResponsesBody)
    model = check_model(body.model, engine.names)
    check_range("temperature", body.temperature, 0, 2, shown="[0, 2]")
    texts = [body.instructions or "", *_texts(body.input)]
    prompt_tokens = MESSAGE_TOKENS + sum(MESSAGE_TOKENS + count_tokens(text) for text in texts if text)
    left = room(prompt_tokens, body.max_output_tokens, engine.options.max_model_len, param="max_output_tokens")
    key = sampling_key(engine, body.seed, body.temperature, orjson.dumps(texts))
    made = answers.made_up(key, asked=body.max_output_tokens, usual=engine.options.output_tokens, room=left)
    answer = _stream if body.stream else _whole
    document = _document(body, model, left)
    await unless_gone(exchange, answer(engine, exchange, document, prompt_tokens, made))


def _texts(given: str | list[dict[str, Any]]) -> list[str]:
    if isinstance(given, str):
        return [given]
    contents = [item.get("content") for item in given]
    return [text_of(content) for content in contents if isinstance(content, str) or _is_parts(content)]


def _is_parts(content: Any) -> bool:
    return isinstance(content, list) and all(isinstance(part, dict) for part in content)


def _document(body: ResponsesBody, model: str, left: int) -> dict[str, Any]:
    """The response as it is before anything was said."""
    return {
        "id": new_id("resp").replace("-", "_"),
        "created_at": int(time.time()),
        "incomplete_details": None,
        "instructions": body.instructions,
        "metadata": body.metadata,
        "model": model,
        "object": "response",
        "output": [],
        "parallel_tool_calls": True,
        "temperature": 1.0 if body.temperature is None else body.temperature,
        "tool_choice": "auto" if body.tools else "none",
        "tools": body.tools,
        "top_p": 1.0 if body.top_p is None else body.top_p,
        "background": False,
        "max_output_tokens": body.max_output_tokens or left,
        "service_tier": "auto",
        "status": "in_progress",
        "truncation": "disabled",
        "usage": None,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        **dict.fromkeys(_NULLS),
    }


def _finished(document: dict[str, Any], message: dict[str, Any], prompt_tokens: int, made: Answer) -> dict[str, Any]:
    count = len(made.pieces)
    cut = made.finish_reason == "length"
    return {
        **document,
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "status": "incomplete" if cut else "completed",
        "output": [message],
        "usage": {
            "input_tokens": prompt_tokens,
            "input_tokens_details": {
                "cached_tokens": 0,
                "cache_write_tokens": 0,
                "input_tokens_per_turn": [],
                "cached_tokens_per_turn": [],
            },
            "output_tokens": count,
            "output_tokens_details": {
                "reasoning_tokens": 0,
                "tool_output_tokens": 0,
                "output_tokens_per_turn": [],
                "tool_output_tokens_per_turn": [],
            },
            "total_tokens": prompt_tokens + count,
        },
    }


def _message(identity: str, status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": identity,
        "content": content,
        "role": "assistant",
        "status": status,
        "type": "message",
        "phase": None,
    }


def _part(text: str, logprobs: list[Any] | None) -> dict[str, Any]:
    return {"annotations": [], "text": text, "type": "output_text", "logprobs": logprobs}


async def _whole(
    engine: Engine, exchange: Exchange, document: dict[str, Any], prompt_tokens: int, made: Answer
) -> None:
    async with engine.sequence(prompt_tokens, request_id=exchange.request_id) as sequence:
        await sequence.all(len(made.pieces))
        sequence.finish(made.finish_reason)
    made = made.stopped(sequence.done)
    message = _message(new_id("msg").replace("-", "_"), "completed", [_part(made.text, None)])
    await exchange.json(_finished(document, message, prompt_tokens, made))


async def _stream(
    engine: Engine, exchange: Exchange, document: dict[str, Any], prompt_tokens: int, made: Answer
) -> None:
    item = new_id("msg").replace("-", "_")
    place = {"item_id": item, "output_index": 0, "content_index": 0}

    def encoded(number: int, kind: str, fields: dict[str, Any]) -> bytes:
        name = f"response.{kind}"
        return sse(orjson.dumps({**fields, "sequence_number": number, "type": name}), event=name)

    opening = b"".join(
        [
            encoded(0, "created", {"response": document}),
            encoded(1, "in_progress", {"response": document}),
            encoded(2, "output_item.added", {"item": _message(item, "in_progress", []), "output_index": 0}),
            encoded(3, "content_part.added", {**place, "part": _part("", [])}),
        ]
    )

    def delta(step: int) -> bytes:
        return encoded(4 + step, "output_text.delta", {**place, "delta": made.pieces[step], "logprobs": []})

    def closing(done: int) -> bytes:
        said = made.stopped(done)
        text = said.text
        number = 4 + len(said.pieces)
        message = _message(item, "completed", [_part(text, None)])
        return b"".join(
            [
                encoded(number, "output_text.done", {**place, "text": text, "logprobs": []}),
                encoded(number + 1, "content_part.done", {**place, "part": _part(text, None)}),
                encoded(number + 2, "output_item.done", {"item": message, "output_index": 0}),
                encoded(number + 3, "completed", {"response": _finished(document, message, prompt_tokens, said)}),
            ]
        )

    await stream_tokens(
        exchange,
        engine,
        prompt_tokens=prompt_tokens,
        steps=len(made.pieces),
        reason=made.finish_reason,
        opening=opening,
        event=delta,
        closing=closing,
    )
