"""The command line, `penstock`. Registers the commands and turns every error into a sentence and an exit status."""

from __future__ import annotations

import importlib
import sys
from typing import Annotated, Any, NamedTuple, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException

from penstock import __version__, environment, logs
from penstock.cli import exits
from penstock.errors import PenstockError


class _Command(NamedTuple):
    """A command's module is imported when it runs: most need Ray, which takes seconds."""

    name: str
    summary: str
    module: str = ""
    """Where it is not in one of its own name, which is Python's."""


_COMMANDS = (
    _Command("up", "Serve the document's models on this machine."),
    _Command("apply", "Make a running Penstock serve another document."),
    _Command("down", "Stop the Penstock of this machine."),
    _Command("status", "Show models, replicas, phases and the address."),
    _Command("chat", "Talk to a served model."),
    _Command("search", "Find models on the hub, and see whether they fit."),
    _Command("pull", "Fetch the weights of the document's models."),
    _Command("list", "Show the weights in this machine's cache.", "listing"),
    _Command("rm", "Take weights out of this machine's cache."),
    _Command("keys", "Make, show and revoke the keys that clients send."),
    _Command("usage", "Show what keys, teams and models took."),
    _Command("doctor", "Look for what is wrong with the machine and the document."),
    _Command("bench", "Measure one or several addresses side by side."),
    _Command("plan", "Show what a document needs of a cloud, and what it costs an hour."),
    _Command("render", "Print the configuration that Ray Serve gets."),
    _Command("schema", "Print the JSON schema of the document."),
)


class _LazyGroup(TyperGroup):
    """Finds a command's function in the module of its name."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return [command.name for command in _COMMANDS]

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | None:  # noqa: ARG002
        known = next((command for command in _COMMANDS if command.name == cmd_name), None)
        if known is None:
            return None
        module = known.module or cmd_name
        found = getattr(importlib.import_module(f"penstock.cli.{module}"), module)
        if isinstance(found, typer.Typer):
            whole = found
        else:
            whole = typer.Typer(pretty_exceptions_enable=False, add_completion=False, rich_markup_mode=None)
            whole.command(cmd_name)(found)
        command = typer.main.get_command(whole)
        command.name = cmd_name
        return cast("TyperCommand", command)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(command.name, command.summary) for command in _COMMANDS])


cli = typer.Typer(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"penstock {__version__}")
        raise typer.Exit


@cli.callback()
def penstock(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Serve open-weight language models on your own hardware behind one OpenAI-compatible address.

    Example: penstock up --model hf://Qwen/Qwen3-0.6B
    """


def run() -> None:
    """Entry point of the console script."""
    environment.prepare_for_ray()
    logs.set_up(level="warning", style="text")
    sys.exit(main())


def main(arguments: list[str] | None = None) -> int:
    """Run one command; its exit status (`exits` lists them)."""
    try:
        result = cli(arguments, prog_name="penstock", standalone_mode=False)
    except PenstockError as error:
        return exits.tell(error)
    except typer.Exit as leaving:
        return leaving.exit_code
    except TyperException as error:
        return exits.tell_of_use(error)
    except (KeyboardInterrupt, typer.Abort):
        return exits.INTERRUPTED
    except Exception as error:  # noqa: BLE001  # the last place: no traceback reaches a user
        return exits.tell_of_defect(error)
    return result if isinstance(result, int) else 0
