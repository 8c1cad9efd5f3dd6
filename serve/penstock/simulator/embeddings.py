"""`POST /v1/embeddings`: vectors of length 1 that follow from seed and text."""

from __future__ import annotations

import base64
import hashlib
import math
import struct
import time
from typing import Any

from penstock.simulator.asgi import Exchange
from penstock.simulator.completions import Prompt, prompts_of
from penstock.simulator.errors import BadRequestError
from penstock.simulator.generation import Engine
from penstock.simulator.naming import full_usage, new_id
from penstock.simulator.requests import EmbeddingBody, check_model, read, room
from penstock.simulator.streaming import unless_gone


async def create(engine: Engine, exchange: Exchange) -> None:
    """Embed one or several texts. Raises ApiError."""
    body = await read(exchange, EmbeddingBody)
    # vLLM names the field in all routes but this one.
    model = check_model(body.model, engine.names, param=None)
    # An empty text is a text here, other than in completions.
    prompts = [Prompt("", 1)] if body.input == "" else prompts_of(body.input)
    for prompt in prompts:
        room(prompt.tokens, None, engine.options.max_model_len)
    size = body.dimensions if body.dimensions is not None else engine.options.embedding_size
    if not 1 <= size <= engine.options.embedding_size:
        raise BadRequestError(f"dimensions must be between 1 and {engine.options.embedding_size}, got {size}.")
    decided = body.model_copy(update={"model": model, "dimensions": size})
    await unless_gone(exchange, _answer(engine, exchange, decided, prompts))


def vector(key: bytes, size: int) -> list[float]:
    """`size` numbers, as a vector of length 1; the same for the same key."""
    digest = hashlib.shake_128(key).digest(2 * size)
    # An even number of steps around 0, so that no vector is all zeros.
    numbers = [value + 0.5 for value in struct.unpack(f"<{size}h", digest)]
    length = math.sqrt(sum(number * number for number in numbers))
    return [number / length for number in numbers]


async def _answer(engine: Engine, exchange: Exchange, body: EmbeddingBody, prompts: list[Prompt]) -> None:
    tokens = sum(prompt.tokens for prompt in prompts)
    async with engine.sequence(tokens) as sequence:
        await sequence.all(0)
        sequence.finish("stop")
    await exchange.json(
        {
            "id": new_id("embd", exchange),
            "object": "list",
            "created": int(time.time()),
            "model": body.model,
            "data": [
                {"index": index, "object": "embedding", "embedding": _embedding(engine, body, prompt)}
                for index, prompt in enumerate(prompts)
            ],
            "usage": full_usage(tokens, 0),
        }
    )


def _embedding(engine: Engine, body: EmbeddingBody, prompt: Prompt) -> Any:
    size = body.dimensions or engine.options.embedding_size
    # A shorter vector is the beginning of the long one, made length 1 again, as with Matryoshka models.
    numbers = vector(b"%d/%s" % (engine.options.seed, prompt.text.encode("utf-8", "replace")), size)
    if body.encoding_format == "base64":
        return base64.b64encode(struct.pack(f"<{size}f", *numbers)).decode()
    return numbers
