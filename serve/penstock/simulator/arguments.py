"""The simulator's command line, in vLLM's words where vLLM has them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NamedTuple

import orjson
from pydantic import ValidationError

from penstock.config.simulator import SimulatorOptions


class Arguments(NamedTuple):
    """A command line that was understood. `names` has at least one; `shutdown_timeout` is in seconds."""

    host: str
    port: int
    model: str
    names: list[str]
    options: SimulatorOptions
    shutdown_timeout: int


def parse(arguments: Sequence[str] | None = None) -> Arguments:
    """Raises SystemExit with 2 after saying what is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m penstock.simulator",
        description="An OpenAI-speaking engine without a model: made-up tokens at a given pace.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on")
    parser.add_argument("--model", required=True, help="what /v1/models shows as root, and the name unless given")
    parser.add_argument("--served-model-name", nargs="+", metavar="NAME", help="names to answer to")
    parser.add_argument("--options-json", default="{}", metavar="JSON", help="the simulator's options")
    parser.add_argument(
        "--shutdown-timeout", type=int, default=0, metavar="SECONDS", help="how long streams may go on after SIGTERM"
    )
    given = parser.parse_args(arguments)
    try:
        options = SimulatorOptions.of(orjson.loads(given.options_json))
    except orjson.JSONDecodeError as error:
        parser.error(f"--options-json is no JSON: {error}")
    except ValidationError as error:
        parser.error("--options-json: " + "; ".join(_line(detail["loc"], detail["msg"]) for detail in error.errors()))
    if given.shutdown_timeout < 0:
        parser.error("--shutdown-timeout is at least 0")
    if not 0 < given.port < 65536:
        parser.error(f"--port {given.port} is no port; it is 1 to 65535")
    names = list(given.served_model_name or [given.model])
    return Arguments(given.host, given.port, given.model, names, options, given.shutdown_timeout)


def _line(place: tuple[int | str, ...], message: str) -> str:
    return f"{'.'.join(map(str, place)) or 'the options'}: {message}"
