"""What a gateway replica is told. Made by `assembly`, read by `deployment`.

`GatewaySpec` restarts the gateways when it changes; `GatewayRoutes` is taken over in place.
"""

from __future__ import annotations

from pydantic import Field

from penstock.config import Gateway
from penstock.config.accounts import Accounts, ListedKey
from penstock.config.base import Section
from penstock.config.cache import AnswerCache
from penstock.config.fallback import Fallback
from penstock.config.logging import Logging
from penstock.config.providers import Provider

DEPLOYMENT = "gateway"
"""Name of the deployment within the gateway's application."""


class GatewaySpec(Section):
    """Arguments of the gateway's application."""

    gateway: Gateway = Field(default_factory=Gateway)
    accounts: Accounts = Field(default_factory=Accounts)
    """As `assembly` resolved them: `anonymous` is None where nobody is asked for a key. Without `keys`, which are taken
    over in place."""
    logging: Logging = Field(default_factory=Logging)


class RoutedModel(Section):
    """A model as the gateway knows it."""

    application: str
    """Name of the Serve application whose replicas run it."""
    aliases: list[str] = Field(default_factory=list)
    fallback: Fallback | None = None
    """As in the document."""
    repository: str | None = None
    """Where its weights are on the hub."""
    cache: AnswerCache | None = None
    """Whether its answers are kept."""


class GatewayRoutes(Section):
    """The models behind the address, by served name, the address, and the keys of the document."""

    service: str | None = None
    """Where clients reach the ready gateways of all Ray clusters of a release: `http://penstock:8000`. None where there
    is no second cluster beside the first."""
    models: dict[str, RoutedModel] = Field(default_factory=dict)
    providers: dict[str, Provider] = Field(default_factory=dict)
    """The document's, by name."""
    keys: dict[str, ListedKey] = Field(default_factory=dict)
    """The document's `accounts.keys`."""
