"""Why a request is not let in, by what its sender must do.

Exception
├── OverLimitError      a limit is reached; wait
└── CountersGoneError   nobody can tell whether a limit is reached; try again (`counters`)
"""

from __future__ import annotations

from penstock.accounts.limits.rules import Rule
from penstock.accounts.limits.standing import Standing


class OverLimitError(Exception):
    """A limit is reached.

    Args:
        rule: the limit, the one that lasts longest where there are several.
        wait: seconds until there is room; None where nobody knows.
        standing: how the limits stand.
    """

    def __init__(self, rule: Rule, wait: float | None, standing: Standing) -> None:
        super().__init__(f"{rule.scope} {rule.who}: {rule.name}")
        self.rule = rule
        self.wait = wait
        self.standing = standing
