"""What `up` and `status` show of a running Penstock: tables for a terminal, lines for a log."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from penstock.assembly.status import GatewayStatus, ModelStatus, ReplicaStatus, State, Status
from penstock.board import Phase

_STATE_STYLE = {
    State.STARTING: "yellow",
    State.READY: "green",
    State.DEGRADED: "yellow",
    State.IDLE: "cyan",
    State.FAILED: "bold red",
    State.STOPPING: "dim",
}
_SAID = {
    Phase.QUEUED: "waiting for a place",
    Phase.BACKING_OFF: "backing off",
    Phase.FETCHING: "weights",
    Phase.STARTING: "engine starting",
    Phase.LOADING: "loading weights",
    Phase.WARMING: "warming up",
    Phase.READY: "ready",
    Phase.DRAINING: "finishing requests",
    Phase.FAILED: "failed",
}


def clock(seconds: float) -> str:
    """`0:07`, `12:30`, `1:02:03`."""
    minutes, rest = divmod(int(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def starting(status: Status | None, *, elapsed: float, now: float) -> RenderableType:
    """The live picture while everything starts."""
    head = Text.assemble(("Penstock ", "bold"), "is starting ", (clock(elapsed), "dim"))
    if status is None:
        return Group(head, Spinner("dots", Text(" Ray is starting")))
    table = Table.grid(padding=(0, 2))
    for model in status.models:
        for replica in _or_none(model.replicas):
            table.add_row(Text(model.name, "bold"), *_doing(model, replica, now))
    table.add_row(Text("gateway", "bold"), Text(status.gateway.state, _STATE_STYLE[status.gateway.state]), "", "")
    return Group(head, table)


def _or_none(replicas: list[ReplicaStatus]) -> list[ReplicaStatus | None]:
    """A row is shown for a model without replicas too."""
    return [*replicas] or [None]


def _doing(model: ModelStatus, replica: ReplicaStatus | None, now: float) -> tuple[Text, Text, Text]:
    if replica is None:
        return Text(model.state, _STATE_STYLE[model.state]), Text(""), Text(model.message)
    style = "green" if replica.phase is Phase.READY else "bold red" if replica.phase is Phase.FAILED else "yellow"
    waited = clock(now - replica.since) if replica.since and replica.phase is not Phase.READY else ""
    return Text(_SAID[replica.phase], style), Text(waited, "dim"), Text(replica.detail or _track(replica), "dim")


def _track(replica: ReplicaStatus) -> str:
    """How long the phases before took: `weights 0:03 · engine starting 0:12`."""
    marks = replica.phases
    pairs = itertools.pairwise(marks)
    return " · ".join(f"{_SAID[before.phase]} {clock(after.at - before.at)}" for before, after in pairs)


def overview(status: Status, *, now: float) -> RenderableType:
    """The tables of `penstock status`."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("MODEL", "STATE", "REPLICA", "PHASE", "FOR", "ENGINE PIDS", "DETAIL"):
        table.add_column(column, overflow="fold")
    for model in status.models:
        for index, replica in enumerate(_or_none(model.replicas)):
            first = index == 0
            table.add_row(
                Text(model.name if first else ""),
                Text(model.state if first else "", _STATE_STYLE[model.state]),
                *_replica_cells(replica, now),
                Text((replica.detail or _track(replica) if replica else "") or (model.message if first else "")),
            )
    return Group(_gateway_line(status.gateway), table, *_providers(status), *_failures(status, now))


def _replica_cells(replica: ReplicaStatus | None, now: float) -> tuple[str, str, str, str]:
    if replica is None:
        return ("-", "-", "-", "-")
    waited = clock(now - replica.since) if replica.since else "-"
    return replica.replica, _SAID[replica.phase], waited, " ".join(map(str, replica.engine_pids)) or "-"


def _gateway_line(gateway: GatewayStatus) -> Text:
    line = Text.assemble(("gateway ", "bold"), (gateway.state, _STATE_STYLE[gateway.state]), f"  {gateway.url}/v1")
    return line.append(f"  {gateway.message}") if gateway.message else line


def _providers(status: Status) -> Iterator[RenderableType]:
    for provider in status.providers:
        style = "green" if provider.state == "asked" else "bold red"
        yield Text.assemble(("provider ", "bold"), f"{provider.name}  ", (provider.state, style))


def _failures(status: Status, now: float) -> Iterator[RenderableType]:
    for model in status.models:
        for replica in [*model.failures[-1:], *(r for r in model.replicas if r.failure)]:
            if (failure := replica.failure) is None:
                continue
            ago = f" ({clock(now - replica.since)} ago)" if replica.since else ""
            yield Text.assemble("\n", (f"{model.name}: ", "bold"), (failure.cause, "red"), (ago, "dim"))
            if failure.remedy:
                yield Text.assemble(("  do: ", "bold green"), failure.remedy)
            yield Text("\n".join(f"  | {line}" for line in failure.log_tail[-12:]), "dim")


class Events:
    """What changed between two looks, as lines: for logs, and for a terminal once everything is ready."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, ...]] = {}

    def since_last(self, status: Status) -> list[str]:
        lines: list[str] = []
        for model in status.models:
            for replica in [*model.failures, *model.replicas]:
                reason = f": {replica.failure.cause}" if replica.failure else ""
                said = f"{model.name} {_SAID[replica.phase]}{reason}"
                if self._changed(f"replica/{replica.replica}", replica.phase):
                    lines.append(f"{said}  (replica {replica.replica})")
            if self._changed(f"model/{model.name}", model.state) and model.state is not State.STARTING:
                lines.append(f"{model.name} is {model.state}" + (f": {model.message}" if model.message else ""))
        if self._changed("gateway", status.gateway.state):
            lines.append(f"gateway is {status.gateway.state}")
        return lines

    def _changed(self, key: str, *value: str) -> bool:
        changed = self._seen.get(key) != value
        self._seen[key] = value
        return changed


def how_to_call(url: str, model: str | None, *, page: bool = False) -> str:
    """A curl and a Python call that work as pasted, and where the page is, if there is one."""
    if model is None:
        return f"Listening on {url}/v1, with no models."
    browser = f"In a browser: {url}/\n" if page else ""
    return f"""\
Serving at {url}/v1

curl {url}/v1/chat/completions -H 'content-type: application/json' \\
  -d '{{"model": "{model}", "messages": [{{"role": "user", "content": "What is the capital of France?"}}]}}'

python - <<'PY'
from openai import OpenAI
client = OpenAI(base_url="{url}/v1", api_key="none")
answer = client.chat.completions.create(
    model="{model}", temperature=0, messages=[{{"role": "user", "content": "What is the capital of France?"}}]
)
print(answer.choices[0].message.content)
PY

{browser}In the terminal: penstock chat. Ctrl-C stops everything."""


def stamp() -> str:
    """The time of a line."""
    return time.strftime("%H:%M:%S")
