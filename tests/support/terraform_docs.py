"""The pages of the Terraform modules and the package's copies of their tables: `make terraform-docs`.

A README says in words what a module is for; what it takes and gives is written here from `variables.tf` and
`outputs.tf`, between two markers. docs/terraform.md shows files of the examples in the same way, and a table of what
they cost. `tests/terraform` holds all of it to the files.
"""

from __future__ import annotations

import functools
import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import hcl2
from hcl2.utils import SerializationOptions

from penstock.config.loading import load
from penstock.planning.plan import plan
from penstock.planning.tables import Cloud
from penstock.planning.tables import load as table_of

ROOT = Path(__file__).parents[2]
MODULES = ROOT / "deploy" / "terraform"
TABLES = ROOT / "serve" / "penstock" / "planning" / "tables"
BEGIN = "<!-- Written by `make terraform-docs` from here: -->"
END = "<!-- to here. -->"
WALK = ROOT / "docs" / "terraform.md"
_SHOWN = re.compile(r"(<!-- (deploy/\S+), by `make terraform-docs` -->\n).*?(<!-- end of \2 -->)", re.DOTALL)
_COSTS = re.compile(r"(<!-- costs, by `make terraform-docs` -->\n).*?(<!-- end of costs -->)", re.DOTALL)
_OPTIONS = SerializationOptions(strip_string_quotes=True, with_comments=False, preserve_heredocs=False)


def read(path: Path) -> dict[str, Any]:
    """A file of Terraform; blocks by kind, each block with `__is_block__`."""
    return _parsed(path.read_text(encoding="utf-8"))


@functools.cache
def _parsed(text: str) -> dict[str, Any]:
    made: dict[str, Any] = hcl2.loads(text, serialization_options=_OPTIONS)
    return made


def modules() -> list[Path]:
    """Folders of modules, those with a page of their own."""
    return sorted(page.parent for page in MODULES.rglob("README.md") if BEGIN in page.read_text(encoding="utf-8"))


def files() -> dict[Path, str]:
    """Text of everything that is written, by path."""
    pages = {folder / "README.md": page(folder) for folder in modules()}
    copies = {TABLES / f"{table.parent.name}.yaml": table.read_text("utf-8") for table in MODULES.glob("*/gpus.yaml")}
    return pages | copies | {WALK: walk()}


def walk() -> str:
    """The page that walks the whole way, with the files that it shows and the costs as they are now."""

    def shown(found: re.Match[str]) -> str:
        path = ROOT / found[2]
        kind = {".tf": "hcl", ".yaml": "yaml"}[path.suffix]
        return f"{found[1]}```{kind}\n{path.read_text(encoding='utf-8')}```\n{found[3]}"

    text = _SHOWN.sub(shown, WALK.read_text(encoding="utf-8"))
    return _COSTS.sub(lambda found: f"{found[1]}{''.join(_costs())}{found[2]}", text)


def _costs() -> Iterator[str]:
    yield "| the minimal example on | idle | with its one GPU | prices of |\n| --- | --- | --- | --- |\n"
    for cloud in get_args(Cloud):
        document = load([MODULES / cloud / "examples" / "minimal" / "penstock.yaml"])
        made = plan(document, cloud, table_of(cloud), types={}, spot=[], sizes={})
        where = f"{cloud}, {made.region}"
        yield f"| {where} | {made.cost.idle:.2f} | {made.cost.most:.2f} | {made.prices} |\n"


def page(folder: Path) -> str:
    """A module's page with its variables and outputs as they are now."""
    text = (folder / "README.md").read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{''.join(_reference(folder))}{END}{tail}"


def _reference(folder: Path) -> Iterator[str]:
    for title, file, kind in (("Variables", "variables.tf", "variable"), ("Outputs", "outputs.tf", "output")):
        if not (folder / file).exists():
            continue
        yield f"\n## {title}\n\n"
        for block in read(folder / file).get(kind, []):
            ((name, body),) = block.items()
            yield from _entry(name, body, _default(body) if kind == "variable" else "")
    yield "\n"


def _entry(name: str, body: dict[str, Any], default: str) -> Iterator[str]:
    first, *rest = textwrap.dedent(body["description"]).strip("\n").split("\n")
    attributes = [line for line in rest if line.startswith(" ")]
    words = " ".join([first, *(line for line in rest if not line.startswith(" "))])
    yield f"- `{name}`{default}: {words}\n"
    for line in _joined(attributes):
        key, _, meaning = line.partition(": ")
        yield f"  - {', '.join(f'`{part.strip()}`' for part in key.split(','))}: {meaning}\n"


def _joined(lines: list[str]) -> Iterator[str]:
    """Attributes, each with the lines that go on with it, which stand deeper."""
    found: list[str] = []
    for line in lines:
        if line.startswith("   "):
            found[-1] += f" {line.strip()}"
        else:
            found.append(line.strip())
    yield from found


def _default(body: dict[str, Any]) -> str:
    if "default" not in body:
        return " (needed)"
    default = body["default"]
    if default is None or default in ({}, [], ""):
        return ""
    return f" (`{default if isinstance(default, str) else json.dumps(default)}`)"


def main() -> None:
    """Write all of them."""
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
