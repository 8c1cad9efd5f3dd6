"""`POST /v1/chat/completions`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import orjson

from penstock.simulator import answers, logprobs
from penstock.simulator.answers import Answer, Decision
from penstock.simulator.asgi import Exchange
from penstock.simulator.errors import BadRequestError
from penstock.simulator.generation import Engine
from penstock.simulator.naming import FINGERPRINT, full_usage, new_id, usage
from penstock.simulator.requests import (
    ChatBody,
    ChatMessage,
    NamedTool,
    Tool,
    check_logprobs,
    check_model,
    check_sampling,
    read,
    room,
)
from penstock.simulator.streaming import sse, stream_choices, unless_gone
from penstock.simulator.words import count_tokens

MESSAGE_TOKENS = 3
"""What a chat template adds to each message, and once more for the answer."""


async def create(engine: Engine, exchange: Exchange) -> None:
    """Answer a chat. Raises ApiError."""
    body = await read(exchange, ChatBody)
    model = check_model(body.model, engine.names)
    _check(body)
    prompt_tokens = count_prompt(body.messages)
    made = decide(engine, body, prompt_tokens)
    answer = _stream if body.stream else _whole
    await unless_gone(exchange, answer(engine, exchange, body, Decision(model, prompt_tokens, made)))


def count_prompt(messages: Iterable[ChatMessage]) -> int:
    """Tokens of a conversation behind a chat template."""
    return MESSAGE_TOKENS + sum(MESSAGE_TOKENS + count_tokens(text_of(message.content)) for message in messages)


def text_of(content: str | list[dict[str, Any]] | None) -> str:
    """The text in a message; pictures and sounds count for nothing."""
    if isinstance(content, list):
        return "".join(part["text"] for part in content if isinstance(part.get("text"), str))
    return content or ""


def decide(engine: Engine, body: ChatBody, prompt_tokens: int) -> list[Answer]:
    """What every choice says. Raises BadRequestError where the request is too long."""
    asked = body.max_completion_tokens if body.max_completion_tokens is not None else body.max_tokens
    param = "max_completion_tokens" if body.max_completion_tokens is not None else "max_tokens"
    left = room(prompt_tokens, asked, engine.options.max_model_len, param=param)
    count = body.n or 1
    if tool := forced_tool(body):
        text = answers.instance_text(tool.function.parameters or {"type": "object"})
        return [answers.of_text(text, asked=asked, room=left, tool=tool.function.name)] * count
    if body.response_format and body.response_format.type != "text":
        given = body.response_format.json_schema
        text = answers.instance_text(given.schema_ if given and given.schema_ is not None else {"type": "object"})
        return [answers.of_text(text, asked=asked, room=left)] * count
    prompt = orjson.dumps([[message.role, text_of(message.content)] for message in body.messages])
    key = sampling_key(engine, body.seed, body.temperature, prompt)
    usual = engine.options.output_tokens
    return [
        answers.made_up(b"%s/%d" % (key, index), asked=asked, usual=usual, room=left, stops=body.stops)
        for index in range(count)
    ]


def sampling_key(engine: Engine, seed: int | None, temperature: float | None, prompt: bytes) -> bytes:
    """What made-up words follow from: seed and prompt; without seed a new one each time, unless temperature is 0."""
    if seed is None:
        seed = 0 if temperature == 0 else next(engine.numbers)
    return b"%d/%d/%s" % (engine.options.seed, seed, prompt)


def forced_tool(body: ChatBody) -> Tool | None:
    """The tool that must be called, if any."""
    if not body.tools:
        return None
    if body.tool_choice == "required":
        return body.tools[0]
    if isinstance(body.tool_choice, NamedTool):
        name = body.tool_choice.function.name
        return next((tool for tool in body.tools if tool.function.name == name), None)
    return None


def _check(body: ChatBody) -> None:
    check_sampling(body)
    if not body.messages:
        raise BadRequestError("Cannot apply chat template to an empty conversation. Provide at least one message.")
    if body.top_logprobs is not None and not body.logprobs:
        raise BadRequestError.of("when using `top_logprobs`, `logprobs` must be set to true.", "top_logprobs")
    check_logprobs(body.top_logprobs)
    if body.tool_choice not in (None, "none", "auto") and not body.tools:
        raise BadRequestError.of("When using `tool_choice`, `tools` must be set.", "tool_choice")
    if isinstance(body.tool_choice, NamedTool) and forced_tool(body) is None:
        raise BadRequestError.of(
            "The tool specified in `tool_choice` does not match any of the specified `tools`", "tool_choice"
        )


def _finish_reason(body: ChatBody, answer: Answer) -> str:
    # A call that the client named ends by "stop", one that was left to the model by "tool_calls".
    if answer.tool and answer.finish_reason == "stop" and body.tool_choice == "required":
        return "tool_calls"
    return answer.finish_reason


async def _whole(engine: Engine, exchange: Exchange, body: ChatBody, decision: Decision) -> None:
    created = int(time.time())
    async with engine.sequence(
        decision.prompt_tokens, choices=len(decision.answers), request_id=exchange.request_id
    ) as sequence:
        await sequence.all(decision.steps)
        sequence.finish(decision.answers[0].finish_reason)
    decision = decision.stopped(sequence.done)
    await exchange.json(
        {
            "id": new_id("chatcmpl", exchange),
            "object": "chat.completion",
            "created": created,
            "model": decision.model,
            "choices": [_choice(body, index, answer) for index, answer in enumerate(decision.answers)],
            "service_tier": None,
            "system_fingerprint": FINGERPRINT,
            "usage": full_usage(decision.prompt_tokens, decision.tokens),
            "prompt_logprobs": None,
            "prompt_token_ids": None,
            "prompt_text": None,
            "kv_transfer_params": None,
            "ec_transfer_params": None,
            "metrics": None,
        }
    )


def _choice(body: ChatBody, index: int, answer: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if answer.tool else answer.text,
        "refusal": None,
        "annotations": None,
        "audio": None,
        "function_call": None,
    }
    if answer.tool:
        call = {"name": answer.tool, "arguments": answer.text}
        message["tool_calls"] = [{"id": new_id("chatcmpl-tool"), "type": "function", "function": call}]
    return {
        "index": index,
        "message": {**message, "reasoning": None},
        "logprobs": logprobs.of_chat(answer.pieces, body.top_logprobs or 0) if body.logprobs else None,
        "finish_reason": _finish_reason(body, answer),
        "stop_reason": answer.stop_reason,
        "token_ids": None,
        "routed_experts": None,
    }


async def _stream(engine: Engine, exchange: Exchange, body: ChatBody, decision: Decision) -> None:
    identity = {
        "id": new_id("chatcmpl", exchange),
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": decision.model,
    }

    events = [
        _events(body, identity, decision.prompt_tokens, index, answer) for index, answer in enumerate(decision.answers)
    ]
    await stream_choices(
        exchange,
        engine,
        decision,
        identity,
        opening=b"".join(
            _opening(body, identity, decision.prompt_tokens, index) for index in range(len(decision.answers))
        ),
        events=events,
        aborted=lambda index: sse(
            orjson.dumps(
                {
                    **identity,
                    "choices": [
                        {
                            "index": index,
                            "delta": {"content": ""},
                            "logprobs": None,
                            "finish_reason": "abort",
                            "stop_reason": None,
                            "token_ids": None,
                        }
                    ],
                }
            )
        ),
        include_usage=body.include_usage,
    )


def _opening(body: ChatBody, identity: dict[str, Any], prompt_tokens: int, index: int) -> bytes:
    delta = {"role": "assistant", "content": ""}
    chunk = {
        **identity,
        "choices": [{"index": index, "delta": delta, "logprobs": None, "finish_reason": None}],
        **_running_usage(body, prompt_tokens, 0),
        "prompt_token_ids": None,
        "prompt_text": None,
    }
    return sse(orjson.dumps(chunk))


def _running_usage(body: ChatBody, prompt_tokens: int, done: int) -> dict[str, Any]:
    if not body.continuous_usage:
        return {}
    return {"usage": {**usage(prompt_tokens, done), "completion_tokens_details": None}}


def _events(
    body: ChatBody, identity: dict[str, Any], prompt_tokens: int, index: int, answer: Answer
) -> Callable[[int], bytes]:
    """The function that gives the events of one choice. Usual tokens are put together from parts encoded once."""
    last = len(answer.pieces) - 1
    call_id = new_id("chatcmpl-tool") if answer.tool else ""
    plain = not (body.logprobs or body.continuous_usage or answer.tool)
    head = sse(orjson.dumps({**identity, "choices": []})).removesuffix(b"]}\n\n") + (
        b'{"index":%d,"delta":{"content":' % index
    )
    tail = b'},"logprobs":null,"finish_reason":null,"token_ids":null}]}\n\n'

    def chunk(step: int, delta: dict[str, Any]) -> bytes:
        piece = answer.pieces[step]
        choice: dict[str, Any] = {
            "index": index,
            "delta": delta,
            "logprobs": logprobs.of_chat([piece], body.top_logprobs or 0) if body.logprobs else None,
            "finish_reason": _finish_reason(body, answer) if step == last else None,
            **({"stop_reason": answer.stop_reason} if step == last else {}),
            "token_ids": None,
        }
        document = {**identity, "choices": [choice], **_running_usage(body, prompt_tokens, step + 1)}
        if step == last and not body.include_usage:
            document["system_fingerprint"] = FINGERPRINT
        return sse(orjson.dumps(document))

    def call(step: int) -> bytes:
        arguments = {"index": 0, "function": {"arguments": answer.pieces[step]}}
        event = chunk(step, {"content": None, "tool_calls": [arguments]})
        if step:
            return event
        named = {"id": call_id, "type": "function", "index": 0, "function": {"name": answer.tool}}
        delta = {"content": None, "tool_calls": [named]}
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": None, "token_ids": None}
        return sse(orjson.dumps({**identity, "choices": [choice]})) + event

    def event(step: int) -> bytes:
        if step > last:
            return b""
        if answer.tool:
            return call(step)
        if plain and step < last:
            return head + orjson.dumps(answer.pieces[step]) + tail
        return chunk(step, {"content": answer.pieces[step]})

    return event
