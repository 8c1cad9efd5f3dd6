"""The pure parts of dialects: events, requests, answers, errors, paths."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.gateway.dialects import azure, ollama_requests, paths, serverless
from penstock.gateway.dialects.errors import translated
from penstock.gateway.dialects.events import Events
from penstock.gateway.dialects.ollama_answers import Talk
from penstock.gateway.dialects.ollama_models import capabilities
from penstock.gateway.errors import BadRequestError
from penstock.gateway.routes import dialect_of

TOOL = {"id": "c1", "function": {"name": "weather", "arguments": {"city": "Paris"}}}


@given(
    st.lists(st.binary(max_size=20).map(lambda data: data.replace(b"\n", b"").replace(b"\r", b"").strip()), max_size=6),
    st.lists(st.integers(0, 400)),
    st.sampled_from([b"\n", b"\r\n"]),
)
def test_events_are_the_same_however_their_bytes_are_cut(datas: list[bytes], cuts: list[int], end: bytes) -> None:
    stream = b": a comment" + end * 2 + b"".join(b"event: x%bdata: %b%b" % (end, data, end * 2) for data in datas)
    edges = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    events = Events()
    found = [data for start, stop in pairwise(edges) for data in events.feed(stream[start:stop])]
    assert found == datas


def test_an_event_of_several_lines_is_one() -> None:
    assert Events().feed(b'data: {\ndata:"a": 1}\n\n') == [b'{\n"a": 1}']


@pytest.mark.parametrize(
    ("path", "whose"),
    [
        ("/v1/chat/completions", "openai"),
        ("/v1/messages", "anthropic"),
        ("/openai/v1/models", "azure"),
        ("/openai", "openai"),
        ("/api/v1/ai/chat/completions", "serverless"),
        ("/api/chat", "ollama"),
        ("/nothing", "openai"),
    ],
)
def test_a_path_says_whose_errors_its_clients_read(path: str, whose: str) -> None:
    assert dialect_of(path) == whose


def test_every_path_of_a_dialect_is_its_own() -> None:
    assert {paths.foreign(path) for path in paths.AZURE} == {"azure"}
    assert {paths.foreign(path) for path in paths.SERVERLESS} == {"serverless"}
    assert {paths.foreign(path) for path in paths.OLLAMA} == {"ollama"}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/openai/deployments/demo/chat/completions", ("demo", "/chat/completions")),
        ("/openai/deployments/org/demo/completions", ("org/demo", "/completions")),
        ("/openai/deployments//embeddings", None),
        ("/openai/deployments/demo/images", None),
        ("/openai/chat/completions", None),
    ],
)
def test_a_deployment_is_read_of_a_path(path: str, found: tuple[str, str] | None) -> None:
    assert azure.deployment_of(path) == found


def test_a_body_keeps_its_bytes_where_the_deployment_is_its_model() -> None:
    assert azure.of_deployment({"model": "a"}, b'{ "model":"a"}', "a") == b'{ "model":"a"}'
    assert azure.of_deployment({"x": 1}, b'{ "x":1e0}', "a") == b'{"model":"a", "x":1e0}'
    assert azure.of_deployment({"model": "b"}, b'{"model":"b"}', "a") == b'{"model":"a"}'
    assert azure.of_deployment({}, b"{ }", "a") == b'{"model":"a"}'


@pytest.mark.parametrize(
    ("status", "code", "azures"),
    [(404, "model_not_found", "DeploymentNotFound"), (401, "invalid_api_key", "401"), (429, "queue_full", "429")],
)
def test_azure_has_codes_of_its_own(status: int, code: str, azures: str) -> None:
    assert translated("azure", status, {"message": "m", "code": code})["error"]["code"] == azures
    assert translated("azure", 400, {"message": "m", "code": "x"})["error"]["code"] == "x"


def test_camel_case_is_renamed_and_everything_else_stays() -> None:
    given: dict[str, Any] = {"maxTokens": 1, "topP": 2, "n": 3, "responseFormat": {"jsonSchema": {"keepThis": 1}}}
    assert serverless.openai_request(given, "chat/completions") == (
        {"max_tokens": 1, "top_p": 2, "n": 3, "response_format": {"json_schema": {"keepThis": 1}}},
        False,
    )


@pytest.mark.parametrize("options", [3, "x", []])
def test_wrong_options_of_a_stream_are_left_to_the_engine(options: Any) -> None:
    made, ends = serverless.openai_request({"stream": True, "stream_options": options}, "chat/completions")
    assert (made["stream_options"], ends) == (options, False)


def test_a_stream_without_usage_in_its_chunks_ends_with_it() -> None:
    envelope = serverless.Envelope()
    chunks = [{"choices": [{"delta": {}}]}, {"choices": [], "usage": {"total_tokens": 3}}]
    shown = envelope.feed(b"".join(b"data: " + orjson.dumps(chunk) + b"\n\n" for chunk in chunks))
    first, last = [orjson.loads(event.partition(b"data: ")[2]) for event in shown.split(b"\n\n")[:-1]]
    assert (first["usage"], last["usage"]) == (None, {"total_tokens": 3})


def test_an_error_in_a_stream_is_each_dialects() -> None:
    event = b'data: {"error":{"message":"cut","code":"engine_stream_interrupted"}}\n\n'
    said = orjson.loads(serverless.Envelope().feed(event).partition(b"data: ")[2])
    assert (said["code"], said["msg"]) == (500, "cut")
    assert Talk("demo", chat=True).feed(event) == b'{"error":"cut"}\n'


def test_options_of_ollama_are_parameters() -> None:
    made = ollama_requests.chat_request(
        {
            "model": "demo",
            "messages": [],
            "stream": False,
            "format": "json",
            "think": "high",
            "options": {"num_predict": 5, "repeat_penalty": 1.1, "num_ctx": 4096, "stop": ["x"], "seed": None},
        }
    )
    assert made == {
        "model": "demo",
        "messages": [],
        "max_tokens": 5,
        "repetition_penalty": 1.1,
        "stop": ["x"],
        "response_format": {"type": "json_object"},
        "reasoning_effort": "high",
    }
    endless = ollama_requests.chat_request({"name": "demo", "messages": [], "options": {"num_predict": -1}})
    assert "max_tokens" not in endless
    assert (endless["model"], endless["stream"]) == ("demo", True)
    assert ollama_requests.chat_request({"messages": [], "think": False})["chat_template_kwargs"] == {
        "enable_thinking": False
    }


def test_pictures_stand_in_a_message() -> None:
    _, made = ollama_requests.generate_request({"prompt": "What?", "system": "Be brief.", "images": ["iVBORx", "/9j/"]})
    system, question = made["messages"]
    assert system == {"role": "system", "content": "Be brief."}
    urls = [part["image_url"]["url"] for part in question["content"][1:]]
    assert urls == ["data:image/png;base64,iVBORx", "data:image/jpeg;base64,/9j/"]


def test_tools_answer_the_calls_that_were_made() -> None:
    calls = [{"function": {"name": "time"}}, {"function": {"name": "weather", "arguments": {"city": "Paris"}}}]
    made = ollama_requests.chat_request(
        {
            "messages": [
                {"role": "assistant", "tool_calls": calls},
                {"role": "tool", "tool_name": "weather", "content": "sunny"},
                {"role": "tool", "content": "12:00"},
                {"role": "tool", "content": "nobody asked"},
            ],
            "tools": [{"type": "function"}],
        }
    )
    assistant, weather, time, other = made["messages"]
    assert [call["id"] for call in assistant["tool_calls"]] == ["call_0", "call_1"]
    assert assistant["tool_calls"][1]["function"]["arguments"] == '{"city":"Paris"}'
    assert (weather["tool_call_id"], time["tool_call_id"]) == ("call_1", "call_0")
    assert other["tool_call_id"] == "call_0"
    assert made["tools"] == [{"type": "function"}]


@pytest.mark.parametrize("wrong", [{"messages": [{"tool_calls": [3]}]}, {"messages": [], "options": 3}, {}])
def test_what_ollama_would_not_read_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadRequestError):
        ollama_requests.chat_request(wrong)


def test_text_with_something_behind_it_is_completed() -> None:
    path, made = ollama_requests.generate_request({"model": "demo", "prompt": "a", "suffix": "c", "stream": False})
    assert (path, made) == ("/v1/completions", {"model": "demo", "prompt": "a", "suffix": "c"})


def test_an_embedding_is_cut_to_what_the_model_reads_unless_told_not_to() -> None:
    assert ollama_requests.embedding_request({"input": "a"})["truncate_prompt_tokens"] == -1
    whole = ollama_requests.embedding_request({"input": "a", "truncate": False, "dimensions": 4})
    assert (whole.get("truncate_prompt_tokens"), whole["dimensions"]) == (None, 4)


def _chunk(**delta: Any) -> bytes:
    return b"data: " + orjson.dumps({"choices": [{"delta": delta}]}) + b"\n\n"


def test_calls_of_tools_come_whole_at_the_end_of_a_stream() -> None:
    talk = Talk("demo", chat=True)
    start = {"index": 0, "id": "c1", "function": {"name": "weather", "arguments": '{"city":'}}
    assert talk.feed(_chunk(role="assistant") + _chunk(tool_calls=[start])) == b""
    assert talk.feed(_chunk(tool_calls=[{"index": 0, "function": {"arguments": '"Paris"}'}}])) == b""
    end = b'data: {"choices":[{"delta":{},"finish_reason":"tool_calls"}]}\n\ndata: [DONE]\n\n'
    calls, last = [orjson.loads(line) for line in talk.feed(end).splitlines()]
    assert calls["message"]["tool_calls"] == [TOOL]
    assert (last["done"], last["done_reason"], last["message"].get("tool_calls")) == (True, "stop", None)


def test_calls_of_tools_come_with_a_whole_answer() -> None:
    function = {"name": "weather", "arguments": '{"city":"Paris"}'}
    message = {"content": None, "tool_calls": [{"id": "c1", "function": function}]}
    made = Talk("demo", chat=True).whole({"choices": [{"message": message, "finish_reason": "tool_calls"}]})
    assert made["message"] == {"role": "assistant", "content": "", "tool_calls": [TOOL]}
    function["arguments"] = '{"city":'
    cut = Talk("demo", chat=True).whole({"choices": [{"message": message, "finish_reason": "length"}]})
    assert cut["message"]["tool_calls"][0]["function"]["arguments"] == {}


def test_thoughts_stand_apart() -> None:
    (line,) = Talk("demo", chat=True).feed(_chunk(reasoning_content="hm")).splitlines()
    assert orjson.loads(line)["message"]["thinking"] == "hm"
    whole = Talk("demo", chat=False).whole({"choices": [{"message": {"content": "a", "reasoning": "hm"}}]})
    assert (whole["response"], whole["thinking"]) == ("a", "hm")


def test_a_model_can_do_what_its_engine_offers() -> None:
    assert capabilities(frozenset({"/v1/embeddings"})) == ["embedding"]
    assert capabilities(frozenset()) == ["completion", "tools"]
