"""Ids, fingerprints and usage objects that all routes have in common."""

from __future__ import annotations

import re
import secrets
from typing import Any

import penstock
from penstock.simulator.asgi import Exchange

FINGERPRINT = f"simulator-{penstock.__version__}"

_HARMLESS = re.compile(rb"[\w.:-]{1,128}", re.ASCII)


def new_id(prefix: str, exchange: Exchange | None = None) -> str:
    """`chatcmpl-…`; from the request's `x-request-id` where there is one, as in vLLM."""
    given = exchange.header(b"x-request-id") if exchange else None
    tail = given.decode() if given and _HARMLESS.fullmatch(given) else secrets.token_hex(8)
    return f"{prefix}-{tail}"


def usage(prompt: int, completion: int) -> dict[str, int]:
    """OpenAI's usage, as it stands in streams."""
    return {"prompt_tokens": prompt, "total_tokens": prompt + completion, "completion_tokens": completion}


def full_usage(prompt: int, completion: int) -> dict[str, Any]:
    """OpenAI's usage, as it stands in whole answers."""
    return {**usage(prompt, completion), "prompt_tokens_details": None, "completion_tokens_details": None}
