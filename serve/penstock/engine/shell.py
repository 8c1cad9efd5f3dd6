"""An engine's command for a person to read and to paste, without its token. Pure; used by `penstock render`."""

from __future__ import annotations

import shlex

from penstock.engine.command import Command
from penstock.environment import ENGINE_TOKEN


def as_shell(command: Command) -> str:
    """One line per option: `env A=1 \\` … `python -m vllm… \\` …. The token is a variable of the shell that runs it."""
    words = [f"{name}={shlex.quote(value)}" for name, value in command.environment.items() if name != ENGINE_TOKEN]
    token = f'{ENGINE_TOKEN}="${{{ENGINE_TOKEN}:?any text that callers then send as their key}}"'
    lines = ["env", *(f"  {word}" for word in [*words, token])]
    program = [shlex.quote(argument) for argument in command.arguments[:3]]
    lines.append("  " + " ".join(program))
    for argument in map(shlex.quote, command.arguments[3:]):
        if argument.startswith("--"):
            lines.append(f"    {argument}")
        else:
            lines[-1] += f" {argument}"
    return " \\\n".join(lines)
