"""`providers`: other OpenAI-compatible addresses, of clouds or of another Penstock, and the models that they serve.

Nothing goes to one unless a client asks for one of its models, or a model of ours names one as its `fallback`.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, WithJsonSchema, field_validator, model_validator

from penstock.config.base import Section
from penstock.config.models import ModelName, model_name_problem
from penstock.config.provider_presets import ENDPOINTS, PRESETS, KeyHeader, Preset, PresetName
from penstock.config.units import Duration
from penstock.config.weights import AbsolutePath, Endpoint, SecretFrom

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
_PLACE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}[A-Za-z0-9])?")
_LONGEST_MODEL = 256

OfferedEndpoint = Literal["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses"]


def checked_provider_name(name: str) -> str:
    """A provider's name. Raises ValueError."""
    if _NAME.fullmatch(name) is None:
        raise ValueError(
            f"{name[:64]!r} is no name of a provider; use at most 32 small letters, digits and -, with no - at the ends"
        )
    return name


def _checked_place(text: str) -> str:
    # It becomes a part of the host that the key is sent to.
    if _PLACE.fullmatch(text) is None:
        raise ValueError(f"{text[:64]!r} cannot be a part of a host's name; use letters, digits and -")
    return text


ProviderName = Annotated[
    str, AfterValidator(checked_provider_name), WithJsonSchema({"type": "string", "pattern": f"^{_NAME.pattern}$"})
]
_Place = Annotated[
    str, AfterValidator(_checked_place), WithJsonSchema({"type": "string", "pattern": f"^{_PLACE.pattern}$"})
]


class ProvidedModel(Section):
    """A model that a provider serves."""

    model: str | None = Field(default=None, min_length=1, max_length=_LONGEST_MODEL)
    """The provider's name for it, which requests are sent with. Default: as it is called here."""

    aliases: list[ModelName] = Field(default_factory=list)
    """Further names under which clients may ask for it."""

    @field_validator("aliases")
    @classmethod
    def _aliases_are_names(cls, aliases: list[str]) -> list[str]:
        for alias in aliases:
            if problem := model_name_problem(alias):
                raise ValueError(problem)
        return aliases


class ProviderTimeouts(Section):
    """How long a provider may take. `gateway.longestRequest` bounds the whole."""

    connect: Duration = Field(default=5.0, gt=0)
    """Until the connection is there, TLS included."""

    first_byte: Duration = Field(default=120.0, gt=0)
    """From the request to the first byte of the answer. An answer that is no stream is thought out whole before it."""

    idle: Duration = Field(default=60.0, gt=0)
    """Between two bytes of an answer."""


class Breaker(Section):
    """When a provider that fails is left alone for a while, so that nobody waits for it. Failures are answers with 5xx
    or with a refusal of our key, broken connections and timeouts; that a provider limits us (429) is none."""

    failures: int = Field(default=5, ge=1)
    """Failures in a row after which it is left alone."""

    share: float = Field(default=0.5, gt=0, le=1)
    """Share of the requests of the last `window` whose failure has it left alone, too."""

    least: int = Field(default=20, ge=1)
    """Requests that there must be within `window` before their share counts."""

    window: Duration = Field(default=30.0, gt=0)
    """How far the look at the share goes back."""

    pause: Duration = Field(default=15.0, gt=0)
    """For how long it is left alone. Then one request is let through to see: the others follow if it is answered, and
    the pause begins anew if it fails."""


class Provider(Section):
    """One other address."""

    preset: PresetName | None = None
    """A provider that is known by name: it says the address and what is particular about it."""

    base_url: Endpoint | None = None
    """The address up to what stands before `/chat/completions`, such as `https://penstock.example.com/v1`. Needed
    without a preset, and instead of a preset's."""

    resource: _Place | None = None
    """The customer's resource, of preset azure-openai."""

    region: _Place | None = None
    """The region, of preset aws-bedrock."""

    key: SecretFrom | None = None
    """Where the provider's key is read from. It is sent to this address alone. Default: none is sent."""

    key_header: KeyHeader | None = None
    """The header line that carries the key; `authorization` has `Bearer` before it. Default: as the preset says, else
    `authorization`."""

    ca_file: AbsolutePath | None = None
    """A file of certificates that the provider's is checked against, instead of the system's."""

    stream_usage: bool | None = None
    """Whether it takes `stream_options` to tell a stream's tokens, which are asked for where usage or limits count.
    Default: as the preset says, else true."""

    endpoints: list[OfferedEndpoint] | None = Field(default=None, min_length=1)
    """What it offers. Default: as the preset says, else everything that can be asked of a provider."""

    models: dict[ModelName, ProvidedModel] = Field(default_factory=dict)
    """The models that it serves here, by the name that clients ask for."""

    timeouts: ProviderTimeouts = Field(default_factory=ProviderTimeouts)
    """How long it may take."""

    breaker: Breaker = Field(default_factory=Breaker)
    """When it is left alone."""

    @model_validator(mode="after")
    def _has_an_address(self) -> Self:
        if self.base_url is not None:
            return self
        if self.preset is None:
            raise ValueError(f"baseUrl is missing, or preset: one of {', '.join(PRESETS)}")
        for place in ("resource", "region"):
            if f"{{{place}}}" in PRESETS[self.preset].base_url and getattr(self, place) is None:
                raise ValueError(f"{place} is missing; the address of {self.preset} has it in its name")
        return self

    @property
    def address(self) -> str:
        """Where requests go, without a slash at its end."""
        return self.base_url or self._preset.base_url.format(resource=self.resource, region=self.region)

    @property
    def sends_key_in(self) -> KeyHeader:
        """The header line of the key."""
        return self.key_header or self._preset.key_header

    @property
    def tells_streams_usage(self) -> bool:
        """Whether a stream's tokens can be asked for."""
        return self._preset.stream_usage if self.stream_usage is None else self.stream_usage

    @property
    def offers(self) -> frozenset[str]:
        """The paths that it offers, as ours are called."""
        return frozenset(self.endpoints or self._preset.endpoints)

    @property
    def _preset(self) -> Preset:
        return PRESETS[self.preset] if self.preset is not None else Preset("", ENDPOINTS)
