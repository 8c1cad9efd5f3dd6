"""`penstock doctor` as a person runs it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from penstock.cli import doctor as command
from penstock.cli import session
from penstock.cli.main import main
from penstock.doctor.cluster import gather as looking
from penstock.doctor.cluster.facts import ClusterFacts
from penstock.doctor.facts import Facts
from support.chat_servers import chat_server
from support.clusters import cluster
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


@pytest.fixture
def good_cluster(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, str]]:
    """The cluster is another. Gives what it was asked for."""
    asked: list[tuple[str, str, str]] = []

    def gather(context: str, namespace: str, release: str) -> ClusterFacts:
        asked.append((context, namespace, release))
        return cluster() if not release else cluster(release=None, wanted=release)

    monkeypatch.setattr(looking, "gather", gather)
    return asked


def test_a_cluster_that_is_well_ends_with_0(
    good_cluster: list[tuple[str, str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--context", "prod", "-n", "models"]) == 0
    assert good_cluster == [("prod", "models", "")]
    said = " ".join(capsys.readouterr().out.split())
    assert "chat and small can be asked at" in said
    assert "Python 3.11" not in said


@pytest.mark.usefixtures("good_cluster")
def test_a_release_that_is_not_there_ends_with_1_also_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--context", "prod", "--release", "other", "--json"]) == 1
    findings = json.loads(capsys.readouterr().out)
    assert [found["subject"] for found in findings if found["level"] == "problem"] == ["release"]


@pytest.mark.parametrize("more", [["-n", "models"], ["--release", "r"], ["--context", "c", "--deep"]])
def test_options_of_a_cluster_and_of_this_machine_do_not_mix(
    more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", *more]) != 0
    assert "--context" in capsys.readouterr().err


def test_without_the_package_for_kubernetes_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith(("kubernetes", "penstock.doctor.cluster"))]:
        monkeypatch.delitem(sys.modules, name)
    package = sys.modules["penstock.doctor"]
    monkeypatch.delattr(package, "cluster", raising=False)
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    assert main(["doctor", "--context", "prod"]) != 0
    assert "penstock[kubernetes]" in capsys.readouterr().err
