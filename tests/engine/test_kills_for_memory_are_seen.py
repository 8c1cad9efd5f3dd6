"""The kernel's counts of kills, read from made-up file systems."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.engine.memory_kills import Kills, MemoryKill, MemoryKills, compare, read_kills


def _write(root: Path, path: str, text: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def _kills(root: Path, path: str, count: int) -> None:
    _write(root, path, f"low 0\noom 9\noom_kill {count}\noom_group_kill 0\n")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    _write(tmp_path, "proc/vmstat", "nr_free_pages 1\noom_kill 7\n")
    return tmp_path


@pytest.mark.parametrize(
    ("groups", "file"),
    [
        ("0::/user.slice/session.scope\n", "sys/fs/cgroup/user.slice/session.scope/memory.events"),
        ("0::/\n", "sys/fs/cgroup/memory.events"),
        # A container that sees its own group as the root, but the host's path of it.
        ("0::/../../kubepods/pod1\n", "sys/fs/cgroup/memory.events"),
        ("5:cpu:/a\n4:hugetlb,memory:/docker/1\n0::/\n", "sys/fs/cgroup/memory/docker/1/memory.oom_control"),
        ("4:memory:/docker/1\n", "sys/fs/cgroup/memory/memory.oom_control"),
    ],
)
def test_the_count_of_the_own_group_is_found(root: Path, groups: str, file: str) -> None:
    _write(root, "proc/self/cgroup", groups)
    _kills(root, file, 3)
    assert read_kills(root) == Kills(here=3, machine=7)


def test_a_group_without_a_count_leaves_the_machines(root: Path) -> None:
    _write(root, "proc/self/cgroup", "0::/\n")
    assert read_kills(root) == Kills(here=None, machine=7)


def test_where_there_is_no_linux_nothing_is_known(tmp_path: Path) -> None:
    assert read_kills(tmp_path) == Kills(None, None)
    kills = MemoryKills(tmp_path)
    kills.mark()
    assert kills.found() is None


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        (Kills(1, 1), Kills(2, 2), MemoryKill.HERE),
        (Kills(1, 1), Kills(1, 2), None),
        (Kills(None, 1), Kills(None, 2), MemoryKill.MACHINE),
        (Kills(None, 1), Kills(None, 1), None),
        (Kills(None, None), Kills(1, 1), None),
    ],
)
def test_only_a_count_that_grew_is_a_kill(before: Kills, after: Kills, found: MemoryKill | None) -> None:
    assert compare(before, after) is found


def test_a_mark_between_a_kill_and_the_engines_end_does_not_hide_it(root: Path) -> None:
    _write(root, "proc/self/cgroup", "0::/\n")
    _kills(root, "sys/fs/cgroup/memory.events", 0)
    kills = MemoryKills(root)
    kills.mark()
    kills.mark()
    assert kills.found() is None
    _kills(root, "sys/fs/cgroup/memory.events", 1)
    kills.mark()
    assert kills.found() is MemoryKill.HERE
    kills.mark()
    assert kills.found() is None


def test_the_counts_of_this_machine_can_be_read_or_are_none() -> None:
    kills = read_kills(Path("/"))
    assert all(count is None or count >= 0 for count in kills)
