"""Azure OpenAI's, Ollama's and serverless platforms' clients on a real engine: where it differs from the simulator."""

from __future__ import annotations

import httpx
import ollama
import orjson
import pytest
from openai import AzureOpenAI

from support.deployments import CHAT, EMBEDDING, Deployment

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
ANSWER = "The capital of France is Paris."


def test_azure_answers_and_streams(running_penstock: Deployment) -> None:
    with AzureOpenAI(
        azure_endpoint=running_penstock.url, api_key="none", api_version="2024-10-21", max_retries=0, timeout=120
    ) as client:
        asked = {"model": CHAT, "messages": QUESTION, "temperature": 0}
        assert client.chat.completions.create(**asked).choices[0].message.content == ANSWER
        stream = client.chat.completions.create(**asked, stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == ANSWER


def test_a_stream_of_a_serverless_platform_tells_its_usage_in_every_chunk(running_penstock: Deployment) -> None:
    asked = {"model": CHAT, "messages": QUESTION, "temperature": 0, "maxTokens": 64}
    url = f"{running_penstock.url}/api/v1/ai/chat/completions"
    whole = httpx.post(url, json=asked, timeout=120).json()
    events = httpx.post(url, json={**asked, "stream": True}, timeout=120).text.removesuffix("\n\n").split("\n\n")
    assert all(event.startswith("event:messages\ndata: ") for event in events)
    assert events[-1].endswith("[DONE]")
    chunks = [orjson.loads(event.partition("data: ")[2]) for event in events[:-1]]
    assert all(chunk["choices"] and chunk["usage"]["prompt_tokens"] for chunk in chunks)
    assert chunks[-1]["usage"]["completion_tokens"] == whole["data"]["usage"]["completion_tokens"]
    assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks) == ANSWER


def test_ollama_answers_streams_generates_and_embeds(running_penstock: Deployment) -> None:
    with ollama.Client(host=running_penstock.url, timeout=120) as client:
        sure = {"temperature": 0}
        whole = client.chat(model=CHAT, messages=QUESTION, options=sure)
        *pieces, last = client.chat(model=CHAT, messages=QUESTION, options=sure, stream=True)
        assert whole.message.content == ANSWER
        assert "".join(piece.message.content or "" for piece in pieces) == ANSWER
        assert (last.done_reason, last.eval_count) == ("stop", whole.eval_count)
        assert client.generate(model=CHAT, prompt=QUESTION[0]["content"], options=sure).response == ANSWER
        assert client.generate(model=CHAT, prompt="The capital", raw=True, options={"num_predict": 3}).eval_count == 3
        assert client.generate(model=CHAT).done_reason == "load"
        assert len(client.embed(model=EMBEDDING, input=["a", "water " * 500]).embeddings[1]) == 384, "it is cut"
        assert client.show(EMBEDDING).capabilities == ["embedding"]
