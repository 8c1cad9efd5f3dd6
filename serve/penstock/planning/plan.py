"""The whole plan: pools, nodes without GPUs, whether weights fit, and what an hour costs. Pure; for `penstock plan`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from penstock.assembly.serve_config import SURGE_PERCENT
from penstock.chart.values import ChartValues
from penstock.config import Document, parse_source
from penstock.config.units import format_bytes
from penstock.doctor.checks.needs import Sized, sized_by
from penstock.doctor.cluster.quantities import amount, parse, suffices
from penstock.planning.estimate import size_by_name
from penstock.planning.pools import GIB, Pool, pools
from penstock.planning.tables import Cloud, Table

LEAST_CACHE = 0.1
"""Share of a GPU's memory below which little is left for the KV cache."""
_KEPT = {"cpu": 0.9, "memory": 0.8}
"""What is left of a node for pods, beside the system and its own agents."""


class _Said(BaseModel):
    """A part of the plan's JSON."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, validate_by_name=True, serialize_by_alias=True)


class NodesSaid(_Said):
    """Nodes of one pool. Prices are of one node and an hour."""

    profile: str | None
    """Hardware profile; None for the nodes without GPUs."""
    gpu: str | None
    machine: str
    gpus: int
    spot: bool
    least: int
    most: int
    rolling: int
    """How many of `most` are for rollouts alone."""
    price: float


class WeightsSaid(_Said):
    """Weights of a model against the memory of the GPUs of one replica."""

    model: str
    gpus: int
    bytes: int | None
    """None where nobody knows."""
    by_name: bool
    """Whether it is a guess by the name of the repository."""
    memory: int
    """Bytes of all GPUs of the replica."""
    usable: int
    """What vLLM takes of it."""
    verdict: Literal["fits", "tight", "too large", "unknown"]


class CostSaid(_Said):
    """An hour."""

    currency: str
    idle: float
    """The cluster without any model."""
    least: float
    """Every model at its fewest replicas."""
    most: float
    """Every model at its most, in a rollout."""


class Plan(_Said):
    """What a document needs."""

    cloud: Cloud
    region: str
    prices: date
    nodes: tuple[NodesSaid, ...]
    gpus_least: int
    gpus_most: int
    weights: tuple[WeightsSaid, ...]
    cost: CostSaid
    problems: tuple[str, ...]
    """Why some of it could not run."""


def plan(
    document: Document,
    cloud: Cloud,
    table: Table,
    *,
    types: Mapping[str, str],
    spot: Iterable[str],
    sizes: Mapping[str, int],
) -> Plan:
    """What a document needs of a cloud.

    Args:
        types: types of GPU by profile, where neither its name nor its labels say it.
        spot: profiles that run on spot nodes.
        sizes: bytes of weights by model, as far as they are known.

    Raises:
        DocumentError: a profile names nothing that the cloud has.
    """
    made = pools(document, cloud, table, types=types, spot=spot)
    system, too_large = _system(document, table)
    weights = [_weights(found, made) for found in sized_by(document, sizes) if found.gpus]
    nodes = [*(_said(pool) for pool in made), system]
    always = table.always.control_plane.price + table.always.egress.price
    return Plan(
        cloud=cloud,
        region=table.region,
        prices=table.date,
        nodes=tuple(nodes),
        gpus_least=sum(r.gpus * r.least for pool in made for r in pool.replicas),
        gpus_most=sum(r.gpus * (r.most + r.surge) for pool in made for r in pool.replicas),
        weights=tuple(weights),
        cost=CostSaid(
            currency=table.currency,
            idle=_cents(always + table.system.nodes * table.system.price.on_demand),
            least=_cents(always + sum(said.least * said.price for said in nodes)),
            most=_cents(always + sum(said.most * said.price for said in nodes)),
        ),
        problems=(*too_large, *(_problem(said) for said in weights if said.verdict == "too large")),
    )


def _said(pool: Pool) -> NodesSaid:
    return NodesSaid(
        profile=pool.profile,
        gpu=pool.gpu,
        machine=pool.machine.type,
        gpus=pool.gpus,
        spot=pool.spot,
        least=pool.least,
        most=pool.most,
        rolling=pool.rolling,
        price=pool.price,
    )


def _cents(money: float) -> float:
    return round(money, 4)


# Weights


def _weights(found: Sized, made: Sequence[Pool]) -> WeightsSaid:
    pool = next(pool for pool in made if pool.profile == found.model.hardware)
    known = found.tensors
    source = parse_source(found.model.source or "")
    size = known or size_by_name(source.path or source.location)
    memory = pool.kind.memory * GIB * found.gpus
    usable = memory * found.utilization
    verdict: Literal["fits", "tight", "too large", "unknown"] = "fits"
    if size is None:
        verdict = "unknown"
    elif size > usable:
        verdict = "too large"
    elif usable - size < memory * LEAST_CACHE:
        verdict = "tight"
    return WeightsSaid(
        model=found.name,
        gpus=found.gpus,
        bytes=size,
        by_name=size is not None and not known,
        memory=int(memory),
        usable=int(usable),
        verdict=verdict,
    )


def _problem(said: WeightsSaid) -> str:
    about = "about " if said.by_name else ""
    number = "one GPU has" if said.gpus == 1 else f"{said.gpus} GPUs have"
    return (
        f"models.{said.model}: {about}{format_bytes(said.bytes or 0)} of weights do not fit: {number}"
        f" {format_bytes(said.memory)}, of which vLLM takes {format_bytes(said.usable)}. Give it more gpus, larger"
        " ones, or quantised weights."
    )


# Nodes without GPUs


def _system(document: Document, table: Table) -> tuple[NodesSaid, list[str]]:
    """Nodes for the head, the gateways and the models on processors."""
    defaults = ChartValues()
    cluster = defaults.cluster
    gateways = document.gateway.replicas
    head = [cluster.head.resources.requests, cluster.autoscaler.resources.requests]
    base = [_sum(head), *[_needs(cluster.gateway.resources.requests)] * gateways]
    extra = [_needs(cluster.gateway.resources.requests)] * math.ceil(gateways * SURGE_PERCENT / 100)
    room = {"cpu": table.system.cpus * _KEPT["cpu"], "memory": table.system.memory * GIB * _KEPT["memory"]}
    least, most, problems = list(base), [*base, *extra], []
    for name, model in document.models.items():
        if document.gpus_of(model):
            continue
        needs = _needs({**cluster.engine.resources.requests, **document.hardware_of(model).resources})
        if not _fits(room, needs):
            problems.append(
                f"models.{name}: its pod asks for {_told(needs)}; a {table.system.type} has {_told(room)} for pods."
                " Take a larger machine for the nodes without GPUs, or ask for less under hardware."
            )
            continue
        least += [needs] * model.replicas.min
        most += [needs] * model.replicas.max
    said = NodesSaid(
        profile=None,
        gpu=None,
        machine=table.system.type,
        gpus=0,
        spot=False,
        least=max(table.system.nodes, _packed(least, room)),
        most=max(table.system.nodes, _packed(most, room)),
        rolling=0,
        price=table.system.price.on_demand,
    )
    return said, problems


def _needs(requests: Mapping[str, int | str]) -> dict[str, float]:
    return {name: parse(requests.get(name, 0)) for name in _KEPT}


def _sum(requests: Iterable[Mapping[str, int | str]]) -> dict[str, float]:
    parts = [_needs(request) for request in requests]
    return {name: sum(part[name] for part in parts) for name in _KEPT}


def _told(amounts: Mapping[str, float]) -> str:
    return f"{amount('cpu', amounts['cpu'])} and {amount('memory', amounts['memory'])}"


def _fits(room: Mapping[str, float], needs: Mapping[str, float]) -> bool:
    return all(suffices(room[name], needs[name]) for name in _KEPT)


def _packed(pods: Iterable[Mapping[str, float]], room: Mapping[str, float]) -> int:
    """Nodes that these pods need, the largest first, each where it still fits."""
    nodes: list[dict[str, float]] = []
    for needs in sorted(pods, key=lambda needs: (needs["memory"], needs["cpu"]), reverse=True):
        for node in nodes:
            if _fits(node, needs):
                break
        else:
            node = dict(room)
            nodes.append(node)
        for name in _KEPT:
            node[name] -= needs[name]
    return len(nodes)
