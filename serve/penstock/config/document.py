"""The whole document, `penstock.yaml`, and the checks that need more than one section."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Self

from pydantic import Field, WithJsonSchema, model_validator

from penstock.config.accounts import Accounts
from penstock.config.base import Section, refused
from penstock.config.fitting import Wishes, limits_of_nobody, misfits
from penstock.config.fitting_providers import misfits_of_providers, provided_models
from penstock.config.gateway import Gateway
from penstock.config.hardware import Hardware
from penstock.config.labels import LABEL_VALUE
from penstock.config.logging import Logging
from penstock.config.models import Model, ModelName
from penstock.config.presets import PRESETS
from penstock.config.providers import Provider, ProviderName
from penstock.config.weights import Weights

HardwareName = Annotated[str, WithJsonSchema({"type": "string", "pattern": f"^{LABEL_VALUE.pattern}$"})]


class Document(Section):
    """What to serve, on what, and where. The same keys stand at the top of the chart's values."""

    models: dict[ModelName, Model] = Field(default_factory=dict)
    """Served models by name: letters, digits and `. _ / : -`, at most 128, beginning with a letter or a digit."""

    hardware: dict[HardwareName, Hardware] = Field(default_factory=dict)
    """Profiles of machines by name, which is a valid value of a Kubernetes label. `cpu`, with no particular resources,
    and common GPUs (`nvidia-l4`, `nvidia-h100`, ...) are there without being named."""

    providers: dict[ProviderName, Provider] = Field(default_factory=dict)
    """Other OpenAI-compatible addresses by any name: small letters, digits and `-`. Nothing goes to one unless somebody
    asks for a model of it, or one of `models` has it as its `fallback`."""

    gateway: Gateway = Field(default_factory=Gateway)
    """The OpenAI-compatible address."""

    accounts: Accounts = Field(default_factory=Accounts)
    """Who may use the address."""

    weights: Weights = Field(default_factory=Weights)
    """The cache of weights and the sources."""

    logging: Logging = Field(default_factory=Logging)
    """Logs."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        models = {name: Wishes(model.hardware, model.gpus, model.aliases) for name, model in self.models.items()}
        profiles = {name: profile.has_devices for name, profile in self.hardware.items()}
        limits: dict[str, Iterable[str]] = {
            "models": self.accounts.limits.models,
            "prices": self.accounts.limits.prices,
        }
        aliases = {**provided_models(self.providers), **{name: model.aliases for name, model in self.models.items()}}
        findings = [
            *misfits(models, profiles),
            *misfits_of_providers(self.providers, self.models),
            *limits_of_nobody(limits, aliases),
        ]
        if findings:
            raise refused(Document, findings)
        return self

    def hardware_of(self, model: Model) -> Hardware:
        """The profile that a model runs on."""
        return {**PRESETS, **self.hardware}[model.hardware]

    def gpus_of(self, model: Model) -> int:
        """GPUs of one replica."""
        if model.gpus is not None:
            return model.gpus
        return 1 if self.hardware_of(model).has_gpu else 0

    def alias_map(self) -> dict[str, str]:
        """Every name that clients may ask for, own or alias, → the model's own name."""
        return {alias: name for name, model in self.models.items() for alias in (name, *model.aliases)}
