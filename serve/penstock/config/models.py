"""`models`: what is served. A map from the served name to where its weights are and how it runs."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, GetJsonSchemaHandler, ValidationInfo, WithJsonSchema, field_validator, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from penstock.config.base import Finding, Section, refused
from penstock.config.cache import AnswerCache
from penstock.config.fallback import Fallback
from penstock.config.grants import PROVIDER_GRANT
from penstock.config.rollout import Rollout
from penstock.config.simulator import SimulatorOptions
from penstock.config.source import HUB, SourceText
from penstock.config.units import Duration
from penstock.config.watchdog import Watchdog

MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:-]{0,127}")
OPTION_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*")
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


ModelName = Annotated[str, WithJsonSchema({"type": "string", "pattern": f"^{MODEL_NAME.pattern}$"})]
"""A name or an alias. What is wrong with one is said by the sections that hold it, with its path."""


def model_name_problem(name: str) -> str | None:
    """Why a text is no name or alias of a model; None where it is one."""
    if name.startswith(PROVIDER_GRANT):
        return f"{name[:130]!r} begins with {PROVIDER_GRANT}, which stands before the name of a provider in grants"
    if MODEL_NAME.fullmatch(name):
        return None
    return (
        f"{name[:130]!r} is no model name; use letters, digits and . _ / : -, at most 128, beginning with a letter or"
        " a digit"
    )


class Replicas(Section):
    """How many replicas, and how much each takes. A plain number means exactly that many."""

    min: int = Field(default=1, ge=0)
    """Replicas that are always there; 0 lets the model go away when nobody asks for it."""

    max: int = Field(default=1, ge=1)
    """Replicas at most, however high the load."""

    target: int = Field(default=16, ge=1)
    """Requests in progress per replica that scaling aims at, those that wait counted in. Up to a tenth more is borne
    without a further replica."""

    limit: int = Field(default=1024, ge=1)
    """Requests in progress on one replica at most; what comes beyond waits in the gateway."""

    upscale_delay: Duration = 10.0
    """More replicas must have been needed for so long before they are started. It is not waited for where none is
    there, or where at least twice as many are needed."""

    downscale_delay: Duration = 300.0
    """So many replicas stay as were needed at any moment within so long. A start takes minutes, so one lull must not
    stop what the next minute needs."""

    downscale_to_zero_delay: Duration = 600.0
    """The last replica is stopped after so long without a request, where `min` is 0."""

    kv_threshold: float = Field(default=0.9, gt=0, le=1)
    """Share of the KV cache in use from which requests that queue in engines are a sign of too few replicas, though
    `target` is not reached: long prompts fill the cache before their number does. One replica at a time is started
    for it; 1 waits until the caches are completely full."""

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            return {"min": value, "max": max(value, 1)}
        return value

    @model_validator(mode="after")
    def _ordered(self) -> Replicas:
        if self.min > self.max:
            written = "" if "max" in self.model_fields_set else ", its default"
            raise ValueError(f"min is {self.min} and max is {self.max}{written}; max is at least min")
        if self.target > self.limit:
            written = "" if "limit" in self.model_fields_set else ", its default"
            raise ValueError(f"target is {self.target} and limit is {self.limit}{written}; target is at most limit")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        full = handler.resolve_ref_schema(handler(schema))
        description = full.pop("description", "")
        return {"description": description, "anyOf": [{"type": "integer", "minimum": 0}, full]}


class Startup(Section):
    """How long an engine may take to become ready."""

    stall: Duration = Field(default=300.0, gt=0)
    """Give up when the engine shows no progress (no line of log, no processor time, nothing read) for so long."""

    limit: Duration = Field(default=3600.0, gt=0)
    """Give up after so long whatever it does: an engine that spins for ever is progress too."""


class Model(Section):
    """One served model."""

    source: SourceText | None = None
    """Where the weights come from: `hf://org/repo[@revision]`, `s3://bucket/prefix`, `gs://bucket/prefix`,
    `pvc://claim/path`, `file:///path` or a path (relative to the document). The simulator needs none."""

    engine: Literal["vllm", "simulator"] = "vllm"
    """`vllm`, or `simulator`: made-up tokens at a given pace with neither weights nor GPU."""

    hardware: str = "cpu"
    """A key of `hardware`, or a preset: `cpu`, `nvidia-l4`, `nvidia-h100`, ..."""

    gpus: int | None = Field(default=None, ge=0)
    """GPUs per replica; vLLM's tensor_parallel_size follows unless given. Default: 1 where the hardware has GPUs,
    else 0."""

    replicas: Replicas = Field(default_factory=Replicas)
    """How many replicas."""

    rollout: Rollout = Field(default_factory=Rollout)
    """How replicas are replaced when a change restarts them."""

    options: dict[str, Any] = Field(default_factory=dict)
    """Options of the engine under their own names (`max_model_len: 8192`), passed on unchanged."""

    env: dict[str, str] = Field(default_factory=dict)
    """Environment variables of the engine's process. Not for secrets."""

    aliases: list[ModelName] = Field(default_factory=list)
    """Further names under which clients may ask for it."""

    fallback: Fallback | None = None
    """A model of a provider that answers where this one cannot. A key must be allowed to use that provider. Default:
    none, so that no request leaves."""

    startup: Startup = Field(default_factory=Startup)
    """How long the engine may take to become ready."""

    watchdog: Watchdog = Field(default_factory=Watchdog)
    """When an engine that is ready counts as stuck and is replaced."""

    warm_up: bool = True
    """Send one small request before the replica is ready, so that the first client does not pay for lazy work."""

    cache: AnswerCache | None = None
    """Whether answers are kept and given again to equal requests of the same team. Default: no."""

    @property
    def repository(self) -> str | None:
        """Where its weights are on the hub, `org/repo`; None where they come from elsewhere."""
        return self.source.removeprefix(HUB).partition("@")[0] if self.source and self.source.startswith(HUB) else None

    @field_validator("aliases")
    @classmethod
    def _aliases_are_names(cls, aliases: list[str]) -> list[str]:
        for alias in aliases:
            if problem := model_name_problem(alias):
                raise ValueError(problem if alias.strip() else "an alias is empty; remove it or give it a name")
        if repeated := sorted({alias for alias in aliases if aliases.count(alias) > 1}):
            raise ValueError(f"{', '.join(repeated)} stands twice; name each alias once")
        return aliases

    @field_validator("env")
    @classmethod
    def _env_is_environment(cls, env: dict[str, str]) -> dict[str, str]:
        if findings := list(_wrong_variables(env)):
            raise refused(cls, findings)
        return env

    @field_validator("options")
    @classmethod
    def _options_fit_the_engine(cls, options: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        engine = info.data.get("engine")
        if engine == "simulator":
            SimulatorOptions.of(options)
        elif engine == "vllm" and (findings := list(_wrong_options(options))):
            raise refused(cls, findings)
        return options

    @model_validator(mode="after")
    def _has_weights(self) -> Self:
        if self.engine == "vllm" and self.source is None:
            reason = "is missing; engine vllm needs weights, for example hf://Qwen/Qwen3-0.6B or a path"
            raise refused(Model, [Finding(("source",), reason, None)])
        return self


def _wrong_variables(env: Mapping[str, str]) -> Iterator[Finding]:
    for name, value in env.items():
        if _VARIABLE_NAME.fullmatch(name) is None:
            reason = f"{name!r} is no name of an environment variable; use letters, digits and _"
            yield Finding((name,), reason, value)
        elif "\0" in value:
            yield Finding((name,), "the value holds a NUL character", None)


def _wrong_options(options: Mapping[str, Any]) -> Iterator[Finding]:
    spelled: dict[str, str] = {}
    for name, value in options.items():
        other = spelled.setdefault(name.replace("-", "_"), name)
        if OPTION_NAME.fullmatch(name) is None:
            meant = name.lstrip("-")
            hint = f"; write `{meant}`" if OPTION_NAME.fullmatch(meant) else ""
            yield Finding((name,), f"{name!r} is no name of an option{hint}", value)
        elif other != name:
            yield Finding((name,), f"this is {other!r} in another spelling; keep one", value)
        elif not _is_json(value):
            yield Finding((name,), "the value is not JSON: texts, numbers, true, false, lists, maps", None)


def _is_json(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_json(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(_is_json(item) for item in value)
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, bool | int | str)
