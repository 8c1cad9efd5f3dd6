"""`penstock bench`: measure one or several addresses side by side, interleaved in one run."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from penstock.assembly import accounts_cost, cache_cost
from penstock.assembly.cold_start import cold_starts, told
from penstock.assembly.comparison import side_by_side
from penstock.bench import (
    Plan,
    Result,
    Target,
    live_progress,
    render_table,
    run_bench,
    to_markdown,
    write_json,
    write_png,
)
from penstock.cli import inputs, session
from penstock.cli.inputs import Files, Sets
from penstock.config import Document
from penstock.environment import variable
from penstock.errors import DocumentError

EXAMPLE_DOCUMENT = Path("examples/demo.yaml")


def bench(
    targets: Annotated[
        list[str] | None,
        typer.Option(
            "--target",
            "-t",
            help="An address: NAME=URL or NAME=URL,MODEL. The first is compared with.",
            metavar="TARGET",
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Model of targets that name none.", metavar="NAME")] = None,
    concurrency: Annotated[list[int] | None, typer.Option("--concurrency", "-c", help="Streams at once.")] = None,
    rounds: Annotated[int, typer.Option(help="Measured rounds; each gives every target a slot.")] = 9,
    max_tokens: Annotated[int, typer.Option(help="Tokens of each answer.")] = 64,
    first_token: Annotated[
        int, typer.Option(help="Also so many short pairs at one stream, for the time to first token.", metavar="PAIRS")
    ] = 0,
    api_key_env: Annotated[
        str | None, typer.Option(help="Environment variable that holds the key of the targets.", metavar="NAME")
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Start bare vLLM, Penstock and simulators here, and compare them.")
    ] = False,
    accounts: Annotated[
        bool,
        typer.Option(
            "--accounts", help="Start gateways with and without keys, limits and usage here, and compare them."
        ),
    ] = False,
    cache: Annotated[
        bool, typer.Option("--cache", help="Start gateways with and without a cache of answers here, and compare them.")
    ] = False,
    cold_start: Annotated[
        int, typer.Option(help="Instead: so many starts from no engine, bare and Penstock's in turn.", metavar="PAIRS")
    ] = 0,
    held: Annotated[int, typer.Option(help="Requests that wait for each start of Penstock's engine.")] = 50,
    files: Files = None,
    sets: Sets = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for JSON, pictures and Markdown.", metavar="FOLDER")
    ] = None,
) -> None:
    """Drive addresses in a closed loop of streams and print throughput, latencies, errors and processor time.

    Example: penstock bench -t bare=http://127.0.0.1:8001/v1,demo -t penstock=http://127.0.0.1:8000/v1,demo -c 1 -c 32
    """
    console = Console()
    plans = {"load": Plan(concurrencies=tuple(concurrency or (1, 8, 32)), rounds=rounds, max_tokens=max_tokens)}
    if first_token:
        plans["first-token"] = Plan.first_token(first_token)
    if compare or cold_start:
        document = inputs.document(files or ([EXAMPLE_DOCUMENT] if EXAMPLE_DOCUMENT.exists() else None), sets)
    if cold_start:
        folder = output or Path("build/bench")
        folder.mkdir(parents=True, exist_ok=True)
        found = asyncio.run(cold_starts(document, folder, console.print, pairs=cold_start, requests=held))
        table = told(found, held)
        (folder / "cold-start.md").write_text(table + "\n", encoding="utf-8")
        console.print(table, highlight=False)
    elif accounts:
        runs = accounts_cost.runs(rounds=rounds, pairs=first_token or 200, max_tokens=max_tokens)
        asyncio.run(_with_and_without(runs, output or Path("build/bench"), console))
    elif cache:
        asyncio.run(_cached_or_not(cache_cost.plan(first_token or 200), output or Path("build/bench"), console))
    elif compare:
        asyncio.run(_compare(document, plans, output or Path("build/bench"), console))
    else:
        chosen = _targets(targets, model, api_key_env)
        asyncio.run(_measure(chosen, plans, "bench", output, console))


async def _compare(document: Document, plans: dict[str, Plan], output: Path, console: Console) -> None:
    async with side_by_side(document, output, console.print) as compared:
        await _measure(compared.engine, plans, "vllm", output, console)
        await _measure(compared.gateway, plans, "gateway", output, console)
        await _measure(compared.simulator, plans, "simulator", output, console)


async def _with_and_without(runs: list[accounts_cost.Run], output: Path, console: Console) -> None:
    folder = (output / "accounts").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    async with accounts_cost.with_and_without(folder, console.print) as targets_of:
        for run in runs:
            await _measure(targets_of(run.model), {run.name: run.plan}, "accounts", output, console)


async def _cached_or_not(plan: Plan, output: Path, console: Console) -> None:
    folder = (output / "cache").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    async with cache_cost.with_and_without(folder, console.print) as targets:
        await _measure(targets, {"first-token": plan}, "cache", output, console)


async def _measure(
    targets: list[Target], plans: dict[str, Plan], name: str, output: Path | None, console: Console
) -> None:
    for kind, plan in plans.items():
        with live_progress(console) as on_progress:
            result = await run_bench(plan, targets, on_progress=on_progress)
        console.print(render_table(result))
        if output is not None:
            _write(result, output, f"{name}-{kind}", console)


def _write(result: Result, folder: Path, name: str, console: Console) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_json(result, folder / f"{name}.json")
    write_png(result, folder / f"{name}.png")
    (folder / f"{name}.md").write_text(to_markdown(result), encoding="utf-8")
    console.print(f"{folder / name}.json, .png and .md are written.", highlight=False)


def _targets(texts: list[str] | None, model: str | None, api_key_env: str | None) -> list[Target]:
    key = None
    if api_key_env is not None and (key := variable(api_key_env)) is None:
        raise DocumentError(f"--api-key-env: the variable {api_key_env} is not set.", remedy="Set it, or leave it out.")
    if not texts:
        here = session.find()
        texts = [f"penstock={here.url}/v1"]
    return [_target(text, model, key) for text in texts]


def _target(text: str, model: str | None, key: str | None) -> Target:
    name, found, rest = text.partition("=")
    url, _, named = rest.partition(",")
    asked = named or model
    if not found or not url:
        raise DocumentError(f"--target: {text!r} is no target.", remedy="Write NAME=URL or NAME=URL,MODEL.")
    if not asked:
        raise DocumentError(f"--target: {text!r} names no model.", remedy="Write NAME=URL,MODEL, or give --model.")
    return Target(name, url, asked, api_key=key)
