"""`POST /v1/completions`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import orjson

from penstock.simulator import answers, logprobs, words
from penstock.simulator.answers import Answer, Decision
from penstock.simulator.asgi import Exchange
from penstock.simulator.chat import sampling_key
from penstock.simulator.errors import BadRequestError
from penstock.simulator.generation import Engine
from penstock.simulator.naming import FINGERPRINT, full_usage, new_id, usage
from penstock.simulator.requests import CompletionBody, check_logprobs, check_model, check_sampling, read, room
from penstock.simulator.streaming import sse, stream_choices, unless_gone


class Prompt(NamedTuple):
    """A prompt as text, and how many tokens it counts."""

    text: str
    tokens: int


async def create(engine: Engine, exchange: Exchange) -> None:
    """Continue one or several prompts. Raises ApiError."""
    body = await read(exchange, CompletionBody)
    model = check_model(body.model, engine.names)
    prompts = prompts_of(body.prompt)
    check_sampling(body, prompts=len(prompts))
    check_logprobs(body.logprobs)
    made = [answer for prompt in prompts for answer in _decide(engine, body, prompt)]
    prompt_tokens = sum(prompt.tokens for prompt in prompts)
    answer = _stream if body.stream else _whole
    await unless_gone(exchange, answer(engine, exchange, body, Decision(model, prompt_tokens, made)))


def prompts_of(given: Any) -> list[Prompt]:
    """The prompts of a request: a text, texts, tokens, or lists of them. Raises BadRequestError for none."""
    if given is None or given == "":
        raise BadRequestError.of("Either prompt or prompt_embeds must be provided and non-empty.", "prompt")
    if isinstance(given, str):
        return [_of_text(given)]
    if not given:
        raise BadRequestError("You must pass at least one prompt")
    if isinstance(given[0], int):
        return [_of_tokens(given)]
    return [_of_text(item) if isinstance(item, str) else _of_tokens(item) for item in given]


def _of_text(text: str) -> Prompt:
    return Prompt(text, words.count_tokens(text))


def _of_tokens(tokens: Sequence[int]) -> Prompt:
    if any(token < 0 for token in tokens):
        raise BadRequestError.of("Token ids are not negative.", "prompt")
    return Prompt(words.decode(tokens), len(tokens))


def _decide(engine: Engine, body: CompletionBody, prompt: Prompt) -> list[Answer]:
    left = room(prompt.tokens, body.max_tokens, engine.options.max_model_len)
    key = sampling_key(engine, body.seed, body.temperature, prompt.text.encode("utf-8", "replace"))
    made = [
        answers.made_up(
            b"%s/%d" % (key, index),
            asked=body.max_tokens,
            usual=engine.options.output_tokens,
            room=left,
            stops=body.stops,
        )
        for index in range(body.n or 1)
    ]
    if not body.echo:
        return made
    # The prompt stands in front of the first token, so that it costs no time of its own.
    return [answer._replace(pieces=[prompt.text + answer.pieces[0], *answer.pieces[1:]]) for answer in made]


async def _whole(engine: Engine, exchange: Exchange, body: CompletionBody, decision: Decision) -> None:
    created = int(time.time())
    async with engine.sequence(
        decision.prompt_tokens, choices=len(decision.answers), request_id=exchange.request_id
    ) as sequence:
        await sequence.all(decision.steps)
        sequence.finish(decision.answers[0].finish_reason)
    decision = decision.stopped(sequence.done)
    await exchange.json(
        {
            "id": new_id("cmpl", exchange),
            "object": "text_completion",
            "created": created,
            "model": decision.model,
            "choices": [
                {
                    "index": index,
                    "text": answer.text,
                    "logprobs": None if body.logprobs is None else logprobs.of_completion(answer.pieces, body.logprobs),
                    "finish_reason": answer.finish_reason,
                    "stop_reason": answer.stop_reason,
                    "token_ids": None,
                    "prompt_logprobs": None,
                    "prompt_token_ids": None,
                    "routed_experts": None,
                }
                for index, answer in enumerate(decision.answers)
            ],
            "service_tier": None,
            "system_fingerprint": FINGERPRINT,
            "usage": full_usage(decision.prompt_tokens, decision.tokens),
            "kv_transfer_params": None,
            "ec_transfer_params": None,
            "metrics": None,
        }
    )


async def _stream(engine: Engine, exchange: Exchange, body: CompletionBody, decision: Decision) -> None:
    identity = {
        "id": new_id("cmpl", exchange),
        "object": "text_completion",
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
        opening=b"",
        events=events,
        aborted=lambda index: sse(
            orjson.dumps(
                {
                    **identity,
                    "choices": [
                        {
                            "index": index,
                            "text": "",
                            "logprobs": None,
                            "finish_reason": "abort",
                            "stop_reason": None,
                            "prompt_token_ids": None,
                            "token_ids": None,
                        }
                    ],
                }
            )
        ),
        include_usage=body.include_usage,
    )


def _events(
    body: CompletionBody, identity: dict[str, Any], prompt_tokens: int, index: int, answer: Answer
) -> Callable[[int], bytes]:
    """The function that gives the events of one choice. Usual tokens are put together from parts encoded once."""
    last = len(answer.pieces) - 1
    plain = body.logprobs is None and not body.continuous_usage
    head = sse(orjson.dumps({**identity, "choices": []})).removesuffix(b"]}\n\n") + b'{"index":%d,"text":' % index
    tail = b',"logprobs":null,"finish_reason":null,"stop_reason":null,"prompt_token_ids":null,"token_ids":null}]}\n\n'

    def event(step: int) -> bytes:
        if step > last:
            return b""
        piece = answer.pieces[step]
        if plain and step < last:
            return head + orjson.dumps(piece) + tail
        choice = {
            "index": index,
            "text": piece,
            "logprobs": None
            if body.logprobs is None
            else logprobs.of_completion([piece], body.logprobs, offset=sum(map(len, answer.pieces[:step]))),
            "finish_reason": answer.finish_reason if step == last else None,
            "stop_reason": answer.stop_reason if step == last else None,
            "prompt_token_ids": None,
            "token_ids": None,
        }
        document: dict[str, Any] = {**identity, "choices": [choice]}
        if body.continuous_usage:
            document["usage"] = usage(prompt_tokens, step + 1)
        if step == last and not body.include_usage:
            document["system_fingerprint"] = FINGERPRINT
        return sse(orjson.dumps(document))

    return event
