"""What the doctor says of machines and documents that are made up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock.doctor.examine import examine, has_problem
from penstock.doctor.facts import Disk, Facts, Gpus, Library, Memory, OpenFiles, Port, Running
from penstock.doctor.findings import Level
from support.machines import GIB, bad, document, gpus, machine, one, weights, with_gpus

PROBLEM, WARNING = Level.PROBLEM, Level.WARNING
SMALL_CACHE = {"VLLM_CPU_KVCACHE_SPACE": "1"}
DEMO = document(demo={"env": SMALL_CACHE})


def test_nothing_is_wrong_with_a_good_machine() -> None:
    assert bad(machine()) == []
    assert bad(machine(document=DEMO, weights=(weights("demo", 1),))) == []
    assert not has_problem(examine(machine()))


def test_a_python_that_ray_is_not_built_for_is_a_problem() -> None:
    facts = machine()
    found = one(replace(facts, software=replace(facts.software, python=(3, 13))), PROBLEM)
    assert "3.13" in found.found
    assert "3.11 and 3.12" in found.found


@pytest.mark.parametrize(("version", "said"), [(None, "not installed"), ("2.59.0", "exactly 2.60.0")])
def test_ray_is_there_in_exactly_the_wanted_version(version: str | None, said: str) -> None:
    facts = machine()
    found = one(replace(facts, software=replace(facts.software, ray=version)), PROBLEM)
    assert said in found.found
    assert found.remedy == "pip install 'ray[serve]==2.60.0'"


def test_a_missing_engine_is_a_problem_only_where_a_model_needs_it() -> None:
    facts = machine()
    facts = replace(facts, software=replace(facts.software, vllm=None, vllm_package=None))
    assert one(facts, WARNING).subject == "engine"
    assert one(replace(facts, document=DEMO, weights=(weights("demo", 1),)), PROBLEM).subject == "engine"
    assert bad(replace(facts, document=document(demo={"engine": "simulator"}))) == []


def test_the_engine_for_gpus_does_not_run_on_a_cpu_nor_the_other_way() -> None:
    on_gpu = document(demo={"hardware": "l4"})
    wrong = machine(document=on_gpu, gpus=gpus(1), weights=(weights("demo", 1),))
    assert "uses no GPU" in one(wrong, PROBLEM).found
    wrong = with_gpus(0, document=DEMO, weights=(weights("demo", 1),))
    assert "build for GPUs" in one(wrong, PROBLEM).found


def test_a_missing_system_library_is_named_with_the_command_that_installs_it() -> None:
    broken = (Library("libnuma.so.1", loads=False, error="cannot open shared object file"),)
    found = one(machine(libraries=broken), PROBLEM)
    assert "libnuma.so.1" in found.found
    assert found.remedy == "sudo apt-get install libnuma1"
    assert bad(with_gpus(1, libraries=broken)) == []


def test_a_document_that_cannot_be_read_is_a_problem_beside_the_machines_own() -> None:
    found = one(machine(document_error="penstock.yaml:3: unknown key `modles`"), PROBLEM)
    assert "modles" in found.found


def test_a_document_without_models_is_a_problem() -> None:
    assert "no models" in one(machine(document=document()), PROBLEM).found


def test_options_that_penstock_sets_itself_are_a_problem() -> None:
    facts = machine(document=document(demo={"env": SMALL_CACHE, "options": {"port": 1}}), weights=(weights("demo", 1),))
    assert "models.demo.options.port" in one(facts, PROBLEM).found


# Memory


def test_an_engine_that_needs_more_than_the_whole_memory_is_a_problem() -> None:
    facts = machine(document=DEMO, weights=(weights("demo", 14),))
    found = one(facts, PROBLEM)
    assert found.subject == "memory"
    assert "about 17.7 GiB" in found.found
    assert "16.0 GiB, 15.0 GiB of it free" in found.found


def test_an_engine_that_needs_more_than_what_is_free_is_a_warning() -> None:
    assert one(machine(document=DEMO, weights=(weights("demo", 12),)), WARNING).subject == "memory"


def test_every_replica_needs_its_own_memory() -> None:
    two = document(demo={"env": SMALL_CACHE, "replicas": 2})
    assert one(machine(document=two, weights=(weights("demo", 5),)), PROBLEM).subject == "memory"


def test_replicas_that_may_come_and_do_not_fit_are_a_warning() -> None:
    many = document(demo={"env": SMALL_CACHE, "replicas": {"min": 1, "max": 4}})
    assert "With all replicas" in one(machine(document=many, weights=(weights("demo", 1),)), WARNING).found


def test_a_model_scaled_to_zero_still_has_to_fit_once() -> None:
    none = document(demo={"env": SMALL_CACHE, "replicas": {"min": 0, "max": 1}})
    assert one(machine(document=none, weights=(weights("demo", 14),)), PROBLEM).subject == "memory"


def test_the_containers_limit_counts_and_not_the_machines_memory() -> None:
    small = Memory(64 * GIB, 60 * GIB, limit=4 * GIB, limit_used=GIB)
    found = one(machine(document=DEMO, weights=(weights("demo", 2),), memory=small), PROBLEM)
    assert "4.0 GiB (the container's limit), 3.0 GiB of it free" in found.found


def test_without_a_cache_size_of_its_own_an_engine_takes_92_percent_which_must_be_free() -> None:
    facts = machine(document=document(demo={}), weights=(weights("demo", 1),))
    assert bad(facts) == []
    found = one(replace(facts, memory=Memory(16 * GIB, 14 * GIB)), PROBLEM)
    assert "92%" in found.found
    assert "VLLM_CPU_KVCACHE_SPACE" in str(found.remedy)
    less = document(demo={"options": {"gpu-memory-utilization": 0.5}})
    assert bad(replace(facts, document=less, memory=Memory(16 * GIB, 14 * GIB))) == []


def test_two_engines_that_both_take_most_of_the_memory_are_a_problem_each() -> None:
    both = document(a={}, b={})
    found = bad(machine(document=both, weights=(weights("a", 1), weights("b", 1))))
    assert [(finding.level, finding.subject) for finding in found] == [
        (PROBLEM, "memory of a"),
        (PROBLEM, "memory of b"),
    ]


def test_the_cache_size_may_be_an_option_of_the_engine() -> None:
    given = document(demo={"options": {"kv_cache_memory_bytes": 14 * GIB}})
    assert one(machine(document=given, weights=(weights("demo", 1),)), PROBLEM).subject == "memory"


def test_what_the_running_penstock_uses_is_not_missing() -> None:
    serving = Running(1, "http://127.0.0.1:8000", "ready", answers=True)
    facts = machine(document=document(demo={}), weights=(weights("demo", 1),), memory=Memory(16 * GIB, 2 * GIB))
    assert bad(replace(facts, running=serving)) == []


# GPUs


def test_a_model_on_a_gpu_profile_and_no_gpu_is_a_problem() -> None:
    facts = with_gpus(0, document=document(demo={"hardware": "l4"}), weights=(weights("demo", 1),))
    found = one(facts, PROBLEM)
    assert "'l4'" in found.found
    assert "simulator" in str(found.remedy)


def test_what_keeps_the_gpus_from_being_counted_is_told() -> None:
    assert "driver mismatch" in one(machine(gpus=Gpus(error="driver mismatch")), WARNING).found


def test_more_gpus_than_there_are_is_a_problem_now_and_a_warning_later() -> None:
    now = document(demo={"hardware": "l4", "gpus": 2, "replicas": 2})
    facts = with_gpus(2, document=now, weights=(weights("demo", 8),))
    assert "need 4 GPUs" in one(facts, PROBLEM).found
    later = document(demo={"hardware": "l4", "gpus": 2, "replicas": {"min": 1, "max": 2}})
    assert "needs 4 GPUs" in one(replace(facts, document=later), WARNING).found


@pytest.mark.parametrize(("size", "level"), [(8, None), (21, WARNING), (23, PROBLEM)])
def test_weights_have_to_fit_into_the_gpus_with_room_for_the_cache(size: float, level: Level | None) -> None:
    facts = with_gpus(1, document=document(demo={"hardware": "l4"}), weights=(weights("demo", size),))
    assert [finding.level for finding in bad(facts)] == ([level] if level else [])
    assert bad(replace(facts, document=document(demo={"hardware": "l4", "gpus": 2}), gpus=gpus(2))) == []


def test_a_gpu_that_somebody_else_uses_is_a_problem_where_no_other_is_left() -> None:
    facts = with_gpus(1, document=document(demo={"hardware": "l4"}), weights=(weights("demo", 1),))
    assert "GPU 0 has 4.0 GiB of 24.0 GiB free" in one(replace(facts, gpus=gpus(1, free=4)), PROBLEM).found
    mixed = Gpus((*gpus(1).found, *gpus(1, free=4).found))
    assert one(replace(facts, gpus=mixed), WARNING).subject == "gpus"
    serving = Running(1, "http://127.0.0.1:8000", "ready", answers=True)
    assert bad(replace(facts, gpus=gpus(1, free=4), running=serving)) == []


# The rest of the machine


def test_one_core_is_little_for_an_engine_on_the_cpu() -> None:
    assert one(machine(cores=1.0, document=DEMO, weights=(weights("demo", 1),)), WARNING).subject == "processors"
    assert bad(machine(cores=1.0)) == []


def test_a_disk_too_small_for_what_must_be_downloaded_is_a_problem() -> None:
    facts = machine(document=DEMO, weights=(weights("demo", 2),), cache=Disk("/c", 10 * GIB, GIB))
    assert "2.0 GiB must be downloaded" in one(facts, PROBLEM).found
    assert bad(replace(facts, weights=(weights("demo", 2, cached=True),))) == []


def test_weights_that_two_models_share_are_downloaded_once() -> None:
    two = document(a={"source": "hf://x/y", "env": SMALL_CACHE}, b={"source": "hf://x/y", "env": SMALL_CACHE})
    same = tuple(replace(weights(name, 1), source="hf://x/y") for name in "ab")
    assert bad(machine(document=two, weights=same, cache=Disk("/c", 10 * GIB, int(1.5 * GIB)))) == []


def test_a_cache_that_cannot_be_written_is_a_problem() -> None:
    assert "cannot be written" in one(machine(cache=Disk("/c", 10, 10, writable=False)), PROBLEM).found


def test_a_limit_of_the_cache_that_is_less_than_one_model_is_a_problem() -> None:
    limited = DEMO.model_copy(update={"weights": DEMO.weights.model_copy(update={"limit": GIB})})
    facts = machine(document=limited, weights=(weights("demo", 2),))
    assert "weights.limit" in one(facts, PROBLEM).found


def test_little_shared_memory_is_a_warning() -> None:
    found = one(machine(shared_memory=Disk("/dev/shm", 64 * 2**20, 64 * 2**20)), WARNING)
    assert "--shm-size" in str(found.remedy)


def test_the_limit_of_open_files_must_bear_the_gateways_connections() -> None:
    facts = machine(document=DEMO, weights=(weights("demo", 1),), open_files=OpenFiles(1024, 1 << 20))
    assert str(one(facts, WARNING).remedy).startswith("ulimit -n 8704")
    assert "As root" in str(one(replace(facts, open_files=OpenFiles(1024, 4096)), WARNING).remedy)
    assert bad(replace(facts, open_files=OpenFiles(None, None))) == []


def test_a_port_that_another_program_holds_is_a_problem_that_names_it() -> None:
    held = Port("127.0.0.1", 8000, error="in use", taken=True, holder_pid=7, holder="nginx")
    found = one(machine(port=held), PROBLEM)
    assert "by nginx (process 7)" in found.found
    assert "gateway.port=8001" in str(found.remedy)
    assert bad(machine(port=held, running=Running(7, "http://127.0.0.1:8000", "ready", answers=True))) == []


def test_a_port_that_this_user_may_not_use_is_a_problem() -> None:
    refused = Port("127.0.0.1", 80, error="Permission denied")
    assert "Permission denied" in one(machine(port=refused), PROBLEM).found


def test_a_machine_of_which_nothing_is_known_is_judged_all_the_same() -> None:
    unknown = Facts(software=machine().software, document=DEMO)
    assert {finding.level for finding in examine(unknown)} <= {Level.OK, Level.SKIPPED}
