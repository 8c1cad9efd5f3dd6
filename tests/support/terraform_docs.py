"""The pages of the Terraform modules and the package's copies of their tables: `make terraform-docs`.

A README says in words what a module is for; what it takes and gives is written here from `variables.tf` and
`outputs.tf`, between two markers. `tests/terraform` holds both to the files.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hcl2
from hcl2.utils import SerializationOptions

ROOT = Path(__file__).parents[2]
MODULES = ROOT / "deploy" / "terraform"
TABLES = ROOT / "serve" / "penstock" / "planning" / "tables"
BEGIN = "<!-- Written by `make terraform-docs` from here: -->"
END = "<!-- to here. -->"
_OPTIONS = SerializationOptions(strip_string_quotes=True, with_comments=False, preserve_heredocs=False)


def read(path: Path) -> dict[str, Any]:
    """A file of Terraform; blocks by kind, each block with `__is_block__`."""
    made: dict[str, Any] = hcl2.loads(path.read_text(encoding="utf-8"), serialization_options=_OPTIONS)
    return made


def modules() -> list[Path]:
    """Folders of modules, those with a page of their own."""
    return sorted(page.parent for page in MODULES.rglob("README.md") if BEGIN in page.read_text(encoding="utf-8"))


def files() -> dict[Path, str]:
    """Text of everything that is written, by path."""
    pages = {folder / "README.md": page(folder) for folder in modules()}
    copies = {TABLES / f"{table.parent.name}.yaml": table.read_text("utf-8") for table in MODULES.glob("*/gpus.yaml")}
    return pages | copies


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
