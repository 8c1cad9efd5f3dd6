"""Pods that have a node and do not run as they should: images, configuration, crashes, memory, mounts, readiness."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from penstock.doctor.cluster.checks.admission import is_recent
from penstock.doctor.cluster.checks.scheduling import kind_of, waits_for_node
from penstock.doctor.cluster.facts import ClusterFacts, Container, Ended, Pod
from penstock.doctor.cluster.quantities import count
from penstock.doctor.cluster.remedies import section
from penstock.doctor.findings import Finding, ok, problem, skipped, warning

_IMAGE = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable",
          "ImageInspectError", "SignatureValidationFailed")  # fmt: skip
_CONFIG = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
_STARTING = ("", "ContainerCreating", "PodInitializing")
_MOUNT = ("FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox", "FailedMapVolume")
_OOM = "OOMKilled"
_ENDED = re.compile(r"ExitCode:(\d{1,9}).*?Reason:(\w*)", re.DOTALL)
_LOOP = 3
"""Pods of one cluster that ended in ten minutes: one is an accident, so many are a loop."""


def pods(facts: ClusterFacts) -> Iterator[Finding]:
    """Each pod that is not well."""
    for pod in facts.pods or ():
        if pod.deleting or pod.phase == "Succeeded" or waits_for_node(pod):
            continue
        found = _of_pod(facts, pod)
        if found is not None:
            yield found


def _of_pod(facts: ClusterFacts, pod: Pod) -> Finding | None:
    look: tuple[Callable[[ClusterFacts, Pod], Finding | None], ...] = (_image, _config, _ended, _mount, _unready)
    return next((found for check in look if (found := check(facts, pod))), None)


def _image(_: ClusterFacts, pod: Pod) -> Finding | None:
    for container in pod.containers:
        if container.waiting in _IMAGE:
            return problem(
                _subject("image", pod),
                f"{pod.name}: the node cannot get the image {container.image} ({container.waiting})"
                f"{_more(container.message)}.",
                "Check image.registry, the repository and the tag in the values; a private registry needs"
                " imagePullSecrets, a cluster without one needs the image loaded into its nodes.",
            )
    return None


def _config(_: ClusterFacts, pod: Pod) -> Finding | None:
    for container in pod.containers:
        if container.waiting in _CONFIG:
            return problem(
                _subject("container", pod),
                f"{pod.name}: the container {container.name} cannot be made ({container.waiting})"
                f"{_more(container.message)}.",
                "It names a Secret, a key, a volume or a command that is not there: correct the values (secrets,"
                f" {section(pod.component, '')}.env and .volumes).",
            )
    return None


def _ended(facts: ClusterFacts, pod: Pod) -> Finding | None:
    if pod.reason == "Evicted":
        return problem(
            _subject("node", pod),
            f"{pod.name} was evicted from {pod.node or 'its node'}{_more(pod.message)}.",
            f"Give the pods requests that hold what they use: {section(pod.component, pod.hardware)}.resources.",
        )
    for container in pod.containers:
        if (end := container.ended) is not None and (end.exit_code or end.reason == _OOM):
            return _crash(facts, pod, container, end)
    if pod.phase == "Failed":
        return problem(_subject("container", pod), f"{pod.name} has failed{_more(pod.message)}.", _logs(facts, pod, ""))
    return None


def _crash(facts: ClusterFacts, pod: Pod, container: Container, end: Ended) -> Finding:
    looping = container.waiting == "CrashLoopBackOff" or pod.phase == "Failed" or not container.ready
    times = f", restarted {count(container.restarts, 'time')}" if container.restarts else ""
    how = f"{end.reason or 'an error'}, exit code {end.exit_code}{times}"
    loop = "is in a crash loop" if container.waiting == "CrashLoopBackOff" else "ended"
    said = f"{pod.name}: the container {container.name} {loop} ({how}){_more(end.message)}."
    remedy = _logs(facts, pod, container.name, previous=container.restarts > 0)
    if end.reason == _OOM:
        remedy = f"Raise the memory in {section(pod.component, pod.hardware)}.resources, or use less. {remedy}"
    return (problem if looping else warning)(_subject("container", pod), said, remedy)


def _mount(facts: ClusterFacts, pod: Pod) -> Finding | None:
    if pod.phase != "Pending":
        return None
    for event in facts.events:
        if event.name == pod.name and event.reason in _MOUNT and is_recent(event, facts):
            return problem(
                _subject("node", pod),
                f"{pod.name} cannot start on {pod.node or 'its node'} ({event.reason}){_more(event.message)}.",
                f"kubectl --namespace {facts.namespace} describe pod {pod.name}; see to the volume or the network"
                " that it names.",
            )
    return None


def _unready(facts: ClusterFacts, pod: Pod) -> Finding | None:
    if pod.ready or pod.component == "weights":
        return None
    if pod.phase == "Pending" and all(container.waiting in _STARTING for container in pod.containers):
        return skipped(_subject("container", pod), f"{pod.name} is starting on {pod.node or 'its node'}.")
    probes = [event for event in facts.events if event.name == pod.name and event.reason == "Unhealthy"]
    last = max(probes, key=lambda event: event.last, default=None)
    said = _more(last.message) if last else ""
    return warning(
        _subject("container", pod),
        f"{pod.name} runs and is not ready{said}.",
        f"Wait a moment; if it stays: {_logs(facts, pod, '')}",
    )


def removed(facts: ClusterFacts) -> Iterator[Finding]:
    """Pods that ended and that KubeRay has put away already: they leave an event alone."""
    if facts.release is None:
        return
    ends = [
        (event, found)
        for event in facts.events
        if event.reason in ("DeletedWorkerPod", "DeletedHeadPod")
        and event.name.startswith(facts.release.name)
        and is_recent(event, facts)
        and (found := _ENDED.search(event.message))
        and (found[1] != "0")
    ]
    if not ends:
        return
    last, found = max(ends, key=lambda end: end[0].last)
    oom = " Memory ran out: raise it in the hardware's resources." if found[2] == _OOM else ""
    yield (problem if len(ends) >= _LOOP else warning)(
        "container",
        f"KubeRay put away {count(len(ends), 'pod')} of {last.name} in the last ten minutes that had ended, the last"
        f" with {found[2] or 'an error'}, exit code {found[1]}.",
        f"Watch one end: kubectl --namespace {facts.namespace} get pods --watch; its log says why.{oom}",
    )


def head(facts: ClusterFacts) -> Iterator[Finding]:
    """The head pod, in which Ray's control store lives."""
    if facts.release is None or facts.pods is None:
        return
    heads = [pod for pod in facts.pods if pod.component == "head" and not pod.deleting]
    running = [pod for pod in heads if pod.phase == "Running"]
    if any(pod.ready for pod in running):
        yield ok("ray head", f"{next(pod.name for pod in running if pod.ready)} is ready.")
    elif not heads and not (facts.release.cluster or facts.release.pending):
        yield problem(
            "ray head", "There is no Ray cluster yet.", "KubeRay makes it; see the findings on KubeRay and admission."
        )
    elif not running:
        state = f"{heads[0].name} is {heads[0].phase}" if heads else "there is no head pod"
        yield problem(
            "ray head",
            f"Ray's control store is gone: {state}. Gateways and engines that run go on; nothing is started, scaled"
            " or replaced.",
            "See what keeps the head pod, in the other findings. With cluster.redis.address its loss restarts nothing.",
        )
    else:
        yield warning(
            "ray head",
            f"{running[0].name} runs and is not ready: Ray's control store does not answer yet.",
            f"Wait a moment; if it stays: {_logs(facts, running[0], 'ray-head')}",
        )


def _subject(layer: str, pod: Pod) -> str:
    return f"{layer}: {kind_of(pod.component, pod.hardware)}"


def _more(message: str) -> str:
    said = " ".join(message.split()).rstrip(".")
    return f": {said if len(said) <= 400 else said[:400] + '…'}" if said else ""


def _logs(facts: ClusterFacts, pod: Pod, container: str, *, previous: bool = False) -> str:
    which = f" --container {container}" if container else " --all-containers"
    return f"kubectl --namespace {facts.namespace} logs {pod.name}{which}{' --previous' if previous else ''}"
