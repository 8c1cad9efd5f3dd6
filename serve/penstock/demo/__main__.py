"""`python -m penstock.demo DIRECTORY [--embedding LINK]`: makes the demo model, and points at the embedding model."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from penstock.demo.embedding import link_embedding_model
from penstock.demo.making import make_demo_model
from penstock.errors import PenstockError


def main(arguments: list[str]) -> int:
    """Exit status: 0, or 1 after an error that was printed."""
    parser = argparse.ArgumentParser(prog="python -m penstock.demo", description=__doc__)
    parser.add_argument("directory", type=Path, metavar="DIRECTORY", help="where the demo model goes")
    parser.add_argument(
        "--embedding", type=Path, metavar="LINK", help="also make this a link to the installed all-MiniLM-L6-v2"
    )
    options = parser.parse_args(arguments)
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=console) as bar:
            task = bar.add_task("", total=1.0)
            make_demo_model(options.directory, lambda what, done: bar.update(task, description=what, completed=done))
        if options.embedding is not None:
            link_embedding_model(options.embedding)
    except PenstockError as error:
        console.print(str(error), style="red", markup=False, highlight=False)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
