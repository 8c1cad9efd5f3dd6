"""Options of the document → a command line's arguments, for any option of vLLM under its own name.

Pure. Called by `command`, and by `assembly` to refuse a wrong option before anything starts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from penstock.errors import DocumentError

OWNED = {
    "model": "the model's weights are named by source",
    "model_tag": "the model's weights are named by source",
    "served_model_name": "clients use the model's key in the document and its aliases",
    "host": "the gateway finds the engine by itself",
    "port": "the gateway finds the engine by itself",
    "uds": "the gateway reaches engines on other machines, so they listen on TCP",
    "api_key": "every engine gets a token of its own, which the gateway knows",
    "root_path": "the gateway sends the engine's own paths",
    "ssl_keyfile": "the gateway speaks plain HTTP to the engine",
    "ssl_certfile": "the gateway speaks plain HTTP to the engine",
    "ssl_ca_certs": "the gateway speaks plain HTTP to the engine",
    "grpc": "the gateway speaks HTTP to the engine",
    "headless": "the gateway needs the engine's HTTP server",
}
"""Options that Penstock sets itself, and why."""

_SWITCHES = frozenset({"disable_log_stats", "aggregate_engine_logging", "data_parallel_multi_port_external_lb"})
"""Options of vLLM 0.32 that are given or not given: there is no `--no-` form of them."""

_JSON_LISTS = frozenset({"allowed_origins", "allowed_methods", "allowed_headers"})
"""Lists that vLLM reads as one JSON text."""

_REPEATED = frozenset({"middleware"})
"""Lists that vLLM takes as the option given several times."""


def normalise(options: Mapping[str, Any], *, model: str) -> dict[str, Any]:
    """Options by their name with underscores.

    Raises DocumentError for an option that Penstock owns, and for one that is given twice in two spellings.
    """
    named: dict[str, Any] = {}
    for given, value in options.items():
        name = given.lstrip("-").replace("-", "_")
        path = f"models.{model}.options.{given}"
        if reason := OWNED.get(name):
            raise DocumentError(f"{path}: Penstock sets this option itself: {reason}.", remedy=f"Remove {given}.")
        if name in named:
            raise DocumentError(f"{path}: the option is given twice, in two spellings.", remedy="Keep one of them.")
        named[name] = value
    return named


def arguments(options: Mapping[str, Any]) -> list[str]:
    """Command-line arguments of normalised options: `{"max_model_len": 8192}` → `["--max-model-len", "8192"]`.

    True and false become `--x` and `--no-x`, null leaves an option out, a map becomes JSON, a list becomes several
    values (each a map's JSON where it is a map).
    """
    return [argument for name, value in options.items() for argument in _option(name, value)]


def _option(name: str, value: Any) -> list[str]:
    flag = "--" + name.replace("_", "-")
    if value is None:
        return []
    if isinstance(value, bool):
        return [flag] if value else ([] if name in _SWITCHES else [f"--no-{flag[2:]}"])
    if isinstance(value, list):
        if name in _JSON_LISTS:
            return [f"{flag}={_text(value, nested=True)}"]
        if name in _REPEATED:
            return [f"{flag}={_text(item)}" for item in value]
        return [flag, *(_text(item) for item in value)] if value else []
    # In one word, because a value may begin with a dash.
    return [f"{flag}={_text(value)}"]


def _text(value: Any, *, nested: bool = False) -> str:
    if nested or isinstance(value, dict | list | bool) or value is None:
        return json.dumps(value, separators=(",", ":"))
    return str(value)
