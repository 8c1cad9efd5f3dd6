"""Whose CPU seconds are whose."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.bench.cpu import CpuMeter, difference, roles_of


def test_a_descendant_belongs_to_its_nearest_ancestor_with_a_role() -> None:
    # 1 is the replica, 3 the engine that it started, 5 a process of the engine's; 9 has nothing to do with them.
    parents = {1: 0, 2: 1, 3: 2, 4: 1, 5: 3, 9: 8}
    roles = roles_of(parents, {1: "replica", 3: "engine"})
    assert roles == {1: "replica", 2: "replica", 4: "replica", 3: "engine", 5: "engine"}


@given(st.dictionaries(st.integers(0, 20), st.integers(0, 20)), st.dictionaries(st.integers(0, 20), st.just("role")))
def test_parents_in_a_circle_do_not_hang_it(parents: dict[int, int], roots: dict[int, str]) -> None:
    # Process ids are used again, so what was read one after the other may make no sense.
    assert set(roles_of(parents, roots)) <= set(parents)


def test_new_processes_count_from_their_beginning_and_ended_ones_no_more() -> None:
    before = {(1, 0.0): ("engine", 5.0), (2, 0.0): ("engine", 7.0)}
    after = {(1, 0.0): ("engine", 6.5), (2, 9.0): ("engine", 0.25)}
    assert difference({"engine": [1], "gateway": [4]}, before, after) == {"engine": 1.75, "gateway": 0.0}


def test_without_processes_there_is_nothing_to_read() -> None:
    assert CpuMeter({}).elapsed() == {}


def test_this_process_uses_time() -> None:
    meter = CpuMeter({"self": [os.getpid()], "gone": [2**22 - 1]})
    while meter.elapsed()["self"] < 0.02:
        sum(range(10_000))
    assert meter.elapsed()["gone"] == 0


@pytest.mark.integration
def test_children_are_counted_with_their_parent() -> None:
    spin = "import time\ninput()\nwhile time.process_time() < 0.3: pass\nprint('spun', flush=True)\ninput()"
    starter = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {spin!r}])"
    process = subprocess.Popen([sys.executable, "-c", starter], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        meter = CpuMeter({"parent": [process.pid]})
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"spun\n"
        used = meter.elapsed()["parent"]
        process.communicate(b"\n")
    assert used >= 0.2
