"""CPU seconds of the serving processes by role. Used by `load` around each slot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import psutil

Reading = dict[tuple[int, float], tuple[str, float]]
"""Role and CPU seconds so far, by process id and the time the process was made (ids are used again)."""


class CpuMeter:
    """Counts from its making on. Processes with their descendants; a process that ends loses its last part."""

    def __init__(self, pids: Mapping[str, Sequence[int]]) -> None:
        self._pids = pids
        self._before = _read(pids)

    def elapsed(self) -> dict[str, float]:
        """CPU seconds by role since the meter was made; 0.0 for a role whose processes are gone."""
        return difference(self._pids, self._before, _read(self._pids))


def difference(roles: Mapping[str, Sequence[int]], before: Reading, after: Reading) -> dict[str, float]:
    """What was used between two readings. A process that is new counts from its own beginning."""
    used = dict.fromkeys(roles, 0.0)
    for process, (role, seconds) in after.items():
        used[role] += max(0.0, seconds - before.get(process, (role, 0.0))[1])
    return used


def roles_of(parents: Mapping[int, int], roots: Mapping[int, str]) -> dict[int, str]:
    """The role of each process: that of its nearest ancestor, itself included, that has one.

    An engine that is a descendant of its replica is thus counted as the engine alone.
    """
    roles: dict[int, str] = {}
    for pid in parents:
        seen: set[int] = set()
        ancestor: int | None = pid
        while ancestor is not None and ancestor not in roots and ancestor not in seen:
            seen.add(ancestor)
            ancestor = parents.get(ancestor)
        if ancestor is not None and ancestor in roots:
            roles[pid] = roots[ancestor]
    return roles


def _read(pids: Mapping[str, Sequence[int]]) -> Reading:
    roots = {pid: role for role, listed in pids.items() for pid in listed}
    if not roots:
        return {}
    processes = {process.pid: process for process in _family(roots)}
    parents = {pid: parent for pid, process in processes.items() if (parent := _parent(process)) is not None}
    reading: Reading = {}
    for pid, role in roles_of(parents, roots).items():
        try:
            times = processes[pid].cpu_times()
            reading[pid, processes[pid].create_time()] = (role, times.user + times.system)
        except psutil.Error:
            continue
    return reading


def _family(roots: Mapping[int, str]) -> Iterator[psutil.Process]:
    for pid in roots:
        try:
            process = psutil.Process(pid)
            yield process
            yield from process.children(recursive=True)
        except psutil.Error:
            continue


def _parent(process: psutil.Process) -> int | None:
    try:
        return process.ppid()
    except psutil.Error:
        return None
