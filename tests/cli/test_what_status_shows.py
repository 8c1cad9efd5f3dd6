"""The table of `penstock status`, for people."""

from __future__ import annotations

from rich.console import Console

from penstock.assembly.status import GatewayStatus, ModelStatus, ReplicaStatus, State, Status
from penstock.board import Phase, PhaseMark
from penstock.cli.picture import overview

START = [(Phase.FETCHING, 100.0), (Phase.STARTING, 103.0), (Phase.LOADING, 115.0), (Phase.WARMING, 120.0)]


def _shown(*marks: tuple[Phase, float], detail: str = "") -> str:
    phases = [PhaseMark(phase=phase, at=at) for phase, at in marks]
    last, since = marks[-1]
    replica = ReplicaStatus(replica="r1", phase=last, since=since, phases=phases, detail=detail)
    model = ModelStatus(name="m", state=State.READY, replicas=[replica])
    console = Console(width=300)
    with console.capture() as capture:
        console.print(
            overview(Status(gateway=GatewayStatus(url="http://h", state=State.READY), models=[model]), now=190.0)
        )
    return capture.get()


def test_a_ready_replica_shows_how_long_each_phase_of_its_start_took() -> None:
    shown = _shown(*START, (Phase.READY, 130.0))
    assert "weights 0:03 · engine starting 0:12 · loading weights 0:05 · warming up 0:10" in shown
    assert "1:00" in shown


def test_what_a_replica_says_of_its_phase_goes_first() -> None:
    shown = _shown(*START[:2], detail="1.2 of 4.0 GiB")
    assert "1.2 of 4.0 GiB" in shown
    assert "weights 0:03" not in shown
