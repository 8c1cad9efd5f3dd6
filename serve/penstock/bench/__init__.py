"""Measures addresses side by side, interleaved: `run_bench`, and the table, JSON, Markdown and picture of its result.

Used by `penstock bench`.
"""

from penstock.bench.markdown import to_markdown
from penstock.bench.picture import write_png
from penstock.bench.plan import Plan, Target
from penstock.bench.progress import live_progress
from penstock.bench.result import Result, to_json, write_json
from penstock.bench.runner import Progress, run_bench
from penstock.bench.table import render_table

__all__ = [
    "Plan",
    "Progress",
    "Result",
    "Target",
    "live_progress",
    "render_table",
    "run_bench",
    "to_json",
    "to_markdown",
    "write_json",
    "write_png",
]
