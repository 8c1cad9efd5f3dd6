"""Hardware profiles of a document → pools of nodes: which machine, and how many at least and at most. Pure.

The Terraform modules make one pool of equal nodes for each profile. A replica's pod asks for its GPUs and, for each of
them, for the profile's processors and memory; so many pods as a node has room for share it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from penstock.assembly.serve_config import SURGE_PERCENT, Placement, surging
from penstock.config import Document, Hardware
from penstock.config.suggest import nearest
from penstock.doctor.cluster.quantities import amount, parse, suffices
from penstock.errors import DocumentError
from penstock.planning.tables import Cloud, Gpu, Machine, Table

GIB = 2**30
PRODUCT = "nvidia.com/gpu.product"


class Replicas(NamedTuple):
    """Replicas of one model."""

    model: str
    gpus: int
    least: int
    most: int
    """Without those of a rollout."""
    surge: int
    """Those that a rollout starts beside them."""


class Pool(NamedTuple):
    """Nodes of one hardware profile."""

    profile: str
    gpu: str
    """The type, a key of the table."""
    kind: Gpu
    gpus: int
    """Of a node."""
    machine: Machine
    spot: bool
    replicas: tuple[Replicas, ...]
    least: int
    """Nodes while every model has its fewest replicas."""
    most: int
    """Nodes while every model has its most, and rolls out."""
    rolling: int
    """How many of those are for rollouts alone."""

    @property
    def price(self) -> float:
        """Of a node, an hour."""
        return self.machine.price.spot if self.spot else self.machine.price.on_demand


def pools(
    document: Document, cloud: Cloud, table: Table, *, types: Mapping[str, str], spot: Iterable[str]
) -> list[Pool]:
    """The pools of GPU nodes that a document needs, by profile.

    Args:
        types: types of GPU by profile, where neither its name nor its labels say it.
        spot: profiles that run on spot nodes.

    Raises:
        DocumentError: a profile names no type that the cloud has, or no machine of it is large enough.
    """
    used = _used(document)
    _check_named("--gpu", types, used)
    _check_named("--spot", spot, used)
    rented = set(spot)
    made = []
    for profile, replicas in used.items():
        own = document.hardware.get(profile)
        gpu = _type_of(profile, own, cloud, table, types)
        number, machine = _machine(profile, own, gpu, table.gpus[gpu], replicas)
        share = {r.gpus: _share(number, machine, r.gpus, own) for r in replicas}
        steady = _apart([(r.gpus, r.most) for r in replicas], share)
        most = _apart([(r.gpus, r.most + r.surge) for r in replicas], share)
        least = min(_together([(r.gpus, r.least) for r in replicas], share), steady)
        made.append(
            Pool(
                profile=profile,
                gpu=gpu,
                kind=table.gpus[gpu],
                gpus=number,
                machine=machine,
                spot=profile in rented,
                replicas=tuple(replicas),
                least=least,
                most=most,
                rolling=most - steady,
            )
        )
    return made


def _used(document: Document) -> dict[str, list[Replicas]]:
    """Replicas with GPUs, by hardware profile."""
    rolling = surging(document, Placement.CLUSTER)
    found: dict[str, list[Replicas]] = {}
    for name, model in document.models.items():
        if gpus := document.gpus_of(model):
            most = model.replicas.max
            surge = math.ceil(most * SURGE_PERCENT / 100) if name in rolling else 0
            found.setdefault(model.hardware, []).append(Replicas(name, gpus, model.replicas.min, most, surge))
    return dict(sorted(found.items()))


def _check_named(option: str, named: Iterable[str], used: Mapping[str, object]) -> None:
    for name in named:
        if name not in used:
            hint = nearest(name, used)
            known = ", ".join(used) or "none"
            raise DocumentError(
                f"{option}: no model with a GPU runs on hardware {name!r}"
                + (f"; did you mean {hint!r}?" if hint else ".")
                + f" There {'is' if len(used) == 1 else 'are'} {known}."
            )


def _type_of(profile: str, own: Hardware | None, cloud: Cloud, table: Table, types: Mapping[str, str]) -> str:
    if profile in types:
        if types[profile] in table.gpus:
            return types[profile]
        hint = nearest(types[profile], table.gpus)
        raise DocumentError(
            f"--gpu {profile}={types[profile]}: the table of {cloud} has no such type"
            + (f"; did you mean {hint!r}?" if hint else ".")
            + f" It has {', '.join(table.gpus)}."
        )
    product = own.node_selector.get(PRODUCT) if own else None
    by_label = [name for name, gpu in table.gpus.items() if gpu.product == product]
    if by_label:
        return by_label[0]
    if profile in table.gpus and product is None:
        return profile
    raise DocumentError(
        f"hardware {profile!r}: {cloud} has no such type of GPU in its table, which has {', '.join(table.gpus)}.",
        remedy=f"Say which one is meant, --gpu {profile}=nvidia-l4, or add its machines in a file: --prices FILE.",
    )


def _machine(
    profile: str, own: Hardware | None, gpu: str, kind: Gpu, replicas: Sequence[Replicas]
) -> tuple[int, Machine]:
    """The smallest machine that holds the largest replica."""
    largest = max(r.gpus for r in replicas)
    for number, machine in kind.by_size:
        if _room(_share(number, machine, largest, own)):
            return number, machine
    number, machine = kind.by_size[-1]
    whose = next(r.model for r in replicas if r.gpus == largest)
    raise DocumentError(
        f"models.{whose}: a replica asks for {_asked(largest, machine, own)} on hardware {profile!r}, and the largest"
        f" machine with {gpu} is {machine.type}: {number} GPUs, {machine.cpus} CPUs, {machine.memory:g} GiB, of which a"
        " node keeps a part for itself.",
        remedy="Ask for less under hardware or gpus, or add a larger machine in a file: --prices FILE.",
    )


def _share(number: int, machine: Machine, gpus: int, own: Hardware | None) -> float:
    """How much of a machine with `number` GPUs a pod with `gpus` of them takes, of what it takes most of."""
    asked = own.resources if own else {}
    return max(
        gpus / number,
        *(
            parse(asked.get(name, 0)) * gpus / (parse(offered) * number)
            for name, offered in (("cpu", machine.pod.cpu), ("memory", machine.pod.memory))
        ),
    )


def _room(share: float) -> int:
    """How many pods of one size fit on a node."""
    return math.floor(1 / share + 1e-9)


def _asked(gpus: int, machine: Machine, own: Hardware | None) -> str:
    of_own = own.resources if own else {}
    cpu = parse(of_own.get("cpu", machine.pod.cpu)) * gpus
    memory = parse(of_own.get("memory", machine.pod.memory)) * gpus
    return f"{gpus} GPU{'s' if gpus > 1 else ''}, {amount('cpu', cpu)} and {amount('memory', memory)}"


def _apart(wanted: Iterable[tuple[int, int]], share: Mapping[int, float]) -> int:
    """Nodes where replicas of different sizes share none: pods come and go, and are never moved together."""
    by_size: dict[int, int] = {}
    for gpus, count in wanted:
        by_size[gpus] = by_size.get(gpus, 0) + count
    return sum(math.ceil(count / _room(share[gpus])) for gpus, count in by_size.items())


def _together(wanted: Iterable[tuple[int, int]], share: Mapping[int, float]) -> int:
    """Nodes where they are packed tightly: the largest first, each where it still fits."""
    free: list[float] = []
    for taken in sorted((share[gpus] for gpus, count in wanted for _ in range(count)), reverse=True):
        for position, left in enumerate(free):
            if suffices(left, taken):
                free[position] = left - taken
                break
        else:
            free.append(1.0 - taken)
    return len(free)
