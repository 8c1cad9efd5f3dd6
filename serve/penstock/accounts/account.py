"""What a key stands for: whose it is and what it may do. Pure; handed through the gateway with a request."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from penstock.config.grants import PROVIDER_GRANT, Role
from penstock.config.limits import KeyLimits

EVERYTHING = "*"


@dataclass(frozen=True, slots=True)
class Account:
    """One key, without the key."""

    id: str
    """Public: it may stand in logs."""
    name: str
    owner: str
    """The team."""
    models: tuple[str, ...] = (EVERYTHING,)
    """Patterns of served names and aliases, and of providers: `provider:openai`."""
    roles: frozenset[Role] = frozenset(["user"])
    disabled: bool = False
    until: float | None = None
    """When it ends, in seconds since the epoch."""
    limits: KeyLimits | None = None
    """Its own; None where it has those of every key."""

    def refusal_at(self, now: float) -> str | None:
        """Why it may not be used at a time: `disabled` or `expired`; None where it may."""
        if self.disabled:
            return "disabled"
        return "expired" if self.until is not None and now >= self.until else None

    def may_use(self, asked: str, model: str) -> bool:
        """Whether it may use a model.

        Args:
            asked: the name that the client uses: the model's own, or an alias.
            model: the model's own name.

        A pattern that fits either is enough: `qwen*` allows the model under all its names, while `default` allows
        whatever stands behind that alias, under that alias.
        """
        return any(pattern == EVERYTHING or _fits(pattern, asked) or _fits(pattern, model) for pattern in self.models)

    def may_use_provider(self, provider: str) -> bool:
        """Whether its requests may leave for a provider. No pattern of models says so: a key that may use everything
        here has not thereby agreed to send anything elsewhere."""
        return any(
            pattern.startswith(PROVIDER_GRANT) and _fits(pattern[len(PROVIDER_GRANT) :], provider)
            for pattern in self.models
        )


ANONYMOUS = Account(id="anonymous", name="anonymous", owner="anonymous")
"""Who calls without a key, where that is allowed."""


def earliest(moments: Iterable[float | None]) -> float | None:
    """The first of some ends; None where none of them ends."""
    return min((moment for moment in moments if moment is not None), default=None)


def _fits(pattern: str, name: str) -> bool:
    return _compiled(pattern).match(name) is not None


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    # Patterns hold no brackets, so * and ? are all that fnmatch sees in them. Its regular expressions do not backtrack.
    return re.compile(fnmatch.translate(pattern))
