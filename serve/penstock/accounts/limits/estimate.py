"""How many tokens a request may take, before anybody counted them. Pure; used by the gateway's `admission`."""

from __future__ import annotations

from typing import Final

BYTES_PER_TOKEN: Final = 4
"""Of JSON with English text. What tokenizers make of other languages, of code and of pictures is settled when the
engine has counted."""

USUAL_ANSWER: Final = 512
"""Tokens of an answer whose request does not say how many it may have."""


def estimate(body_size: int, most: int | None, answers: int = 1) -> int:
    """Tokens of a prompt and its answers.

    Args:
        body_size: bytes of the request's body.
        most: tokens that each answer may have, as the request says; None where it does not.
        answers: that it asks for.
    """
    return -(-body_size // BYTES_PER_TOKEN) + (USUAL_ANSWER if most is None else most) * answers
