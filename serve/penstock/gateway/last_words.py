"""What an engine says that is dead already. Pure; used by `relay`.

vLLM's server outlives the core of its engine for a moment, and answers with an error all that the core had in its hands
and all that still comes. To a client that is an error of its request; to us it is an engine that died with it.
"""

from __future__ import annotations

import re
from typing import Final

_OPENINGS: Final = (b'{"error"', b'data: {"error"', b"event: error")
_DEAD: Final = re.compile(rb'"message": ?"EngineCore encountered an issue')
_FAR_ENOUGH = 512


def are_last_words(opening: bytes) -> bool:
    """Whether the first bytes of a body, an error's or a stream's, say that the engine's core is dead."""
    return opening.startswith(_OPENINGS) and _DEAD.search(opening[:_FAR_ENOUGH]) is not None
