"""`POST /v1/messages` and `/v1/messages/count_tokens`: Anthropic's API, whole and streamed."""

from __future__ import annotations

from typing import Any

import orjson

from penstock.simulator import answers
from penstock.simulator.answers import Answer
from penstock.simulator.asgi import Exchange
from penstock.simulator.chat import MESSAGE_TOKENS, sampling_key, text_of
from penstock.simulator.errors import ApiError, InvalidBodyError
from penstock.simulator.generation import Engine
from penstock.simulator.naming import new_id
from penstock.simulator.requests import (
    AnthropicTool,
    CountTokensBody,
    MessagesBody,
    check_model,
    check_range,
    read,
    room,
)
from penstock.simulator.streaming import sse, stream_tokens, unless_gone
from penstock.simulator.words import count_tokens


async def create(engine: Engine, exchange: Exchange) -> None:
    """Answer a conversation. Raises InvalidBodyError; other errors are answered here, in Anthropic's shape."""
    try:
        body = await read(exchange, MessagesBody)
        model = check_model(body.model, engine.names)
        check_range("temperature", body.temperature, 0, 2, shown="[0, 2]")
        prompt_tokens = _count(body)
        made = _decide(engine, body, prompt_tokens)
    except InvalidBodyError:
        raise
    except ApiError as error:
        await _refuse(exchange, error)
        return
    answer = _stream if body.stream else _whole
    await unless_gone(exchange, answer(engine, exchange, model, prompt_tokens, made))


async def count(engine: Engine, exchange: Exchange) -> None:
    """Count a conversation's tokens. Raises as `create`."""
    body = await read(exchange, CountTokensBody)
    try:
        check_model(body.model, engine.names)
    except ApiError as error:
        await _refuse(exchange, error)
        return
    tokens = _count(body)
    await exchange.json({"input_tokens": tokens, "context_management": {"original_input_tokens": tokens}})


async def _refuse(exchange: Exchange, error: ApiError) -> None:
    content = {"type": "error", "error": {"type": error.kind, "message": error.message}}
    await exchange.json(content, status=error.status)


def _texts(body: CountTokensBody) -> list[str]:
    return [text_of(body.system), *(text_of(message.content) for message in body.messages)]


def _count(body: CountTokensBody) -> int:
    return MESSAGE_TOKENS + sum(MESSAGE_TOKENS + count_tokens(text) for text in _texts(body) if text)


def _decide(engine: Engine, body: MessagesBody, prompt_tokens: int) -> Answer:
    left = room(prompt_tokens, body.max_tokens, engine.options.max_model_len)
    if tool := _forced_tool(body):
        text = answers.instance_text(tool.input_schema)
        return answers.of_text(text, asked=body.max_tokens, room=left, tool=tool.name)
    stops = [stop for stop in body.stop_sequences or [] if stop]
    key = sampling_key(engine, None, body.temperature, orjson.dumps(_texts(body)))
    return answers.made_up(key, asked=body.max_tokens, usual=engine.options.output_tokens, room=left, stops=stops)


def _forced_tool(body: MessagesBody) -> AnthropicTool | None:
    if not body.tools or not body.tool_choice:
        return None
    if body.tool_choice.type == "any":
        return body.tools[0]
    if body.tool_choice.type == "tool":
        return next((tool for tool in body.tools if tool.name == body.tool_choice.name), None)
    return None


def _stop_reason(made: Answer) -> str:
    if made.finish_reason == "length":
        return "max_tokens"
    if made.stop_reason is not None:
        return "stop_sequence"
    return "tool_use" if made.tool else "end_turn"


def _block(made: Answer) -> dict[str, Any]:
    if made.tool is None:
        return {"type": "text", "text": made.text}
    # Arguments that a limit cut are no JSON any more.
    whole = made.finish_reason == "stop"
    return {
        "type": "tool_use",
        "id": new_id("toolu"),
        "name": made.tool,
        "input": orjson.loads(made.text) if whole else {},
    }


async def _whole(engine: Engine, exchange: Exchange, model: str, prompt_tokens: int, made: Answer) -> None:
    async with engine.sequence(prompt_tokens, request_id=exchange.request_id) as sequence:
        await sequence.all(len(made.pieces))
        sequence.finish(made.finish_reason)
    made = made.stopped(sequence.done)
    content: dict[str, Any] = {
        "id": new_id("chatcmpl", exchange),
        "type": "message",
        "role": "assistant",
        "content": [_block(made)],
        "model": model,
        "stop_reason": _stop_reason(made),
        "usage": {"input_tokens": prompt_tokens, "output_tokens": len(made.pieces)},
    }
    if made.stop_reason is not None:
        content["stop_sequence"] = made.stop_reason
    await exchange.json(content)


async def _stream(engine: Engine, exchange: Exchange, model: str, prompt_tokens: int, made: Answer) -> None:
    message: dict[str, Any] = {
        "id": new_id("chatcmpl", exchange),
        "type": "message",
        "role": "assistant",
        "content": [],
        "model": model,
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": prompt_tokens, "output_tokens": 0},
    }
    empty = {**_block(made), "input": {}} if made.tool else {"type": "text", "text": ""}

    def encoded(kind: str, fields: dict[str, Any]) -> bytes:
        return sse(orjson.dumps({"type": kind, **fields}), event=kind)

    def delta(step: int) -> bytes:
        piece = made.pieces[step]
        if made.tool:
            change = {"type": "input_json_delta", "partial_json": piece}
        else:
            change = {"type": "text_delta", "text": piece}
        return encoded("content_block_delta", {"delta": change, "index": 0})

    def closing(done: int) -> bytes:
        said = made.stopped(done)
        end = {"stop_reason": _stop_reason(said), "stop_sequence": said.stop_reason}
        used = {"input_tokens": prompt_tokens, "output_tokens": len(said.pieces)}
        return b"".join(
            [
                encoded("content_block_stop", {"index": 0}),
                encoded("message_delta", {"delta": end, "usage": used}),
                encoded("message_stop", {}),
            ]
        )

    await stream_tokens(
        exchange,
        engine,
        prompt_tokens=prompt_tokens,
        steps=len(made.pieces),
        reason=made.finish_reason,
        opening=encoded("message_start", {"message": message})
        + encoded("content_block_start", {"content_block": empty, "index": 0}),
        event=delta,
        closing=closing,
    )
