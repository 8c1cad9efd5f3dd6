"""What the chart makes of each example, as text in tests/chart/golden. `make chart-golden` writes it anew, with
`python -m support.golden`; a test compares."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from support.charts import EXAMPLES, Rendered, example, render

FOLDER = Path(__file__).parents[1] / "chart" / "golden"
REGENERATE = "make chart-golden"


def names() -> list[str]:
    """Of the examples."""
    return [path.stem.removeprefix("values-") for path in EXAMPLES]


def golden(name: str) -> str:
    """What an example becomes: objects in the order of their names, keys in the order of the alphabet."""
    head = f"# What the chart makes of examples/values-{name}.yaml. Written by `{REGENERATE}`.\n"
    return head + _text(render(example(name), release="penstock"))


def _text(rendered: Rendered) -> str:
    objects = sorted(map(_steady, rendered.steady), key=lambda thing: (thing["kind"], thing["metadata"]["name"]))
    return yaml.dump_all(objects, Dumper=_Dumper, explicit_start=True, allow_unicode=True, width=120)


def _steady(thing: dict[str, Any]) -> dict[str, Any]:
    """Without the dashboard, which is a file of its own."""
    if thing["kind"] == "ConfigMap" and thing["metadata"]["name"].endswith("-dashboard"):
        return {**thing, "data": dict.fromkeys(thing["data"], "(files/dashboards)")}
    return thing


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks, which can be read and compared line by line; no references."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    if "\n" not in text:
        return dumper.represent_scalar("tag:yaml.org,2002:str", text)
    # A block cannot hold spaces at the end of a line.
    lines = "\n".join(line.rstrip() for line in text.splitlines()) + "\n"
    return dumper.represent_scalar("tag:yaml.org,2002:str", lines, style="|")


_Dumper.add_representer(str, _represent)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for stale in FOLDER.glob("*.yaml"):
        stale.unlink()
    for each in names():
        (FOLDER / f"{each}.yaml").write_text(golden(each), encoding="utf-8")
