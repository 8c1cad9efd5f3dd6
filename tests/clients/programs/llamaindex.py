"""The row of LlamaIndex: `python llamaindex.py URL`, in the environment of clients. Prints what it saw as JSON."""

from __future__ import annotations

import asyncio
import json
import sys

from llama_index.llms.openai_like import OpenAILike
from openai import NotFoundError

address = f"{sys.argv[1]}/v1"


def client(model: str, most: int) -> OpenAILike:
    return OpenAILike(
        model=model,
        api_base=address,
        api_key="none",
        is_chat_model=True,
        temperature=0,
        max_tokens=most,
        max_retries=0,
        context_window=100_000,
    )


def refused() -> str:
    try:
        client("dmeo", 9).complete("Hello")
    except NotFoundError as error:
        return str(error)
    return ""


async def left() -> str:
    """The first piece of an answer, whose stream ends with the loop."""
    async for piece in await client("demo", 90_000).astream_complete("Hello"):
        if piece.delta:
            return piece.delta
    return ""


seen = {
    "chat": client("demo", 9).complete("Hello").text,
    "stream": [piece.delta for piece in client("demo", 9).stream_complete("Hello") if piece.delta],
    "error": refused(),
}
seen["cancel"] = asyncio.run(left())
print(json.dumps(seen), flush=True)
# Not by the end of this process does the gateway hear that nobody waits: it stays until it is told to go.
sys.stdin.read()
