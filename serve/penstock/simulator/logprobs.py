"""Made-up log probabilities in OpenAI's two shapes: one for chat, one for completions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from penstock.simulator.words import made_up

_LIKELY = -0.25
"""Of the token that was taken; each alternative is a little less likely."""


def of_chat(pieces: Sequence[str], top: int) -> dict[str, Any]:
    """`logprobs` of a chat choice."""
    return {"content": [{**_entry(piece, _LIKELY), "top_logprobs": _alternatives(piece, top)} for piece in pieces]}


def of_completion(pieces: Sequence[str], top: int, *, offset: int = 0) -> dict[str, Any]:
    """`logprobs` of a completion choice whose text begins at `offset`."""
    offsets: list[int] = []
    for piece in pieces:
        offsets.append(offset)
        offset += len(piece)
    alternatives = [_alternatives(piece, max(top, 1)) for piece in pieces]
    return {
        "text_offset": offsets,
        "token_logprobs": [_LIKELY] * len(pieces),
        "tokens": list(pieces),
        "top_logprobs": [{entry["token"]: entry["logprob"] for entry in entries} for entries in alternatives],
    }


def _alternatives(piece: str, top: int) -> list[dict[str, Any]]:
    others = made_up(piece.encode(), top)[1:] if top > 1 else []
    return [_entry(word, _LIKELY - rank) for rank, word in enumerate([piece, *others][:top])]


def _entry(token: str, logprob: float) -> dict[str, Any]:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}
