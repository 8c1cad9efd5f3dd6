"""Reads Dockerfiles and ignore files as far as the tests of the images need it."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Instruction:
    """One instruction with its continued lines joined, `ARG`s of the file's head put in."""

    word: str
    text: str
    stage: str
    """The name of the stage it belongs to; empty before the first."""


def instructions(path: Path, **arguments: str) -> list[Instruction]:
    """The instructions of a Dockerfile, built with these arguments."""
    values: dict[str, str] = {}
    stage = ""
    found = []
    for line in _joined(path.read_text()):
        word, _, text = line.partition(" ")
        text = text.strip()
        if word == "ARG" and not stage and "=" in text:
            name, _, default = text.partition("=")
            values[name] = arguments.get(name, default)
        if word == "FROM":
            text = re.sub(r"\$\{(\w+)\}", lambda match: values[match[1]], text)
            stage = text.split(" AS ")[-1]
        found.append(Instruction(word, text, stage))
    return found


def _joined(text: str) -> list[str]:
    kept = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    return [line for line in re.sub(r"\\\n\s*", "", kept).splitlines() if line]


def sources(found: list[Instruction]) -> set[str]:
    """What these instructions take from the build's context."""
    taken: set[str] = set()
    for instruction in found:
        if instruction.word == "COPY" and "--from=" not in instruction.text:
            words = [word for word in instruction.text.split() if not word.startswith("--")]
            taken.update(words[:-1])
        for mount in re.findall(r"--mount=(\S+)", instruction.text):
            options = dict(option.split("=") for option in mount.split(","))
            if "from" not in options:
                taken.add(options["source"])
    return taken


def is_let_in(path: str, ignore_file: Path) -> bool:
    """Whether a file of the context gets into a build: the last line that names it or a folder above it decides."""
    parts = path.split("/")
    above = ["/".join(parts[: end + 1]) for end in range(len(parts))]
    let_in = True
    for line in ignore_file.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!")
        if any(_matches(folder, pattern) for folder in above):
            let_in = line.startswith("!")
    return let_in


def _matches(path: str, pattern: str) -> bool:
    anywhere = pattern.removeprefix("**/")
    if anywhere != pattern:
        return fnmatch.fnmatch(path.rsplit("/", 1)[-1], anywhere)
    return path.count("/") == pattern.count("/") and fnmatch.fnmatch(path, pattern)
