"""The probe of a head tells one that can be asked of its applications from one that cannot."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from penstock.assembly import head_health
from penstock.assembly.head_health import main, trouble
from support.engines import free_port
from support.quiet_server import QuietHandler, QuietServer, served

pytestmark = pytest.mark.integration


class _Head(QuietHandler):
    """Answers for the raylet, for applications to whoever has the token, and never for what hangs."""

    def do_GET(self) -> None:
        if self.path == "/hangs":
            self.server.go_on.wait(60)  # type: ignore[attr-defined]
        right = self.path == "/raylet" or self.headers["authorization"] == "Bearer right"
        self.send_response(200 if right else 401)
        self.end_headers()


@pytest.fixture
def port() -> Iterator[int]:
    server = QuietServer(("127.0.0.1", 0), _Head)
    server.go_on = threading.Event()  # type: ignore[attr-defined]
    with served(server):
        yield server.server_address[1]
        server.go_on.set()  # type: ignore[attr-defined]


@pytest.fixture
def head(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head_health, "RAYLET", ("127.0.0.1", port, "/raylet"))
    monkeypatch.setattr(head_health, "APPLICATIONS", ("127.0.0.1", port, "/applications"))


@pytest.mark.usefixtures("head")
def test_a_head_that_answers_with_the_token_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "right")
    assert main() == 0


@pytest.mark.usefixtures("head")
def test_one_that_refuses_is_not_and_the_token_is_not_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "wrong-token")
    assert main() == 1
    told = capsys.readouterr().out
    assert "/applications" in told
    assert "401" in told
    assert "wrong-token" not in told


def test_one_whose_controller_hangs_is_not(port: int) -> None:
    told = trouble("127.0.0.1", port, "/hangs", token="right", patience=0.2)
    assert told is not None
    assert "does not answer within 0.2 s" in told


def test_neither_is_one_where_nobody_listens() -> None:
    told = trouble("127.0.0.1", free_port(), "/raylet")
    assert told is not None
    assert "refused" in told
