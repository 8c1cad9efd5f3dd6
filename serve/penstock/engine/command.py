"""What to start for a model: the engine's command line and its environment.

Pure. Called by the replica just before it starts its engine; `penstock render --engine` prints it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

from penstock.config import Model
from penstock.engine import options
from penstock.environment import ENGINE_TOKEN

TOKEN_GUARD = "penstock.engine.guard.TokenGuard"  # noqa: S105  # an import path

_VLLM_DEFAULTS = {
    # The gateway writes a line per request, with the same id; a second one costs the engine time.
    "disable_uvicorn_access_log": True,
    # Else nobody learns how many tokens of a prompt came from the cache.
    "enable_prompt_tokens_details": True,
}
_QUIET = {
    # Weights are local once the engine starts: nothing may wait for a hub or report to anyone.
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}


class Place(NamedTuple):
    """Where the engine listens, and the token it asks for."""

    host: str
    port: int
    token: str

    @property
    def base_url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def __repr__(self) -> str:
        return f"Place({self.base_url})"


class Command(NamedTuple):
    """A process to start. `environment` is laid over the inherited one."""

    arguments: list[str]
    environment: dict[str, str]

    def __repr__(self) -> str:
        return f"Command({self.arguments})"


def engine_command(
    name: str,
    model: Model,
    *,
    gpus: int,
    weights: str | None,
    place: Place,
    python: str = sys.executable,
    guarded: bool = True,
) -> Command:
    """The engine of a model.

    Args:
        name: the model's key in the document.
        weights: folder or file of the weights; None for the simulator.
        guarded: False for an engine that anybody may use: what a bench compares with.

    Raises:
        DocumentError: an option that Penstock owns, or that is given twice.
    """
    environment = {**model.env, "PYTHONUNBUFFERED": "1", **({ENGINE_TOKEN: place.token} if guarded else {})}
    names = [name, *model.aliases]
    if model.engine == "simulator":
        arguments = [
            python, "-m", "penstock.simulator",
            "--host", place.host, "--port", str(place.port),
            "--model", name, "--served-model-name", *names,
            "--options-json", json.dumps(model.options, separators=(",", ":")),
        ]  # fmt: skip
        return Command(arguments, environment)
    arguments = [
        python, "-m", "vllm.entrypoints.openai.api_server",
        "--model", str(weights),
        "--host", place.host, "--port", str(place.port),
        "--served-model-name", *names,
        *options.arguments(vllm_options(name, model, gpus=gpus, guarded=guarded)),
    ]  # fmt: skip
    return Command(arguments, {**_QUIET, **environment})


def vllm_options(name: str, model: Model, *, gpus: int, guarded: bool = True) -> dict[str, Any]:
    """All options that vLLM is given beside those that Penstock owns: the document's over our defaults."""
    given = options.normalise(model.options, model=name)
    if gpus > 1 and not {"tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size"} & given.keys():
        given = {"tensor_parallel_size": gpus, **given}
    merged = {**_VLLM_DEFAULTS, **given}
    if guarded:
        # The guard comes last in the list, which makes it the outermost: nothing runs for a stranger.
        extra = merged.get("middleware") or []
        merged["middleware"] = [*(extra if isinstance(extra, list) else [extra]), TOKEN_GUARD]
    return merged


def overlaid(inherited: Mapping[str, str], command: Command) -> dict[str, str]:
    """The whole environment of the engine's process."""
    return {**inherited, **command.environment}
