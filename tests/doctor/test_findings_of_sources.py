"""What the doctor says of where weights come from, of the clock, of options, and of a running Penstock."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock.doctor.examine import examine
from penstock.doctor.facts import Flags, Host, Running, RunningModel, Weights
from penstock.doctor.findings import Level
from support.machines import bad, document, machine, one, weights

PROBLEM, WARNING = Level.PROBLEM, Level.WARNING
DEMO = document(demo={"env": {"VLLM_CPU_KVCACHE_SPACE": "1"}, "options": {"max-model-len": 512}})
HERE = machine(document=DEMO, weights=(weights("demo", 1),))
HUB = "https://hub.example"


def test_a_source_that_refuses_is_a_problem_with_the_sources_own_remedy() -> None:
    refused = Weights("demo", "hf://acme/demo", error="It is gated.", remedy="Ask for access.")
    found = one(replace(HERE, weights=(refused,)), PROBLEM)
    assert (found.subject, found.found, found.remedy) == ("weights of demo", "It is gated.", "Ask for access.")


def test_a_source_that_does_not_answer_is_no_problem_where_the_weights_are_here() -> None:
    silent = Weights("demo", "hf://acme/demo", error="No answer.", unreachable=True)
    away = replace(HERE, hosts=(Host(HUB, error="timed out"),), weights=(silent,))
    assert [finding.level for finding in bad(away)] == [PROBLEM, PROBLEM]
    cached = weights("demo", 1, error="No answer.", unreachable=True, cached=True)
    assert [finding.level for finding in bad(replace(away, weights=(cached,)))] == [WARNING, WARNING]


def test_offline_weights_that_are_not_here_are_a_problem() -> None:
    absent = Weights("demo", "hf://acme/demo")
    found = one(replace(HERE, offline=True, weights=(absent,)), PROBLEM)
    assert "penstock pull" in str(found.remedy)
    assert bad(replace(HERE, offline=True, weights=(weights("demo", 1, cached=True),))) == []


def test_the_simulator_needs_no_weights() -> None:
    findings = examine(machine(document=document(demo={"engine": "simulator", "source": None})))
    (found,) = [finding for finding in findings if finding.subject == "weights of demo"]
    assert found.level is Level.SKIPPED


@pytest.mark.parametrize(("skew", "wrong"), [(0.5, False), (-299, False), (3600, True), (-3600, True)])
def test_a_clock_that_is_off_is_a_problem(skew: float, wrong: bool) -> None:
    facts = replace(HERE, hosts=(Host(HUB, skew=skew), Host("https://other.example", skew=0.0)))
    assert bool(bad(facts)) is wrong
    if wrong:
        assert ("ahead of" if skew > 0 else "behind") in one(facts, PROBLEM).found


def test_a_clock_before_the_packages_own_files_is_a_warning() -> None:
    assert one(machine(clock=1e9, installed_at=1e9 + 60), WARNING).subject == "clock"


def test_an_option_that_the_installed_vllm_does_not_know_is_told_with_the_nearest() -> None:
    known = frozenset({"max_model_len", "seed"})
    assert bad(replace(HERE, flags=Flags(known))) == []
    wrong = document(demo={"env": {"VLLM_CPU_KVCACHE_SPACE": "1"}, "options": {"max_modle_len": 512}})
    found = one(replace(HERE, document=wrong, flags=Flags(known)), PROBLEM)
    assert "did you mean 'max_model_len'?" in found.found
    assert bad(replace(HERE, document=wrong, flags=Flags(error="no vLLM"))) == []


def test_a_dotted_option_sets_a_key_inside_a_known_one() -> None:
    dotted = document(demo={"env": {"VLLM_CPU_KVCACHE_SPACE": "1"}, "options": {"compilation_config.mode": 0}})
    assert bad(replace(HERE, document=dotted, flags=Flags(frozenset({"compilation_config"})))) == []


def _running(**changes: object) -> Running:
    models = (RunningModel("demo", "ready"),)
    return replace(Running(7, "http://127.0.0.1:8000", "ready", answers=True, models=models), **changes)  # type: ignore[arg-type]


def test_a_running_penstock_that_is_well_is_ok() -> None:
    assert bad(machine(running=_running())) == []


def test_a_model_that_failed_is_a_problem_with_its_cause_and_remedy() -> None:
    failed = RunningModel("demo", "failed", "x", cause="The GPU has too little memory.", remedy="Lower max_model_len.")
    found = one(machine(running=_running(models=(failed,))), PROBLEM)
    assert found.found == "It is failed: The GPU has too little memory."
    assert found.remedy == "Lower max_model_len."


def test_a_model_whose_replica_was_replaced_is_a_warning() -> None:
    replaced = RunningModel("demo", "ready", cause="The engine was ended by SIGKILL.")
    assert "SIGKILL" in one(machine(running=_running(models=(replaced,))), WARNING).found


@pytest.mark.parametrize("changes", [{"answers": False, "models": ()}, {"error": "no Ray there"}])
def test_a_running_penstock_that_does_not_answer_is_a_problem(changes: dict[str, object]) -> None:
    assert one(machine(running=_running(**changes)), PROBLEM).subject == "running"
