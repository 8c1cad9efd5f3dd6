"""Which requests may be answered from the cache, and which of them are equal. Pure; used by `caching`.

Two requests are equal where an engine cannot tell them apart: the order of keys, space between tokens and the way a
character is escaped do not matter, nor what only accounting and logs read. All else does, the name under which the
model is asked for too, because answers repeat it. The form of the answer is part of it: a stream is not made of a whole
answer, nor the other way round, because bytes are relayed and not rebuilt.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

SAMPLING: Final = frozenset({"/v1/chat/completions", "/v1/completions", "/v1/messages"})
"""Endpoints whose answers are sampled. `/v1/responses` is not among them: later requests refer to them by their ids."""

COMPUTED: Final = frozenset(
    {
        "/v1/embeddings",
        "/v1/rerank",
        "/rerank",
        "/v2/rerank",
        "/v1/score",
        "/score",
        "/tokenize",
        "/detokenize",
        "/v1/messages/count_tokens",
    }
)
"""Endpoints whose answers follow from the request and the weights alone."""

_SAYS_NOTHING: Final = frozenset(
    {"user", "metadata", "safety_identifier", "prompt_cache_key", "request_id", "priority"}
)
"""What engines do not answer to. `cache_salt` is not among them: who gives one wants to share nothing."""

_RANDOM_SEED: Final = -1
"""To vLLM this is no seed."""


def canonical(path: str, body: bytes, *, sampled: bool = False) -> bytes | None:
    """The form that is the same for all equal requests; None where the answer is not to be kept.

    Args:
        path: the engine's, without its query.
        body: JSON of an object.
        sampled: whether answers that chance decides are kept too.
    """
    if path not in SAMPLING and path not in COMPUTED:
        return None
    try:
        # Not orjson: it makes one number of many where they are too long, and an answer would be another's.
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or (path in SAMPLING and not (sampled or is_determined(document))):
        return None
    told = {name: value for name, value in document.items() if name not in _SAYS_NOTHING and name != "stream_options"}
    told["stream"] = document.get("stream") is True
    if told["stream"] and (options := _options(document.get("stream_options"))):
        told["stream_options"] = options
    return json.dumps(told, sort_keys=True, separators=(",", ":")).encode()


def is_determined(document: dict[str, Any]) -> bool:
    """Whether chance has no part in the one answer that is asked for: temperature 0, or a seed."""
    if any(document.get(name) not in (None, 1) or document.get(name) is True for name in ("n", "best_of")):
        return False
    temperature, seed = document.get("temperature"), document.get("seed")
    if _is_number(temperature) and temperature == 0:
        return True
    return type(seed) is int and seed != _RANDOM_SEED


def key_of(form: bytes, *, path: str, query: bytes, model: str, identity: str | None, tenant: str | None) -> str:
    """The name of an answer, in hexadecimal digits. It tells nothing of the request.

    Args:
        form: of `canonical`.
        model: the model's own name.
        identity: what its replicas were told to run; None where that is not one thing.
        tenant: the team; None for those without a key.
    """
    digest = hashlib.sha256()
    for part in (path.encode(), query, model.encode(), _known(identity), _known(tenant), form):
        # Lengths keep two parts from being read as two others.
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.hexdigest()


def _known(text: str | None) -> bytes:
    return b"" if text is None else b"=" + text.encode()


def _options(options: Any) -> Any:
    """Options of a stream, without those that say what is so without them."""
    if not isinstance(options, dict):
        return options
    usual = {"include_usage": False, "continuous_usage_stats": False}
    return {name: value for name, value in options.items() if value is not None and value is not usual.get(name)}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
