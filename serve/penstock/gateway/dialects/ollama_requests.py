"""Ollama's requests in OpenAI's words. Pure; used by `dialects.ollama`.

Ollama streams unless told not to, names a model's parameters in `options`, and puts pictures beside a message's text.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from penstock.gateway.errors import BadRequestError

CHAT: Final = "/v1/chat/completions"
COMPLETIONS: Final = "/v1/completions"
EMBEDDINGS: Final = "/v1/embeddings"
TOKENIZE: Final = "/tokenize"

_OPTIONS: Final = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "seed": "seed",
    "stop": "stop",
    "repeat_penalty": "repetition_penalty",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
}
"""The others are of how llama.cpp is run, which the document decides here."""

_PICTURES: Final = (("iVBOR", "png"), ("R0lGOD", "gif"), ("UklGR", "webp"))
"""How files begin in Base64."""


def streams(document: dict[str, Any]) -> bool:
    """Whether a stream is wanted."""
    return document.get("stream") is not False


def is_load(document: dict[str, Any], *, chat: bool) -> bool:
    """Whether the model is only to be loaded: nothing is asked of it."""
    return not document.get("messages" if chat else "prompt") and not (not chat and document.get("images"))


def load_request(document: dict[str, Any]) -> dict[str, Any]:
    """A request that wakes the model and makes no token. Raises BadRequestError where it is to be unloaded."""
    if document.get("keep_alive") in (0, "0", "0s"):
        raise BadRequestError(
            "Models are not unloaded by clients here: how many replicas run follows from the load, as the document's"
            " `replicas` says.",
            param="keep_alive",
        )
    return {"model": model_of(document), "prompt": " "}


def model_of(document: dict[str, Any]) -> Any:
    """The model's name, which has two names itself."""
    return document.get("model") if document.get("model") is not None else document.get("name")


def chat_request(document: dict[str, Any]) -> dict[str, Any]:
    """Of `/api/chat`. Raises BadRequestError."""
    return {**_common(document), "messages": _messages(document.get("messages")), **_tools(document)}


def generate_request(document: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Of `/api/generate`: the path that answers it, and its body. Raises BadRequestError."""
    prompt = document.get("prompt")
    if document.get("raw") is True or document.get("suffix"):
        suffix = {"suffix": document["suffix"]} if document.get("suffix") else {}
        return COMPLETIONS, {**_common(document), "prompt": prompt, **suffix}
    system = [{"role": "system", "content": document["system"]}] if document.get("system") else []
    question = _message({"role": "user", "content": prompt, "images": document.get("images")}, [])
    return CHAT, {**_common(document), "messages": [*system, question]}


def embedding_request(document: dict[str, Any]) -> dict[str, Any]:
    """Of `/api/embed`, and of `/api/embeddings`, which has a prompt for the input."""
    given = document.get("input") if document.get("input") is not None else document.get("prompt")
    made = {"model": model_of(document), "input": given, "encoding_format": "float"}
    if document.get("dimensions"):
        made["dimensions"] = document["dimensions"]
    if document.get("truncate") is not False:
        # As long as the model can read.
        made["truncate_prompt_tokens"] = -1
    return made


def _common(document: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"model": model_of(document)}
    if streams(document):
        made |= {"stream": True, "stream_options": {"include_usage": True}}
    options = document.get("options") or {}
    if not isinstance(options, dict):
        raise BadRequestError("'options' is an object of a model's parameters.", param="options")
    made |= {ours: options[theirs] for theirs, ours in _OPTIONS.items() if options.get(theirs) is not None}
    most = options.get("num_predict")
    # Below 0 they mean without an end.
    if isinstance(most, int) and most >= 0:
        made["max_tokens"] = most
    return {**made, **_format(document.get("format")), **_thinking(document.get("think"))}


def _format(wanted: Any) -> dict[str, Any]:
    if wanted == "json":
        return {"response_format": {"type": "json_object"}}
    if isinstance(wanted, dict):
        return {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": wanted}}}
    return {}


def _thinking(wanted: Any) -> dict[str, Any]:
    if isinstance(wanted, bool):
        return {"chat_template_kwargs": {"enable_thinking": wanted}}
    return {"reasoning_effort": wanted} if wanted else {}


def _tools(document: dict[str, Any]) -> dict[str, Any]:
    return {"tools": document["tools"]} if document.get("tools") else {}


def _messages(given: Any) -> list[dict[str, Any]]:
    if not isinstance(given, list) or not all(isinstance(message, dict) for message in given):
        raise BadRequestError("'messages' is a list of objects with 'role' and 'content'.", param="messages")
    calls: list[tuple[str, Any]] = []
    return [_message(message, calls) for message in given]


def _message(message: dict[str, Any], calls: list[tuple[str, Any]]) -> dict[str, Any]:
    """One message.

    Args:
        calls: ids and names of tools that were called and have not answered; changed as messages pass.
    """
    made: dict[str, Any] = {"role": message.get("role"), "content": message.get("content") or ""}
    if pictures := message.get("images"):
        text = [{"type": "text", "text": made["content"]}] if made["content"] else []
        made["content"] = [*text, *map(_picture, pictures)]
    if given := message.get("tool_calls"):
        made["tool_calls"] = [_tool_call(call, len(calls) + number) for number, call in enumerate(given)]
        calls += [(call["id"], call["function"]["name"]) for call in made["tool_calls"]]
    if message.get("role") == "tool":
        made["tool_call_id"] = message.get("tool_call_id") or _answered(message.get("tool_name"), calls)
    return made


def _picture(encoded: Any) -> dict[str, Any]:
    kind = next((kind for beginning, kind in _PICTURES if str(encoded).startswith(beginning)), "jpeg")
    return {"type": "image_url", "image_url": {"url": f"data:image/{kind};base64,{encoded}"}}


def _tool_call(call: Any, number: int) -> dict[str, Any]:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        raise BadRequestError("A tool call is an object with 'function': its 'name' and 'arguments'.", param="messages")
    arguments = function.get("arguments")
    text = arguments if isinstance(arguments, str) else orjson.dumps(arguments or {}).decode()
    named = {"name": function.get("name"), "arguments": text}
    return {"id": call.get("id") or f"call_{number}", "type": "function", "function": named}


def _answered(name: Any, calls: list[tuple[str, Any]]) -> str:
    """The id of the call that a tool answers: the first of its name, or the first."""
    fitting = [call for call in calls if call[1] == name] or calls
    if not fitting:
        return "call_0"
    answered = fitting[0]
    calls.remove(answered)
    return answered[0]
