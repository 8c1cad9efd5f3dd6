"""`accounts.oidc`: tokens of an OpenID Connect issuer in place of keys, and what their claims mean here."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from penstock.config.addresses import checked_endpoint
from penstock.config.base import Section
from penstock.config.grants import MOST_PATTERNS, USER, ModelPattern, Role
from penstock.config.owners import Owner
from penstock.config.units import Duration

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Signatures that an issuer makes with a key that it shows nobody: not `none`, and none with a shared secret."""

_USUAL: tuple[Algorithm, ...] = ("RS256", "ES256")
_SAME: dict[str, Role] = {"user": "user", "admin": "admin"}


def _checked_issuer(text: str) -> str:
    # Compared with what tokens say, so its slash stays.
    checked_endpoint(text)
    return text


Issuer = Annotated[str, AfterValidator(_checked_issuer), WithJsonSchema({"type": "string", "pattern": "^https?://"})]
Claim = Annotated[str, Field(min_length=1, max_length=256)]


class Claims(Section):
    """Names of claims. One inside another is named by its path, `realm_access.roles`, unless there is one of the whole
    name."""

    name: Claim = "sub"
    """How people call whoever sends the token: `sub`, `email`, `azp`."""

    owner: Claim | None = None
    """The team. Default: all belong to `accounts.oidc.owner`."""

    models: Claim | None = None
    """Patterns of models that may be used: a list, or a text with blanks between. Default: `accounts.oidc.models`."""

    roles: Claim | None = None
    """What the token is for, in the issuer's words, which `accounts.oidc.roleNames` translates: a list, or a text with
    blanks between. Default: `accounts.oidc.roles`."""


class Oidc(Section):
    """Bearer tokens (JWT) of an OpenID Connect issuer, taken beside keys."""

    issuer: Issuer
    """The issuer, letter for letter as its tokens have it under `iss`. With https, unless it is on this machine or on a
    network that you trust: whoever answers in its place makes tokens."""

    audience: list[Annotated[str, Field(min_length=1, max_length=256)]] = Field(min_length=1, max_length=16)
    """Whom tokens must be meant for: one of these must stand under `aud`. A token for another service gets in
    nowhere."""

    jwks: Issuer | None = None
    """Address of the issuer's public keys. Default: as `{issuer}/.well-known/openid-configuration` says."""

    algorithms: list[Algorithm] = Field(default_factory=lambda: list(_USUAL), min_length=1)
    """Signatures that are taken."""

    claims: Claims = Field(default_factory=Claims)
    """Where in a token stands what."""

    owner: Owner = "default"
    """The team of tokens, where no claim says it."""

    models: list[ModelPattern] = Field(default_factory=lambda: ["*"], min_length=1, max_length=MOST_PATTERNS)
    """Models that tokens may use, where no claim says it."""

    roles: list[Role] = Field(default_factory=lambda: [USER], min_length=1, max_length=2)
    """What tokens are for, where no claim says it."""

    role_names: dict[Annotated[str, Field(max_length=256)], Role] = Field(default_factory=lambda: dict(_SAME))
    """The issuer's words for roles, of the claim that `claims.roles` names. Words that are not here mean nothing."""

    leeway: Duration = Field(default=30.0, le=300)
    """The issuer's clock may differ by so much from ours."""

    refresh: Duration = Field(default=300.0, ge=1, le=86400)
    """The issuer's keys are fetched anew after so long, and at once for a token that names one that is not known. A key
    that the issuer takes back is refused within this time."""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len(set(self.algorithms)) < len(self.algorithms):
            raise ValueError("an algorithm stands twice under algorithms; name each once")
        return self
