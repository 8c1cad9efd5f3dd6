"""Clients in Python as rows of the matrix: each does the same four things at a gateway. Used by `client_rows`.

`chat` and `stream` answer the same question with nine tokens, `error` asks a model that there is not and returns what a
user is told, `cancel` begins an answer of 90,000 tokens, returns its first piece, and hangs up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

import anthropic
import ollama
import openai
import pytest
from langchain_openai import ChatOpenAI

MOST, ENDLESS, WRONG = 9, 90_000, "dmeo"
HELLO: list[Any] = [{"role": "user", "content": "Hello"}]


class Row(Protocol):
    """A client at a gateway."""

    def chat(self) -> str: ...
    def stream(self) -> list[str]: ...
    def error(self) -> str: ...
    def cancel(self) -> str: ...


class OpenAIRow:
    """OpenAI's client, and those that are made of it."""

    def __init__(self, client: openai.OpenAI) -> None:
        self._client = client

    def _ask(self, **more: Any) -> Any:
        asked = {"model": "demo", "messages": HELLO, "max_tokens": MOST, "temperature": 0, **more}
        return self._client.chat.completions.create(**asked)

    def chat(self) -> str:
        return str(self._ask().choices[0].message.content)

    def stream(self) -> list[str]:
        return [piece for chunk in self._ask(stream=True) if (piece := chunk.choices[0].delta.content)]

    def error(self) -> str:
        with pytest.raises(openai.NotFoundError) as caught:
            self._ask(model=WRONG)
        return str(caught.value)

    def cancel(self) -> str:
        with self._ask(stream=True, max_tokens=ENDLESS) as stream:
            return next(piece for chunk in stream if (piece := chunk.choices[0].delta.content))


class AsyncOpenAIRow:
    """OpenAI's client for event loops."""

    def __init__(self, url: str) -> None:
        self._url = url

    def _run(self, work: Callable[[Callable[..., Any]], Any]) -> Any:
        async def run() -> Any:
            async with openai.AsyncOpenAI(base_url=self._url, api_key="none", max_retries=0, timeout=60) as client:

                async def ask(**more: Any) -> Any:
                    asked = {"model": "demo", "messages": HELLO, "max_tokens": MOST, "temperature": 0, **more}
                    return await client.chat.completions.create(**asked)

                return await work(ask)

        return asyncio.run(run())

    def chat(self) -> str:
        async def work(ask: Callable[..., Any]) -> str:
            return str((await ask()).choices[0].message.content)

        return str(self._run(work))

    def stream(self) -> list[str]:
        async def work(ask: Callable[..., Any]) -> list[str]:
            return [piece async for chunk in await ask(stream=True) if (piece := chunk.choices[0].delta.content)]

        return list(self._run(work))

    def error(self) -> str:
        async def work(ask: Callable[..., Any]) -> str:
            with pytest.raises(openai.NotFoundError) as caught:
                await ask(model=WRONG)
            return str(caught.value)

        return str(self._run(work))

    def cancel(self) -> str:
        async def work(ask: Callable[..., Any]) -> str:
            first = asyncio.get_running_loop().create_future()

            async def read() -> None:
                async for chunk in await ask(stream=True, max_tokens=ENDLESS):
                    if (piece := chunk.choices[0].delta.content) and not first.done():
                        first.set_result(piece)

            reading = asyncio.create_task(read())
            piece = await asyncio.wait_for(first, 60)
            reading.cancel()
            await asyncio.wait([reading])
            return str(piece)

        return str(self._run(work))


class AnthropicRow:
    """Anthropic's client."""

    def __init__(self, client: anthropic.Anthropic) -> None:
        self._client = client

    def _asked(self, **more: Any) -> dict[str, Any]:
        return {
            "model": "demo",
            "messages": HELLO,
            "max_tokens": MOST,
            "extra_body": {"temperature": 0},
            **more,
        }

    def chat(self) -> str:
        (block,) = self._client.messages.create(**self._asked()).content
        return str(block.text)

    def stream(self) -> list[str]:
        with self._client.messages.stream(**self._asked()) as stream:
            return list(stream.text_stream)

    def error(self) -> str:
        with pytest.raises(anthropic.NotFoundError) as caught:
            self._client.messages.create(**self._asked(model=WRONG))
        return str(caught.value)

    def cancel(self) -> str:
        with self._client.messages.stream(**self._asked(max_tokens=ENDLESS)) as stream:
            return next(iter(stream.text_stream))


class OllamaRow:
    """Ollama's client."""

    def __init__(self, client: ollama.Client) -> None:
        self._client = client

    def _ask(self, *, model: str = "demo", most: int = MOST, stream: bool = False) -> Any:
        options = {"temperature": 0, "num_predict": most}
        return self._client.chat(model=model, messages=HELLO, options=options, stream=stream)  # type: ignore[call-overload]

    def chat(self) -> str:
        return str(self._ask().message.content)

    def stream(self) -> list[str]:
        return [piece for part in self._ask(stream=True) if (piece := part.message.content)]

    def error(self) -> str:
        with pytest.raises(ollama.ResponseError) as caught:
            self._ask(model=WRONG)
        assert caught.value.status_code == 404
        return str(caught.value)

    def cancel(self) -> str:
        stream = self._ask(stream=True, most=ENDLESS)
        piece = next(piece for part in stream if (piece := part.message.content))
        stream.close()
        return str(piece)


class LangChainRow:
    """LangChain's client for OpenAI's API."""

    def __init__(self, url: str) -> None:
        self._url = url

    def _client(self, *, model: str = "demo", most: int = MOST) -> Any:
        return ChatOpenAI(
            model=model, base_url=self._url, api_key="none", temperature=0, max_tokens=most, max_retries=0, timeout=60
        )  # type: ignore[call-arg]

    def chat(self) -> str:
        return str(self._client().invoke("Hello").content)

    def stream(self) -> list[str]:
        return [str(chunk.content) for chunk in self._client().stream("Hello") if chunk.content]

    def error(self) -> str:
        with pytest.raises(openai.NotFoundError) as caught:
            self._client(model=WRONG).invoke("Hello")
        return str(caught.value)

    def cancel(self) -> str:
        stream = self._client(most=ENDLESS).stream("Hello")
        piece = next(str(chunk.content) for chunk in stream if chunk.content)
        stream.close()
        return piece
