"""Holds a Terraform module to the schemas of its provider, and its expressions to what it declares.

Used by `tests/terraform`. What `terraform validate` says with the provider at hand, as far as it can be said of the
text: unknown resources, arguments and blocks, needed ones that are missing, a block where an argument is needed and the
other way round, blocks that stand twice, and references to what is not there. Types of values are not judged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from support.terraform_docs import read
from support.terraform_schema import Argument, Provider, Schema

_META = {"count", "for_each", "provider", "depends_on"}
_META_BLOCKS = {"lifecycle", "provisioner", "connection"}
_INDEX = r"(?:\[(?:[^\[\]]|\[[^\[\]]*\])*\])?"
_BUILT_IN = {"terraform_data", "terraform_remote_state"}


class Module:
    """The blocks of a folder, by kind."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files = {path.name: read(path) for path in sorted(folder.glob("*.tf"))}

    def of(self, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """File and block."""
        for name, file in self._files.items():
            for block in file.get(kind, []):
                yield name, block

    def named(self, kind: str) -> dict[str, dict[str, Any]]:
        """Variables, outputs or modules by name."""
        return {name: body for _, block in self.of(kind) for name, body in block.items()}

    @property
    def locals(self) -> set[str]:
        """Names of local values."""
        return {name for _, block in self.of("locals") for name in block if name != "__is_block__"}

    @property
    def things(self) -> Iterator[tuple[str, bool, str, str, dict[str, Any]]]:
        """File, whether it is a data source, kind, name and body of each resource and data source."""
        for kind in ("resource", "data"):
            for file, block in self.of(kind):
                for type_, named in block.items():
                    for name, body in named.items():
                        yield file, kind == "data", type_, name, body

    @property
    def texts(self) -> Iterator[tuple[str, str]]:
        """Every text, with the file that it stands in; expressions are texts."""
        for name, file in self._files.items():
            for text in _texts(file):
                yield name, text


def problems(module: Module, provider: Provider) -> list[str]:
    """What is wrong, in sentences that begin with the file."""
    return [*_of_schemas(module, provider), *_of_references(module, provider)]


# What the provider takes


def _of_schemas(module: Module, provider: Provider) -> Iterator[str]:
    for file, data, kind, name, body in module.things:
        where = f"{file}: {'data.' if data else ''}{kind}.{name}"
        if kind in _BUILT_IN:
            continue
        if not kind.startswith(f"{provider.name}_"):
            yield f"{where}: this is not of the provider {provider.name}"
        elif (schema := provider.schema(kind, data=data)) is None:
            yield f"{where}: the provider {provider.name} has no such {'data source' if data else 'resource'}"
        else:
            plain = {key: value for key, value in body.items() if key not in _META and key not in _META_BLOCKS}
            yield from _of_body(plain, schema, schema.root, where)


def _of_body(body: dict[str, Any], schema: Schema, name: str, where: str) -> Iterator[str]:
    arguments = schema.bodies[name]
    given: set[str] = set()
    for key, value in _unfolded(body):
        place = f"{where}: {key}"
        argument = arguments.get(key)
        if argument is None:
            yield f"{place}: there is no such argument or block; there are {', '.join(sorted(arguments))}"
            continue
        again = key in given
        given.add(key)
        yield from _of_one(value, argument, schema, place, again=again)
    for key in sorted(key for key, argument in arguments.items() if argument.required and key not in given):
        yield f"{where}: {key} is needed and missing"


def _of_one(value: Any, argument: Argument, schema: Schema, place: str, *, again: bool) -> Iterator[str]:
    if _is_block(value) and not argument.block:
        yield f"{place}: this is an argument, written as a block"
    elif argument.block and not _is_block(value):
        yield f"{place}: this is a block, written as an argument"
    elif argument.block:
        if again and not argument.many:
            yield f"{place}: the block stands twice, and may stand once"
        yield from _of_body(value, schema, argument.inside or "", place)


def _unfolded(body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Arguments and blocks, each block by itself, those of `dynamic` as what they become."""
    for key, value in body.items():
        if key == "__is_block__":
            continue
        if key == "dynamic":
            for block in value:
                for name, inside in block.items():
                    if name != "__is_block__":
                        yield from ((name, content) for content in inside["content"])
        elif isinstance(value, list) and value and all(_is_block(item) for item in value):
            yield from ((key, item) for item in value)
        else:
            yield key, value


def _is_block(value: Any) -> bool:
    return isinstance(value, dict) and "__is_block__" in value


# What the module declares


def _of_references(module: Module, provider: Provider) -> Iterator[str]:
    variables, modules = module.named("variable"), module.named("module")
    things = {(data, kind, name) for _, data, kind, name, _ in module.things}
    reference = re.compile(rf"(?<![\w.])(data\.)?({provider.name}_\w+)\.(\w+){_INDEX}(?:\.(\w+))?")
    used: set[str] = set()
    for file, text in module.texts:
        for kind, declared in (("var", variables), ("local", module.locals), ("module", modules)):
            names = set(re.findall(rf"(?<![\w.\"-]){kind}\.(\w+)", text))
            used |= {f"{kind}.{name}" for name in names}
            yield from (f"{file}: {kind}.{name} is not declared" for name in sorted(names - set(declared)))
        yield from _of_things(reference.findall(text), things, provider, file)
    for kind, declared in (("var", variables), ("local", module.locals)):
        yield from (f"{kind}.{name} is declared and never used" for name in declared if f"{kind}.{name}" not in used)


def _of_things(
    found: Iterable[tuple[str, str, str, str]], things: set[tuple[bool, str, str]], provider: Provider, file: str
) -> Iterator[str]:
    for data, kind, name, attribute in found:
        where = f"{data}{kind}.{name}"
        schema = provider.schema(kind, data=bool(data))
        if (bool(data), kind, name) not in things:
            yield f"{file}: {where} is not declared"
        elif attribute and schema is not None and not schema.knows(attribute):
            yield f"{file}: {where} has no attribute {attribute}"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(key)
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
