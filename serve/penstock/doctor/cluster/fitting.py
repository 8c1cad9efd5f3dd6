"""Whether a pod fits on a node, and exactly what is missing where it does not. Pure. Used by the checks of pods.

Kubernetes' scheduler decides; this says in words what it counts. What it knows besides (pods that keep away from each
other, volumes that are elsewhere, topology) is not judged here: then its own message stands alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from penstock.doctor.cluster.facts import Expression, Needs, Node, Taint, Toleration
from penstock.doctor.cluster.quantities import amount, count, listing, suffices

_ORDINARY = ("cpu", "memory", "ephemeral-storage", "pods")
"""What every node offers some of; anything else is a device."""
_REPELLING = ("NoSchedule", "NoExecute")
_STATES = {
    "node.kubernetes.io/not-ready": "not ready",
    "node.kubernetes.io/unreachable": "not heard of",
    "node.kubernetes.io/unschedulable": "cordoned",
    "node.kubernetes.io/memory-pressure": "short of memory",
    "node.kubernetes.io/disk-pressure": "short of disk",
    "node.kubernetes.io/pid-pressure": "short of process ids",
    "node.kubernetes.io/network-unavailable": "without a network",
    "node.cloudprovider.kubernetes.io/uninitialized": "not initialised by the cloud yet",
}
"""Taints that Kubernetes sets itself, as the state that they stand for: to tolerate them is no remedy."""
_SHOWN = 4
"""Values of a label that are shown at most."""


class Lack(StrEnum):
    """What is missing, by what helps."""

    NODES = "nodes"
    DEVICE = "device"
    LABEL = "label"
    AFFINITY = "affinity"
    TOGETHER = "together"
    """Each is somewhere, but no node has all."""
    TAINT = "taint"
    STATE = "state"
    SIZE = "size"
    ROOM = "room"


@dataclass(frozen=True, slots=True)
class Missing:
    """`what` is the resource, label, taint or node that it is about."""

    lack: Lack
    what: str = ""
    most: float = 0.0
    """The most that a node offers, of a size."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Names of the nodes that could hold the pod if they were empty, and of those that can hold it now."""

    ever: tuple[str, ...] = ()
    now: tuple[str, ...] = ()
    account: str = ""
    """Why it fits on none now, without a full stop. Empty where it fits."""
    missing: tuple[Missing, ...] = ()


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Why one node is out: a text that several nodes may share, for one and for many."""

    one: str
    many: str
    missing: Missing


def fit(needs: Needs, nodes: Sequence[Node]) -> Fit:
    """Where a pod can go."""
    if not nodes:
        return Fit(account="the cluster has no node", missing=(Missing(Lack.NODES),))
    absent = list(_absent(needs, nodes))
    if absent:
        return Fit(account=listing(text for text, _ in absent), missing=tuple(missing for _, missing in absent))
    named = [node for node in nodes if _is_named(needs, node)]
    if not named:
        return Fit(account=_apart(needs, nodes), missing=(Missing(Lack.TOGETHER),))
    refusals: list[_Refusal] = []
    open_to = _pass(named, lambda node: _repelled(needs, node), refusals)
    ever = _pass(open_to, lambda node: _too_small(needs, node), refusals)
    now = _pass(ever, lambda node: _full(needs, node), refusals)
    at_all, at_once = tuple(node.name for node in ever), tuple(node.name for node in now)
    if now:
        return Fit(at_all, at_once)
    missing = tuple(dict.fromkeys(refusal.missing for refusal in refusals))
    return Fit(at_all, at_once, _told(needs, len(named), refusals), missing)


def _pass(nodes: Iterable[Node], check: Callable[[Node], _Refusal | None], refusals: list[_Refusal]) -> list[Node]:
    passed = []
    for node in nodes:
        if refusal := check(node):
            refusals.append(refusal)
        else:
            passed.append(node)
    return passed


# What no node has


def _absent(needs: Needs, nodes: Sequence[Node]) -> Iterator[tuple[str, Missing]]:
    for resource, asked in needs.requests.items():
        most = max(node.offered.get(resource, 0.0) for node in nodes)
        if suffices(most, asked):
            continue
        if most <= 0 and resource not in _ORDINARY:
            yield f"no node offers {resource}", Missing(Lack.DEVICE, resource)
        else:
            text = f"no node offers more than {amount(resource, most)}, and {_asked(resource, asked)}"
            yield text, Missing(Lack.SIZE, resource, most)
    for label, value in needs.node_selector.items():
        if not any(node.labels.get(label) == value for node in nodes):
            seen = sorted({node.labels[label] for node in nodes if label in node.labels})
            shown = ", ".join(seen[:_SHOWN]) + (", …" if len(seen) > _SHOWN else "")
            others = f" (nodes have {shown})" if seen else ""
            yield f"the label {label}={value} is on no node{others}", Missing(Lack.LABEL, f"{label}={value}")
    if needs.affinity and not any(_is_liked(needs.affinity, node) for node in nodes):
        yield "no node has what the pod's node affinity asks", Missing(Lack.AFFINITY)


# What some nodes have


def _devices(needs: Needs) -> dict[str, float]:
    return {name: asked for name, asked in needs.requests.items() if name not in _ORDINARY and asked > 0}


def _is_named(needs: Needs, node: Node) -> bool:
    return (
        all(suffices(node.offered.get(name, 0.0), asked) for name, asked in _devices(needs).items())
        and all(node.labels.get(label) == value for label, value in needs.node_selector.items())
        and (not needs.affinity or _is_liked(needs.affinity, node))
    )


def _apart(needs: Needs, nodes: Sequence[Node]) -> str:
    parts = [
        f"{count(sum(suffices(node.offered.get(name, 0.0), asked) for node in nodes), 'node')} with"
        f" {amount(name, asked)}"
        for name, asked in _devices(needs).items()
    ]
    parts += [
        f"{count(sum(node.labels.get(label) == value for node in nodes), 'node')} with the label {label}={value}"
        for label, value in needs.node_selector.items()
    ]
    if needs.affinity:
        parts.append(
            f"{count(sum(_is_liked(needs.affinity, node) for node in nodes), 'node')} that its affinity allows"
        )
    return f"there {'is' if parts[0].startswith('1 ') else 'are'} {listing(parts)}, but none is all of it"


def _is_liked(terms: Sequence[Sequence[Expression]], node: Node) -> bool:
    # A term without expressions matches nothing.
    return any(bool(term) and all(_holds(expression, node) for expression in term) for term in terms)


def _holds(expression: Expression, node: Node) -> bool:
    value = node.name if expression.key == "metadata.name" else node.labels.get(expression.key)
    match expression.operator:
        case "In":
            return value in expression.values
        case "NotIn":
            return value not in expression.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt":
            return _compares(expression, value)
        case _:
            return False


def _compares(expression: Expression, value: str | None) -> bool:
    try:
        difference = int(value or "") - int(expression.values[0])
    except (ValueError, IndexError):
        return False
    return difference > 0 if expression.operator == "Gt" else difference < 0


# Why a node is out


def _repelled(needs: Needs, node: Node) -> _Refusal | None:
    repelling = [
        taint for taint in node.taints if taint.effect in _REPELLING and not is_tolerated(taint, needs.tolerations)
    ]
    if not repelling:
        return None
    for taint in repelling:
        if (state := _STATES.get(taint.key)) is not None:
            return _Refusal(f"is {state}", f"are {state}", Missing(Lack.STATE, node.name))
    taints = listing(str(taint) for taint in repelling)
    text = f"the taint{'s' if len(repelling) > 1 else ''} {taints} that {'are' if len(repelling) > 1 else 'is'} not"
    # The first one stands for all in the remedy; the others show when it is tolerated.
    return _Refusal(f"has {text} tolerated", f"have {text} tolerated", Missing(Lack.TAINT, str(repelling[0])))


def is_tolerated(taint: Taint, tolerations: Iterable[Toleration]) -> bool:
    """As Kubernetes has it: an empty key with Exists tolerates everything."""
    return any(
        (not toleration.effect or toleration.effect == taint.effect)
        and (toleration.key == taint.key or (not toleration.key and toleration.operator == "Exists"))
        and (toleration.operator == "Exists" or toleration.value == taint.value)
        for toleration in tolerations
    )


def _too_small(needs: Needs, node: Node) -> _Refusal | None:
    for resource, asked in needs.requests.items():
        offered = node.offered.get(resource, 0.0)
        if not suffices(offered, asked):
            text = f"{amount(resource, offered)} in all where {_asked(resource, asked)}"
            return _Refusal(f"has {text}", f"have {text}", Missing(Lack.SIZE, resource, offered))
    return None


def _full(needs: Needs, node: Node) -> _Refusal | None:
    if node.used is None:
        return None
    for resource, asked in needs.requests.items():
        free = max(node.offered.get(resource, 0.0) - node.used.get(resource, 0.0), 0.0)
        if not suffices(free, asked):
            text = f"{amount(resource, free)} free where {_asked(resource, asked)}"
            return _Refusal(f"has {text}", f"have {text}", Missing(Lack.ROOM, resource))
    return None


def _told(needs: Needs, named: int, refusals: Sequence[_Refusal]) -> str:
    reasons: Mapping[tuple[str, str], int] = Counter((refusal.one, refusal.many) for refusal in refusals)
    whose = _whose(needs)
    subject = count(named, "node") + (f" {'has' if named == 1 else 'have'} {whose}" if whose else "")
    if len(reasons) == 1:
        (one, many) = next(iter(reasons))
        if whose:
            return f"{subject}, but {'it' if named == 1 else 'each'} {one}"
        return f"the only node {one}" if named == 1 else f"all {named} nodes {many}"
    parts = [f"{number} {one if number == 1 else many}" for (one, many), number in reasons.items()]
    return f"{subject}{', but' if whose else ':'} {listing(parts)}"


def _asked(resource: str, number: float) -> str:
    wanted = amount(resource, number)
    return f"{wanted} {'is' if wanted.startswith('1 ') else 'are'} asked"


def _whose(needs: Needs) -> str:
    parts = list(_devices(needs))
    if needs.node_selector:
        parts.append(f"the label{'s' if len(needs.node_selector) > 1 else ''} asked for")
    elif needs.affinity:
        parts.append("what its affinity asks")
    return listing(parts) if parts else ""
