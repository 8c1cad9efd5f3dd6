"""`penstock doctor` as a person runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from penstock.cli import doctor as command
from penstock.cli import session
from penstock.cli.main import main
from penstock.doctor.facts import Facts
from support.chat_servers import chat_server
from support.engines import free_port
from support.machines import machine


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "penstock.yaml"
    path.write_text(f"models: {{demo: {{engine: simulator}}}}\ngateway: {{port: {free_port()}}}\n", encoding="utf-8")
    return path


@pytest.fixture
def good_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine is another."""

    def gather(wanted: object, *, document_error: object, **_: object) -> Facts:
        said = getattr(document_error, "message", "")
        return machine(document=wanted, document_error=said)

    monkeypatch.setattr(command, "gather", gather)


@pytest.mark.usefixtures("good_machine")
def test_nothing_wrong_ends_with_0(document: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "-f", str(document)]) == 0
    assert "no problems, no warnings." in capsys.readouterr().out


@pytest.mark.usefixtures("good_machine")
def test_a_wrong_document_is_one_finding_among_the_machines(document: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document.write_text("modles: {}\n", encoding="utf-8")
    assert main(["doctor", "-f", str(document)]) == 1
    captured = capsys.readouterr()
    assert "modles" in captured.out
    assert "Python 3.11." in captured.out
    assert "1 problem, no warnings." in captured.out
    assert captured.err == ""


@pytest.mark.usefixtures("good_machine")
def test_without_a_document_the_machine_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["doctor"]) == 0
    assert "there is no penstock.yaml here" in " ".join(capsys.readouterr().out.split())


@pytest.mark.usefixtures("good_machine")
def test_the_document_of_this_folder_is_taken_without_being_named(
    document: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(document.parent)
    assert main(["doctor"]) == 0
    assert "serves demo" in capsys.readouterr().out


@pytest.mark.integration
def test_as_json_every_finding_has_its_level_and_problems_their_remedy(
    document: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["doctor", "-f", str(document), "--json", "--offline"])
    findings = json.loads(capsys.readouterr().out)
    assert {"subject", "level", "found", "remedy"} == set(findings[0])
    problems = [finding for finding in findings if finding["level"] == "problem"]
    assert status == bool(problems)
    assert all(finding["remedy"] for finding in problems)
    assert "weights of demo" in [finding["subject"] for finding in findings]


@pytest.mark.integration
def test_a_session_whose_ray_is_gone_is_a_finding(document: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with chat_server() as gone:
        url = gone.url
    session.write(session.own("127.0.0.1:1", url))
    assert main(["doctor", "-f", str(document), "--offline"]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "state cannot be read" in said
    assert "Traceback" not in said
