"""The scheduler: pods that no node takes, and profiles of hardware that none would take."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.doctor.cluster.facts import ClusterFacts, Group, Needs, Pod
from penstock.doctor.cluster.fitting import Fit, fit
from penstock.doctor.cluster.quantities import count, listing
from penstock.doctor.cluster.remedies import remedy, section
from penstock.doctor.findings import Finding, ok, problem, warning

_AUTOSCALER_EVENTS = ("NotTriggerScaleUp", "TriggeredScaleUp", "Nominated", "FailedScaleUp")


def kind_of(component: str, hardware: str) -> str:
    """A kind of pods for people: `engine nvidia-l4`, `gateway`."""
    return f"{component or 'pod'} {hardware}" if hardware else component or "pod"


def waits_for_node(pod: Pod) -> bool:
    """Whether the scheduler has not found a node for it."""
    return pod.phase == "Pending" and not pod.node and not pod.deleting


def pending(facts: ClusterFacts) -> Iterator[Finding]:
    """Pods that wait for a node, those with the same wishes together."""
    kinds: list[tuple[str, str, Needs, list[Pod]]] = []
    for pod in filter(waits_for_node, facts.pods or ()):
        for component, hardware, needs, pods in kinds:
            if (component, hardware, needs) == (pod.component, pod.hardware, pod.needs):
                pods.append(pod)
                break
        else:
            kinds.append((pod.component, pod.hardware, pod.needs, [pod]))
    for component, hardware, needs, pods in kinds:
        yield _pending(facts, kind_of(component, hardware), section(component, hardware), needs, pods)


def _pending(facts: ClusterFacts, kind: str, where: str, needs: Needs, pods: list[Pod]) -> Finding:
    subject = f"scheduler: {kind}"
    who = f"{count(len(pods), 'pod')} ({pods[0].name}{', …' if len(pods) > 1 else ''})"
    said = _schedulers_words(pods[0])
    waits = f"{who} wait{'s' if len(pods) == 1 else ''} for a node"
    look = f"kubectl --namespace {facts.namespace} describe pod {pods[0].name}"
    if facts.nodes is None:
        return problem(subject, f"{waits}. {said or 'Nodes cannot be read.'}", look)
    found = fit(needs, facts.nodes)
    if found.now:
        # A node was freed just now, or the scheduler counts what is not counted here.
        why = f" The scheduler says: {said}" if said else ""
        room = f"{listing(found.now[:3])} {'has' if len(found.now) == 1 else 'have'} room by numbers"
        return warning(subject, f"{waits}; {room}.{why}", f"Wait a moment; if it stays: {look}")
    return problem(
        subject,
        f"{waits}: {found.account}.{_autoscalers_words(facts, pods)}",
        remedy(found, where, node_autoscaler=facts.node_autoscaler),
    )


def _schedulers_words(pod: Pod) -> str:
    return next((seen.message for seen in pod.conditions if seen.type == "PodScheduled" and seen.status == "False"), "")


def _autoscalers_words(facts: ClusterFacts, pods: list[Pod]) -> str:
    waiting = {pod.name for pod in pods}
    said = [event for event in facts.events if event.name in waiting and event.reason in _AUTOSCALER_EVENTS]
    if not said:
        return ""
    last = max(said, key=lambda event: event.last)
    words = f"{last.reason}: {last.message}" if last.message else last.reason
    return f" The node autoscaler says: {words.rstrip('.')}."


def profiles(facts: ClusterFacts) -> Iterator[Finding]:
    """Kinds of pods that would find no node, though none waits now: a model at zero cannot be woken."""
    if facts.release is None or facts.nodes is None:
        return
    waiting = {(pod.component, pod.hardware) for pod in facts.pods or () if waits_for_node(pod)}
    placed = {(pod.component, pod.hardware) for pod in facts.pods or () if pod.node and not pod.deleting}
    for group in facts.release.groups:
        if (group.component, group.hardware) not in waiting:
            yield _profile(facts, group, fit(group.needs, facts.nodes), (group.component, group.hardware) in placed)


def _profile(facts: ClusterFacts, group: Group, found: Fit, placed: bool) -> Finding:
    subject = f"scheduler: {kind_of(group.component, group.hardware)}"
    where = section(group.component, group.hardware)
    if found.now or (found.ever and placed):
        room = f", {count(len(found.now), 'node')} with room now" if found.now else ", none with room for another now"
        return ok(subject, f"Its pods fit on {count(len(found.ever), 'node')}{room}.")
    said = f"No pod of it waits, but one would find no node: {found.account}."
    # Nodes that are not there yet are no fault where somebody makes them.
    is_fault = not found.ever and not facts.node_autoscaler
    return (problem if is_fault else warning)(
        subject, said, remedy(found, where, node_autoscaler=facts.node_autoscaler)
    )
