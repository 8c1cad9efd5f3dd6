"""`models.<name>.options` where the engine is the simulator. Read by the document's checks and by the simulator."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from penstock.config.base import Section
from penstock.config.units import Duration


def _as_it_is(name: str) -> str:
    return name


class SimulatorOptions(Section):
    """Options of the simulator. Like every engine's, they bear their own names, in snake_case."""

    model_config = ConfigDict(alias_generator=_as_it_is)

    time_to_first_token: Duration = 0.05
    """From the start of the work on a request to its first token."""

    tokens_per_second: float = Field(default=50.0, ge=0, allow_inf_nan=False)
    """Pace of one stream, however many there are; 0 is as fast as the machine can."""

    output_tokens: int = Field(default=64, ge=1)
    """Length of an answer where the request names none (`max_tokens`)."""

    startup: Duration = 0.0
    """From the start of the process to being ready."""

    max_model_len: int = Field(default=8192, ge=1)
    """Tokens of prompt and answer together at most."""

    max_num_seqs: int = Field(default=256, ge=1)
    """Requests that run at once; others queue."""

    embedding_size: int = Field(default=384, ge=1)
    """Numbers in one embedding."""

    fail_rate: float = Field(default=0.0, ge=0, le=1)
    """Share of requests that are answered 500."""

    crash_after: int | None = Field(default=None, ge=0)
    """The process exits abruptly after so many requests. Default: never."""

    hang_after: int | None = Field(default=None, ge=0)
    """After so many requests the process accepts further ones and never answers. Default: never."""

    silent_after: int | None = Field(default=None, ge=0)
    """After so many requests the process accepts connections and answers nothing, not even health and metrics. Default:
    never."""

    seed: int = 0
    """Equal seeds give equal tokens and equal failures."""

    @classmethod
    def of(cls, options: dict[str, Any]) -> SimulatorOptions:
        """The options of a model, checked. Raises pydantic's ValidationError; a Document's are checked already."""
        return cls.model_validate(options)
