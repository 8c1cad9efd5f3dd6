"""Writes the chart's generated files: `python -m penstock.chart deploy/helm/penstock`."""

from __future__ import annotations

import sys
from pathlib import Path

from penstock.chart.artifacts import files


def main(chart: Path) -> None:
    """Write all of them into the chart's folder."""
    for name, text in files().items():
        path = chart / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
