"""Which model is meant by a name that no model has to the letter, as users of other servers write names. Pure; used by
`catalog` where the document allows it (`gateway.modelNames`).

`Qwen2.5:7b` is Ollama's way, `qwen2.5-7b-instruct` LM Studio's, `Qwen/Qwen2.5-7B-Instruct` the hub's. What fits two
models is none's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_LATEST: Final = ":latest"
_SEPARATORS: Final = re.compile(r"[-_:\s]+")
_FILE_FORMS: Final = re.compile(r"[-_](?:gguf|mlx|hf)$")
_TUNED: Final = re.compile(r"[-_](?:instruct|chat|it)$")
"""What other servers leave out of a name: there the tuned model is the usual one."""


def meant(asked: str, known: Iterable[tuple[str, str]]) -> str | None:
    """The model that a name stands for; None where that is none, or more than one.

    Args:
        known: names, aliases and repositories, each with its model.
    """
    spellings = [(spelling.casefold(), model) for spelling, model in known]
    name = asked.casefold().removesuffix(_LATEST)
    # From the surest to the least sure; the first that finds something decides.
    for fits in (_is_equal, _is_last_part, _reads_alike):
        found = {model for spelling, model in spellings if fits(name, spelling)}
        if found:
            return found.pop() if len(found) == 1 else None
    return None


def _is_equal(name: str, spelling: str) -> bool:
    return name == spelling.removesuffix(_LATEST)


def _is_last_part(name: str, spelling: str) -> bool:
    """Whether they are equal but for an organisation before one of them."""
    return name == _last(spelling) or _last(name) == spelling


def _reads_alike(name: str, spelling: str) -> bool:
    if "/" in name and "/" in spelling and name.partition("/")[0] != spelling.partition("/")[0]:
        return False
    plain = _FILE_FORMS.sub("", _last(spelling))
    return _squashed(_FILE_FORMS.sub("", _last(name))) in (_squashed(plain), _squashed(_TUNED.sub("", plain)))


def _last(name: str) -> str:
    return name.rpartition("/")[2]


def _squashed(name: str) -> str:
    return _SEPARATORS.sub("", name)
