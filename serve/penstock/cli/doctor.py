"""`penstock doctor`: look for what is wrong, here or in a cluster, and say what to do."""

from __future__ import annotations

from typing import Annotated

import typer
from pydantic import TypeAdapter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from penstock.cli import session
from penstock.cli.exits import FAILED
from penstock.cli.inputs import DEFAULT_DOCUMENT, Files, ModelSource, Sets, document
from penstock.config import Document
from penstock.doctor.examine import examine, has_problem
from penstock.doctor.facts import Running, RunningModel
from penstock.doctor.findings import Finding, Level
from penstock.doctor.gather import gather
from penstock.doctor.probes.pace import paces
from penstock.doctor.probes.running import answers, listener, listens
from penstock.errors import DocumentError, MachineError, PenstockError

_STYLE = {Level.OK: "green", Level.WARNING: "yellow", Level.PROBLEM: "bold red", Level.SKIPPED: "dim"}
_MARK = {Level.OK: "ok", Level.WARNING: "warning", Level.PROBLEM: "PROBLEM", Level.SKIPPED: "skipped"}


def doctor(
    *,
    files: Files = None,
    sets: Sets = None,
    model: ModelSource = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Ask the installed vLLM which options it knows; takes a minute.")
    ] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Ask nobody outside; look for weights in the cache only.")
    ] = False,
    context: Annotated[
        str | None,
        typer.Option("--context", help="Look at a release in a Kubernetes cluster instead, by a kubeconfig's context."),
    ] = None,
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="With --context: where the release is; else the context's.")
    ] = None,
    release: Annotated[
        str | None, typer.Option("--release", help="With --context: the Helm release; else the only one that is there.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look for what is wrong with the machine and the document, and say what to do.

    Without -f and without penstock.yaml it looks at the machine alone. With --context it looks at a release in a
    Kubernetes cluster, and only reads there. Ends with 1 where it finds a problem.

    Example: penstock doctor -f penstock.yaml

    Example: penstock doctor --context prod -n models
    """
    if context is not None:
        if files or sets or model or deep or offline:
            raise DocumentError(
                "--context looks at a cluster, where the document is in the release's own values.",
                remedy="Leave out -f, --set, --model, --deep and --offline, or --context.",
            )
        findings = _cluster(context, namespace or "", release or "")
    elif namespace or release:
        raise DocumentError(
            "-n and --release say which release of a cluster is meant, and no cluster is named.",
            remedy="Name one with --context; kubectl config get-contexts lists them.",
        )
    else:
        wanted, error = _document(files, sets, model)
        findings = examine(gather(wanted, document_error=error, running=_running(), offline=offline, deep=deep))
    if as_json:
        typer.echo(TypeAdapter(list[Finding]).dump_json(findings, indent=2).decode())
    else:
        _print(findings)
    if has_problem(findings):
        raise typer.Exit(FAILED)


def _cluster(context: str, namespace: str, release: str) -> list[Finding]:
    # Only now: the package is an extra.
    try:
        from penstock.doctor.cluster import examine as judge  # noqa: PLC0415
        from penstock.doctor.cluster import gather as look  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "kubernetes":
            raise
        raise MachineError(
            "Looking at a cluster needs the package kubernetes, which is not installed.",
            remedy="pip install 'penstock[kubernetes]'",
        ) from error
    return judge.examine(look.gather(context, namespace, release))


def _document(files: Files, sets: Sets, model: ModelSource) -> tuple[Document | None, DocumentError | None]:
    if not files and model is None and not DEFAULT_DOCUMENT.exists():
        return None, None
    try:
        return document(files, sets, model), None
    except DocumentError as error:
        return None, error


def _running() -> Running | None:
    here = session.running()
    if here is None:
        return None
    answered = answers(here.url)
    there = None if answered else listener(here.url)
    if not listens(here.ray_address):
        error = f"its Ray does not answer at {here.ray_address}."
        return Running(here.pid, here.url, answers=answered, error=error, listener=there)
    # Only now, because it imports Ray.
    from penstock.assembly.cluster import Cluster  # noqa: PLC0415

    try:
        cluster = Cluster.connect(here.ray_address)
        try:
            seen = cluster.status(here.url)
        finally:
            cluster.close()
    except PenstockError as error:
        return Running(here.pid, here.url, answers=answered, error=error.message, listener=there)
    models = []
    for found in seen.models:
        last = next((r.failure for r in reversed([*found.failures, *found.replicas]) if r.failure), None)
        cause, remedy = (last.cause, last.remedy) if last else ("", None)
        models.append(RunningModel(found.name, found.state.value, found.message, cause, remedy))
    numbers = paces(here.url) if answered else ()
    return Running(
        here.pid,
        here.url,
        seen.gateway.state.value,
        answered,
        models=tuple(models),
        paces=numbers,
        listener=there,
    )


def _print(findings: list[Finding]) -> None:
    console = Console(highlight=False)
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(style="bold", overflow="fold", max_width=28)
    table.add_column(overflow="fold")
    for finding in findings:
        said = Text(finding.found, "dim" if finding.level is Level.SKIPPED else "")
        if finding.remedy:
            said.append("\ndo: ", "bold green").append(finding.remedy)
        table.add_row(Text(_MARK[finding.level], _STYLE[finding.level]), finding.subject, said)
    console.print(table)
    problems = sum(finding.level is Level.PROBLEM for finding in findings)
    warnings = sum(finding.level is Level.WARNING for finding in findings)
    console.print(f"\n{_count(problems, 'problem')}, {_count(warnings, 'warning')}.")


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"
