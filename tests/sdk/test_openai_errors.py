"""What is wrong with a request arrives as the class of OpenAI's SDK that its users catch, and says what to do."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from openai import OpenAI

from support.deployments import CHAT, EMBEDDING, Deployment

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]

QUESTION: list[Any] = [{"role": "user", "content": "What is the capital of France?"}]


def _body(error: openai.APIStatusError) -> dict[str, Any]:
    assert isinstance(error.body, dict), error.response.text
    assert {"message", "type", "param", "code"} <= set(error.body), "OpenAI's error object"
    assert error.request_id
    return error.body


def test_an_unknown_model_is_not_found_and_the_nearest_name_is_told(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="dmeo", messages=QUESTION)
    body = _body(caught.value)
    assert body["code"] == "model_not_found"
    assert body["param"] == "model"
    assert "Did you mean 'demo'?" in body["message"]
    assert EMBEDDING in body["message"]


def test_an_unknown_model_is_not_found_in_the_list_either(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("gpt-4o")
    assert _body(caught.value)["code"] == "model_not_found"


def test_an_unknown_path_is_not_found(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.images.generate(model=CHAT, prompt="a penstock")
    assert _body(caught.value)["code"] == "unknown_url"


@pytest.mark.parametrize(
    ("parameters", "word"),
    [
        ({"temperature": -1}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": 2}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"n": 0}, "n"),
        ({"messages": "hello"}, "messages"),
        ({"messages": [{"role": "user", "content": 7}]}, "content"),
        ({"tool_choice": {"type": "function", "function": {"name": "absent"}}}, "tool"),
        ({"response_format": {"type": "json_schema"}}, "json_schema"),
    ],
    ids=lambda value: str(value)[:50] if isinstance(value, dict) else None,
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_wrong_parameter_is_a_bad_request_that_names_it(
    client: OpenAI, parameters: dict[str, Any], word: str, stream: bool
) -> None:
    asked: dict[str, Any] = {"model": CHAT, "messages": QUESTION, "stream": stream, **parameters}
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**asked)
    assert word in str(_body(caught.value))


TOO_MANY: dict[str, Any] = {"model": CHAT, "messages": QUESTION, "logprobs": True, "top_logprobs": 500}


def test_what_the_engine_finds_wrong_late_is_a_bad_request_too(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="logprobs"):
        client.chat.completions.create(**TOO_MANY)


def test_what_the_engine_finds_wrong_after_a_stream_began_is_raised_while_it_is_read(client: OpenAI) -> None:
    with pytest.raises(openai.APIError, match="logprobs"):
        list(client.chat.completions.create(**TOO_MANY, stream=True))


def test_a_text_longer_than_the_context_is_a_bad_request_with_both_numbers(client: OpenAI) -> None:
    long: list[Any] = [{"role": "user", "content": "water " * 3000}]
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=CHAT, messages=long)
    assert "1024" in _body(caught.value)["message"]


def test_an_answer_longer_than_the_context_is_a_bad_request(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=CHAT, messages=QUESTION, max_completion_tokens=100_000)
    assert "1024" in _body(caught.value)["message"]


def test_a_text_too_long_to_embed_is_a_bad_request(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.embeddings.create(model=EMBEDDING, input="water " * 500)
    assert "128" in _body(caught.value)["message"]


def test_an_embedding_model_does_not_chat_and_says_what_it_does(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=EMBEDDING, messages=QUESTION)
    body = _body(caught.value)
    assert body["code"] == "endpoint_not_supported"
    assert "/v1/embeddings" in body["message"]


def test_a_chat_model_does_not_embed(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.embeddings.create(model=CHAT, input="x")
    assert _body(caught.value)["code"] == "endpoint_not_supported"


def test_a_body_over_the_limit_is_refused_as_too_large(client: OpenAI) -> None:
    large: list[Any] = [{"role": "user", "content": "x" * (40 * 2**20)}]
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model=CHAT, messages=large)
    assert caught.value.status_code == 413
    assert _body(caught.value)["code"] == "request_too_large"


def test_no_address_is_a_connection_error(running_penstock: Deployment) -> None:
    """What a client sees where nothing listens: its own error, not ours; here so that the classes are all named."""
    with (
        OpenAI(base_url="http://127.0.0.1:9/v1", api_key="none", max_retries=0, timeout=5) as nowhere,
        pytest.raises(openai.APIConnectionError),
    ):
        nowhere.models.list()


def test_after_all_these_errors_it_still_answers(client: OpenAI) -> None:
    for _ in range(3):
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(model=CHAT, messages=[], temperature=-1)
        completion = client.chat.completions.create(model=CHAT, messages=QUESTION, temperature=0)
        assert completion.choices[0].message.content == "The capital of France is Paris."
