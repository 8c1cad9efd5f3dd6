"""`POST /tokenize` and `/detokenize`."""

from __future__ import annotations

from penstock.simulator import words
from penstock.simulator.asgi import Exchange
from penstock.simulator.chat import text_of
from penstock.simulator.errors import InvalidBodyError
from penstock.simulator.generation import Engine
from penstock.simulator.requests import DetokenizeBody, TokenizeBody, check_model, read


async def tokenize(engine: Engine, exchange: Exchange) -> None:
    """The tokens of a prompt or a conversation. Raises ApiError."""
    body = await read(exchange, TokenizeBody)
    check_model(body.model, engine.names)
    if (body.prompt is None) == (body.messages is None):
        raise InvalidBodyError("1 validation error:\n  exactly one of prompt and messages is required", param="body")
    text = body.prompt if body.messages is None else _rendered(body)
    tokens = words.encode(text or "")
    await exchange.json(
        {
            "count": len(tokens),
            "max_model_len": engine.options.max_model_len,
            "tokens": tokens,
            "token_strs": [words.decode([token]) for token in tokens] if body.return_token_strs else None,
        }
    )


async def detokenize(engine: Engine, exchange: Exchange) -> None:
    """The text of tokens. Raises ApiError."""
    body = await read(exchange, DetokenizeBody)
    check_model(body.model, engine.names)
    if any(token < 0 for token in body.tokens):
        raise InvalidBodyError("1 validation error:\n  token ids are not negative", param="body.tokens")
    await exchange.json({"prompt": words.decode(body.tokens)})


def _rendered(body: TokenizeBody) -> str:
    return "".join(f"<|{message.role}|>{text_of(message.content)}\n" for message in body.messages or [])
