"""The same requests to the simulator and to a real vLLM: what clients read of the answers has the same shape.

Compared are status, content type, framing of streams, the tree of keys and types, finish reasons and roles.
Not compared are texts, counts of tokens (another tokenizer) and the number of chunks (vLLM puts tokens together when it
is behind).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import pytest

from support.engines import ServerProcess, SimulatorServer, VllmServer

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]

LENGTH = 1024


class Pair(NamedTuple):
    simulator: httpx.Client
    vllm: httpx.Client


@pytest.fixture(scope="module")
def chat(vllm_server: VllmServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    log = tmp_path_factory.mktemp("simulator") / "log"
    names = ["--served-model-name", "demo", "other"]
    with SimulatorServer({"max_model_len": LENGTH}, log=log, arguments=names) as simulator:
        yield from _pair(simulator, vllm_server)


@pytest.fixture(scope="module")
def embedding(embedding_server: VllmServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    log = tmp_path_factory.mktemp("simulator") / "log"
    with SimulatorServer({"max_model_len": 128}, log=log) as simulator:
        yield from _pair(simulator, embedding_server)


def _pair(simulator: ServerProcess, vllm: ServerProcess) -> Iterator[Pair]:
    with (
        httpx.Client(base_url=simulator.url, timeout=60) as left,
        httpx.Client(base_url=vllm.url, timeout=60) as right,
    ):
        yield Pair(left, right)


# Temperature 0, so that the noise of the tiny model is always the same one: it may say its end-of-text otherwise.
SAID = {"model": "demo", "messages": [{"role": "user", "content": "hi there"}], "max_tokens": 3, "temperature": 0}
USAGE = {"stream": True, "stream_options": {"include_usage": True}}
COMPLETION = {"model": "demo", "prompt": "hello", "max_tokens": 3, "temperature": 0}
RESPONSE = {"model": "demo", "input": "hi", "max_output_tokens": 24, "temperature": 0}
SCHEMA = {
    "type": "object",
    "properties": {"x": {"enum": ["a"]}},
    "required": ["x"],
    "additionalProperties": False,
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}

SAME_WHOLE: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", SAID),
    "chat without a model": ("/v1/chat/completions", {k: v for k, v in SAID.items() if k != "model"}),
    "chat by another name": ("/v1/chat/completions", {**SAID, "model": "other"}),
    "two choices": ("/v1/chat/completions", {**SAID, "n": 2, "temperature": 1, "seed": 1}),
    "chat with logprobs": ("/v1/chat/completions", {**SAID, "logprobs": True, "top_logprobs": 2}),
    "max_completion_tokens": ("/v1/chat/completions", {**SAID, "max_tokens": None, "max_completion_tokens": 2}),
    "a message in parts": (
        "/v1/chat/completions",
        {**SAID, "messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}]},
    ),
    "structured output": ("/v1/chat/completions", {**SAID, "max_tokens": 300, "response_format": FORMAT}),
    "completion": ("/v1/completions", COMPLETION),
    "completion of tokens": (
        "/v1/completions",
        {"model": "demo", "prompt": [30, 31], "temperature": 0, "max_tokens": 3},
    ),
    "completions of a batch": (
        "/v1/completions",
        {"model": "demo", "prompt": ["hello", "a"], "temperature": 0, "max_tokens": 3},
    ),
    "response": ("/v1/responses", RESPONSE),
    "message": ("/v1/messages", SAID),
    "tokens of a message": ("/v1/messages/count_tokens", {"model": "demo", "messages": SAID["messages"]}),
    "tokenize": ("/tokenize", {"model": "demo", "prompt": "hello"}),
    "tokenize with texts": ("/tokenize", {**SAID, "return_token_strs": True}),
    "detokenize": ("/detokenize", {"model": "demo", "tokens": [60, 61]}),
}

SAME_STREAMS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {**SAID, "stream": True, "max_tokens": 24}),
    "chat with usage": ("/v1/chat/completions", {**SAID, **USAGE, "max_tokens": 24}),
    "chat with usage all along": (
        "/v1/chat/completions",
        {
            **SAID,
            "max_tokens": 24,
            "stream": True,
            "stream_options": {"include_usage": True, "continuous_usage_stats": True},
        },
    ),
    "completion": (
        "/v1/completions",
        {**COMPLETION, "max_tokens": 24, "stream": True},
    ),
    "completion with usage": (
        "/v1/completions",
        {**COMPLETION, "max_tokens": 24, **USAGE},
    ),
    "response": (
        "/v1/responses",
        {"model": "demo", "input": "hi", "temperature": 0, "max_output_tokens": 24, "stream": True},
    ),
    "message": ("/v1/messages", {**SAID, "stream": True, "max_tokens": 24}),
}

REFUSED: dict[str, tuple[str, Any]] = {
    "unknown model": ("/v1/chat/completions", {**SAID, "model": "nope"}),
    "unknown model in a completion": ("/v1/completions", {"model": "nope", "prompt": "a"}),
    "unknown model in a response": ("/v1/responses", {"model": "nope", "input": "a"}),
    "unknown model in a message": ("/v1/messages", {**SAID, "model": "nope"}),
    "no messages": ("/v1/chat/completions", {"model": "demo"}),
    "messages of another type": ("/v1/chat/completions", {**SAID, "messages": "x"}),
    "empty messages": ("/v1/chat/completions", {**SAID, "messages": []}),
    "a list for a body": ("/v1/chat/completions", []),
    "a word for a number": ("/v1/chat/completions", {**SAID, "max_tokens": "x"}),
    "no tokens": ("/v1/chat/completions", {**SAID, "max_tokens": 0}),
    "too many tokens": ("/v1/chat/completions", {**SAID, "max_tokens": LENGTH * 2}),
    "a prompt over the context": (
        "/v1/chat/completions",
        {**SAID, "messages": [{"role": "user", "content": "word " * LENGTH}]},
    ),
    "no choice": ("/v1/chat/completions", {**SAID, "n": 0}),
    "two choices of the likeliest": ("/v1/chat/completions", {**SAID, "n": 2}),
    "too hot": ("/v1/chat/completions", {**SAID, "temperature": 5}),
    "top_p over 1": ("/v1/chat/completions", {**SAID, "top_p": 5}),
    "stream options without stream": ("/v1/chat/completions", {**SAID, "stream_options": {"include_usage": True}}),
    "alternatives without logprobs": ("/v1/chat/completions", {**SAID, "top_logprobs": 3}),
    "too many alternatives": ("/v1/chat/completions", {**SAID, "logprobs": True, "top_logprobs": 300}),
    "a forced tool without tools": ("/v1/chat/completions", {**SAID, "tool_choice": "required"}),
    "no prompt": ("/v1/completions", {"model": "demo"}),
    "an empty prompt": ("/v1/completions", {"model": "demo", "prompt": ""}),
    "an empty list of prompts": ("/v1/completions", {"model": "demo", "prompt": []}),
    "no input": ("/v1/responses", {"model": "demo"}),
    "a message without max_tokens": ("/v1/messages", {"model": "demo", "messages": SAID["messages"]}),
}


@pytest.mark.parametrize("name", SAME_WHOLE)
def test_whole_answers_have_the_same_shape(chat: Pair, name: str):
    path, body = SAME_WHOLE[name]
    ours, theirs = (client.post(path, json=body) for client in chat)
    assert ours.status_code == theirs.status_code == 200, (ours.text, theirs.text)
    assert ours.headers["content-type"] == theirs.headers["content-type"]
    assert shape(ours.json()) == shape(theirs.json())
    assert endings(ours.json()) == endings(theirs.json())


@pytest.mark.parametrize("name", SAME_STREAMS)
def test_streams_have_the_same_frames(chat: Pair, name: str):
    path, body = SAME_STREAMS[name]
    ours, theirs = (client.post(path, json=body) for client in chat)
    assert ours.status_code == theirs.status_code == 200, (ours.text, theirs.text)
    assert ours.headers["content-type"] == theirs.headers["content-type"]
    assert kinds(ours.text) == kinds(theirs.text)


@pytest.mark.parametrize("name", REFUSED)
def test_bad_requests_get_the_same_error(chat: Pair, name: str):
    path, body = REFUSED[name]
    ours, theirs = (client.post(path, json=body) for client in chat)
    assert ours.status_code == theirs.status_code, (ours.text, theirs.text)
    assert shape(ours.json()) == shape(theirs.json())
    assert ours.json()["error"]["type"] == theirs.json()["error"]["type"]
    # A text that is much too long is refused by vLLM before it counts tokens.
    param = str(theirs.json()["error"].get("param")).replace("input_text", "input_tokens")
    assert str(ours.json()["error"].get("param")) == param


@pytest.mark.parametrize(
    ("content", "kind"), [(b'{"model": "demo"', "application/json"), (b"", "application/json"), (b"{}", "text/plain")]
)
def test_unreadable_bodies_get_the_same_error(chat: Pair, content: bytes, kind: str):
    headers = {"content-type": kind}
    ours, theirs = (client.post("/v1/chat/completions", content=content, headers=headers) for client in chat)
    assert ours.status_code == theirs.status_code == 400
    assert shape(ours.json()) == shape(theirs.json())


@pytest.mark.parametrize("path", ["/health", "/load", "/version", "/v1/models", "/nope", "/v1/models/demo"])
def test_questions_are_answered_alike(chat: Pair, path: str):
    ours, theirs = (client.get(path) for client in chat)
    assert ours.status_code == theirs.status_code
    assert ours.headers.get("content-type") == theirs.headers.get("content-type")
    if theirs.content:
        assert shape(ours.json()) == shape(theirs.json())


def test_the_wrong_method_is_refused_alike(chat: Pair):
    ours, theirs = (client.get("/v1/chat/completions") for client in chat)
    assert (ours.status_code, ours.json()) == (theirs.status_code, theirs.json())
    assert ours.headers["allow"] == theirs.headers["allow"]


def test_every_metric_of_the_simulator_is_one_of_vllms_with_its_labels(chat: Pair):
    for client in chat:
        client.post("/v1/chat/completions", json=SAID).raise_for_status()
    ours, theirs = (client.get("/metrics") for client in chat)
    assert ours.headers["content-type"] == theirs.headers["content-type"]
    assert series(ours.text)
    assert series(ours.text) <= series(theirs.text)


def test_every_route_of_the_simulator_is_one_of_vllms(chat: Pair):
    ours, theirs = ({*client.get("/openapi.json").json()["paths"]} for client in chat)
    # vLLM names neither these two nor, in a model that generates, the embeddings.
    assert ours - {"/metrics", "/openapi.json", "/v1/embeddings"} <= theirs


def test_a_stop_string_ends_both(chat: Pair):
    body = {**SAID, "max_tokens": 900, "stop": list("aeio"), "seed": 3, "temperature": 1}
    for client in chat:
        choice = client.post("/v1/chat/completions", json=body).json()["choices"][0]
        assert choice["finish_reason"] == "stop"
        assert choice["stop_reason"] in body["stop"]
        assert choice["stop_reason"] not in choice["message"]["content"]


def test_the_same_seed_gives_the_same_text_in_both(chat: Pair):
    body = {**SAID, "max_tokens": 20, "seed": 7, "temperature": 1}
    for client in chat:
        said = {client.post("/v1/chat/completions", json=body).json()["choices"][0]["message"]["content"] for _ in "ab"}
        assert len(said) == 1


@pytest.mark.parametrize(
    "more",
    [
        {"input": "hello"},
        {"input": ["hello", "b"]},
        {"input": ["hello", "b"], "encoding_format": "base64"},
        {"input": [[101, 7592, 102]]},
        {"input": ""},
        {"input": []},
        {"input": "hello", "model": "nope"},
        {"input": "a b " * 200},
    ],
    ids=str,
)
def test_embeddings_have_the_same_shape(embedding: Pair, more: dict[str, Any]):
    ours, theirs = (client.post("/v1/embeddings", json={"model": "demo", **more}) for client in embedding)
    assert ours.status_code == theirs.status_code
    assert shape(ours.json()) == shape(theirs.json())
    if theirs.is_success:
        first, second = (answer.json()["data"] for answer in (ours, theirs))
        assert [len(item["embedding"]) for item in first] == [len(item["embedding"]) for item in second]


def shape(value: Any) -> Any:
    """The tree of keys and types; a list is the set of its items' shapes, a number is a number, nothing is nothing."""
    if isinstance(value, dict):
        # A token that is half a character has no bytes in vLLM.
        return {key: "bytes" if key == "bytes" else shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return sorted({json.dumps(shape(item), sort_keys=True) for item in value})
    if value is None or isinstance(value, bool):
        return str(value)
    return "number" if isinstance(value, int | float) else "text"


def endings(document: dict[str, Any]) -> list[Any]:
    """Why choices and messages ended."""
    choices = [choice["finish_reason"] for choice in document.get("choices", [])]
    return [*choices, document.get("stop_reason"), document.get("status")]


def kinds(text: str) -> list[str]:
    """The frames of a stream with runs of equal shape taken together, so that the number of chunks does not matter.

    A delta's last chunk may come without text in vLLM (half a character); then it is like one with text here.
    """
    assert text.endswith("\n\n")
    frames = []
    for block in text.removesuffix("\n\n").split("\n\n"):
        *names, data = block.split("\n")
        assert data.startswith("data: ")
        payload = data.removeprefix("data: ")
        document = shape(_without_gaps(json.loads(payload))) if payload != "[DONE]" else payload
        frames.append(json.dumps([names, document, _roles(payload)], sort_keys=True))
    return [frame for number, frame in enumerate(frames) if number == 0 or frame != frames[number - 1]]


def _without_gaps(document: dict[str, Any]) -> dict[str, Any]:
    for choice in document.get("choices", []):
        if choice.get("delta") == {}:
            choice["delta"] = {"content": ""}
    return document


def _roles(payload: str) -> list[Any]:
    if payload == "[DONE]":
        return []
    choices = json.loads(payload).get("choices", [])
    return [[choice.get("delta", {}).get("role"), choice["finish_reason"]] for choice in choices]


def series(text: str) -> set[tuple[str, tuple[str, ...]]]:
    """Names of series and the names of their labels."""
    found = set()
    for line in text.splitlines():
        if match := re.fullmatch(r"(vllm:\w+)\{(.*)\} \S+", line):
            labels = tuple(sorted(re.findall(r'(\w+)="', match[2])))
            found.add((match[1], labels))
    return found
