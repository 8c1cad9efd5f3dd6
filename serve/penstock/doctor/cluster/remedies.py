"""What to do about a pod that fits nowhere: the values to change, by what is missing. Pure. Used by the checks."""

from __future__ import annotations

from penstock.doctor.cluster.fitting import Fit, Lack, Missing
from penstock.doctor.cluster.quantities import amount

_REMEDIES = {
    Lack.NODES: "Add a node to the cluster.",
    Lack.DEVICE: (
        "Add a node with {what}. Where a node has the device, its device plugin does not run: kubectl get daemonsets"
        " -A. Or take {what} out of {where}.resources."
    ),
    Lack.LABEL: "Label the nodes that are meant: kubectl label node NODE {what}; or correct {where}.nodeSelector.",
    Lack.AFFINITY: "Correct the affinity in the values (cluster.*.affinity), or label the nodes that are meant.",
    Lack.TOGETHER: "Correct {where}.resources or {where}.nodeSelector, so that one node has all of it.",
    Lack.STATE: "See to the node: kubectl describe node {what}; a cordoned one: kubectl uncordon {what}.",
    Lack.ROOM: "Add a node, or stop what uses {what} there: kubectl describe nodes.",
}
_KIND = {"head": "cluster.head", "gateway": "cluster.gateway"}


def section(component: str, hardware: str) -> str:
    """Where in the values a kind of pods is described."""
    return f"hardware.{hardware}" if hardware else _KIND.get(component, f"cluster.{component}")


def remedy(fit: Fit, where: str, *, node_autoscaler: bool) -> str:
    """One sentence for each thing that is missing."""
    largest: dict[tuple[Lack, str], Missing] = {}
    for missing in fit.missing:
        key = (missing.lack, missing.what)
        largest[key] = max(missing, largest.get(key, missing), key=lambda seen: seen.most)
    said = [_of(missing, where) for missing in largest.values()]
    if node_autoscaler:
        said.append("If the node autoscaler shall make such nodes, one of its node groups must offer all of this.")
    return " ".join(said) or "kubectl describe pod tells what the scheduler says."


def _of(missing: Missing, where: str) -> str:
    what = missing.what
    if missing.lack is Lack.TAINT:
        return f"Add to {where}.tolerations: {_toleration(what)}"
    if missing.lack is Lack.SIZE:
        return f"Add a larger node, or ask for less in {where}.resources: at most {amount(what, missing.most)}."
    return _REMEDIES[missing.lack].format(what=what, where=where)


def _toleration(taint: str) -> str:
    key, _, effect = taint.partition("=")[0].partition(":")
    effect = effect or taint.rpartition(":")[2]
    return f"{{key: {key}, operator: Exists, effect: {effect}}}"
