"""`accounts.limits`: how much keys, teams and models may take, what tokens cost, and where it is counted."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from penstock.config.base import Section
from penstock.config.models import ModelName
from penstock.config.owners import Owner
from penstock.config.weights import SecretFrom

MOST = 10**12
"""Counters are exact up to 2^53 in Redis' scripts, also where they hold billionths of a unit of money."""
MOST_MONEY = 10**6

Count = Annotated[int, Field(ge=1, le=MOST)]
Money = Annotated[float, Field(gt=0, le=MOST_MONEY, allow_inf_nan=False)]


class Limits(Section):
    """How much somebody may take. What is not given is not limited. Days and months are those of UTC."""

    requests_per_minute: Count | None = None
    """Requests within any minute."""

    tokens_per_minute: Count | None = None
    """Tokens within any minute, of prompts and answers. A request is let in by an estimate: a token for each four
    bytes of its body, and as many more as it says that its answer may have. What it really took counts in the end."""

    requests_at_once: Count | None = None
    """Requests in progress, those that wait for a replica counted in."""

    tokens_per_day: Count | None = None
    """Tokens in a day. Counted when a request is over, so those in progress when it is reached are finished."""

    tokens_per_month: Count | None = None
    """The same in a month."""

    money_per_day: Money | None = None
    """What the tokens of a day cost, by `accounts.limits.prices`. Counted as `tokensPerDay` is."""

    money_per_month: Money | None = None
    """The same in a month."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is limited."""
        return all(getattr(self, name) is None for name in Limits.model_fields)


class KeyLimits(Limits):
    """How much a key may take, and its part of what there is too little of."""

    share: int = Field(default=1, ge=1, le=100)
    """Where requests wait for a replica, keys are served in turn: so many of this one at each turn."""


class Price(Section):
    """What tokens of a model cost, in whatever money the budgets are in, per million."""

    prompt: float = Field(default=0.0, ge=0, le=MOST_MONEY, allow_inf_nan=False)
    """A million tokens of prompts."""

    completion: float = Field(default=0.0, ge=0, le=MOST_MONEY, allow_inf_nan=False)
    """A million tokens of answers."""

    cached: float | None = Field(default=None, ge=0, le=MOST_MONEY, allow_inf_nan=False)
    """A million tokens of prompts that the engine had in its cache. Default: as `prompt`."""


class LimitSettings(Section):
    """How much keys, teams and models may take. A request must fit all limits that concern it. Limits of one key stand
    with the key."""

    every_key: KeyLimits = Field(default_factory=KeyLimits)
    """Limits of each key that has none of its own, and of all requests without a key together."""

    teams: dict[Owner, Limits] = Field(default_factory=dict)
    """Limits of all keys of an owner together, by its name."""

    models: dict[ModelName, Limits] = Field(default_factory=dict)
    """Limits of all requests for a model together, by its served name."""

    prices: dict[ModelName, Price] = Field(default_factory=dict)
    """What tokens cost, by the model's served name. Tokens of other models cost nothing."""

    redis: SecretFrom | None = None
    """Where the address of a Redis is read from, `redis://:password@host:6379/0` or `rediss://…`, which all gateways
    count in. Without one each gateway counts for itself, in memory: right for one gateway. Budgets are then learned
    from the ledger of usage when it restarts, where there is one."""

    without_redis: Literal["refuse", "perGateway"] = "refuse"
    """What becomes of requests that limits concern while Redis cannot be reached. `refuse`: they get 503. `perGateway`:
    each gateway counts for itself meanwhile, so that as many times more may pass as there are gateways."""

    @property
    def is_empty(self) -> bool:
        """Whether the document limits nobody."""
        return self.every_key.is_empty and all(
            limits.is_empty for limits in (*self.teams.values(), *self.models.values())
        )

    @model_validator(mode="after")
    def _money_has_prices(self) -> Self:
        limits = (self.every_key, *self.teams.values(), *self.models.values())
        if not self.prices and any(each.money_per_day or each.money_per_month for each in limits):
            raise ValueError("there is a budget in money, and no model has a price; name prices, or limit tokens")
        return self
