"""A release from its install to its end: each test changes what the one before left, and puts it back.

Two real engines serve all the while (a chat and an embedding model); changes are tried on simulators beside them, which
start in seconds, so that what must not be disturbed is real and what is disturbed is quick.
"""

from __future__ import annotations

import copy
import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from kubernetes.client import V1Pod
from openai import OpenAI

from support.chart_values import everything
from support.charts import render
from support.chats import chatting
from support.releases import Release, is_ready, until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1500)]

ROOT = Path(__file__).parents[2]
LAPTOP: dict[str, Any] = yaml.safe_load((ROOT / "examples" / "values-laptop.yaml").read_text(encoding="utf-8"))
CHAT, EMBEDDING, PRETEND = "demo", "all-minilm-l6-v2", "pretend"
STARTED = """
import os, psutil
for process in psutil.process_iter(["cmdline", "create_time"]):
    command = " ".join(process.info["cmdline"] or [])
    if process.pid != os.getpid() and ("vllm" in command.lower() or "penstock.simulator" in command):
        print(process.pid, process.info["create_time"])
"""


def values(**models: dict[str, Any]) -> dict[str, Any]:
    """The laptop's example with a port on the node, and more models."""
    made = copy.deepcopy(LAPTOP)
    made["service"] = {"type": "NodePort"}
    made["models"].update(models)
    # A pod without a replica goes soon, so that a test sees it go.
    made.setdefault("cluster", {}).setdefault("engine", {})["idleTimeout"] = "10s"
    return made


def pretend(**changes: Any) -> dict[str, Any]:
    """A simulator that starts in a moment."""
    options = {"tokens_per_second": 20, **changes.pop("options", {})}
    return {"engine": "simulator", "options": options, **changes}


def engines(release: Release) -> dict[str, str]:
    """The engine's processes, with when they began, by name of the pod."""
    running = [pod for pod in release.pods("engine") if is_ready(pod) and not pod.metadata.deletion_timestamp]
    return {pod.metadata.name: release.run_in(pod.metadata.name, "python", "-c", STARTED) for pod in running}


def settled(release: Release, pods: int) -> dict[str, str]:
    """`engines`, once there are so many pods: one whose replica was replaced goes a moment later."""
    until(
        lambda: len(release.pods("engine")) == pods and len(engines(release)) == pods,
        limit=360,
        what=f"{pods} engine pods",
        account=release.account,
    )
    return engines(release)


def test_an_install_answers_through_the_service(release: Release, record_property: Any) -> None:
    began = time.monotonic()
    phases: dict[str, float] = {}

    def note(phase: str, reached: object) -> None:
        if reached and phase not in phases:
            phases[phase] = round(time.monotonic() - began, 1)

    def answers() -> bool:
        note("head pod started", any(_is_started(pod) for pod in release.pods("head")))
        note("head ready", any(is_ready(pod) for pod in release.pods("head")))
        note("gateway pod started", any(_is_started(pod) for pod in release.pods("gateway")))
        note("gateway ready", any(is_ready(pod) for pod in release.pods("gateway")))
        note("engine pods made by the autoscaler", len(release.pods("engine")) >= 2)
        note("engine pods ready", sum(is_ready(pod) for pod in release.pods("engine")) >= 2)
        models = release.models() if "gateway ready" in phases else {}
        for name in (EMBEDDING, CHAT):
            note(f"{name} loads", models.get(name, {}).get("status") not in (None, "idle"))
            note(f"{name} ready", models.get(name, {}).get("ready"))
        note("RayService ready", release.ready())
        return bool(models.get(CHAT, {}).get("ready") and models.get(EMBEDDING, {}).get("ready"))

    release.apply(values())
    note("helm install", reached=True)
    until(answers, limit=600, what="both models ready", account=release.account)

    with OpenAI(base_url=f"{release.url}/v1", api_key="none") as client:
        question = {"role": "user", "content": "What is the capital of France?"}
        answer = client.chat.completions.create(model=CHAT, messages=[question], temperature=0)  # type: ignore[list-item]
        note("first answer", reached=True)
        assert answer.choices[0].message.content == "The capital of France is Paris."
        assert len(client.embeddings.create(model=EMBEDDING, input="a river").data[0].embedding) == 384

    until(release.ready, limit=180, what="RayService ready", account=release.account)
    note("RayService ready", reached=True)
    out = ROOT / "build" / "e2e"
    out.mkdir(parents=True, exist_ok=True)
    (out / "install.json").write_text(json.dumps(phases, indent=2), encoding="utf-8")
    record_property("seconds from install", phases)


def test_helm_test_passes(release: Release) -> None:
    told = release.helm("test", release.name, "--timeout", "6m", limit=400)
    assert "Succeeded" in told


def test_a_model_added_by_an_upgrade_serves_and_leaves_the_others_alone(release: Release) -> None:
    before = settled(release, 2)
    release.apply(values(pretend=pretend()))
    release.wait_for(PRETEND, limit=360)
    assert release.ask(PRETEND).status_code == 200
    after = engines(release)
    assert {name: after.get(name) for name in before} == before


def test_an_engine_option_changed_restarts_that_model_alone(release: Release) -> None:
    before = settled(release, 3)
    with chatting(release.url, CHAT, streams=2) as others, chatting(release.url, PRETEND, streams=2, tokens=8) as own:
        until(lambda: others.whole > 2 and own.whole > 2, limit=180, what="streams run")
        release.apply(values(pretend=pretend(options={"tokens_per_second": 21, "max_model_len": 4096})))
        until(
            lambda: release.models().get(PRETEND, {}).get("max_model_len") == 4096,
            limit=360,
            what="the model runs with its new option",
            account=release.account,
        )
        served = own.whole
        until(lambda: own.whole > served + 2, limit=180, what="it serves again", account=release.account)
    assert others.failures == []
    assert others.whole > 2
    assert own.failures == [], "requests to the restarting model are held, not refused"
    after = engines(release)
    changed = [name for name in before if after.get(name) != before[name]]
    assert len(changed) <= 1


def test_a_scaling_number_changed_reaches_the_running_system_in_place(release: Release) -> None:
    before = settled(release, 3)
    options = {"tokens_per_second": 21, "max_model_len": 4096}
    release.apply(values(pretend=pretend(options=options, replicas=2)))
    until(
        lambda: release.models().get(PRETEND, {}).get("replicas_ready") == 2,
        limit=360,
        what="a second replica, on a pod of its own",
        account=release.account,
    )
    after = settled(release, 4)
    assert {name: after.get(name) for name in before} == before


def test_load_makes_a_replica_and_idleness_takes_it_away_down_to_none(release: Release) -> None:
    scaling = {
        "min": 0,
        "max": 2,
        "target": 2,
        "upscaleDelay": "1s",
        "downscaleDelay": "5s",
        "downscaleToZeroDelay": "5s",
    }
    release.apply(values(pretend=pretend(replicas=scaling)))
    until(
        lambda: release.models().get(PRETEND, {}).get("replicas_ready") == 0 and len(release.pods("engine")) == 2,
        limit=400,
        what="no replica of it, and no pod",
        account=release.account,
    )
    assert release.ask(PRETEND).status_code == 200, "the first request is held while the first replica starts"
    with chatting(release.url, PRETEND, streams=8, tokens=100) as load:
        until(
            lambda: release.models().get(PRETEND, {}).get("replicas_ready") == 2,
            limit=400,
            what="a second replica on a pod that Ray's autoscaler made",
            account=release.account,
        )
    assert load.failures == []
    until(
        lambda: len(release.pods("engine")) == 2,
        limit=400,
        what="its pods are gone",
        account=release.account,
    )


def test_a_model_removed_goes_and_its_name_is_refused(release: Release) -> None:
    before = settled(release, 2)
    release.apply(values())
    until(lambda: PRETEND not in release.models(), limit=180, what="the model is gone", account=release.account)
    refused = release.ask(PRETEND)
    assert refused.status_code == 404
    assert CHAT in refused.json()["error"]["message"]
    assert engines(release) == before


def test_everything_switched_on_is_accepted_by_the_server(release: Release, other_kinds: None) -> None:
    rendered = render(everything(), release="everything")
    # Admission looks into pods, not into a RayService; what pods name besides is not there.
    groups = [rendered.cluster["headGroupSpec"], *rendered.cluster["workerGroupSpecs"]]
    pods = [{"apiVersion": "v1", "kind": "Pod", **group["template"]} for group in groups]
    for pod, group in zip(pods, groups, strict=True):
        pod["metadata"] = {**pod["metadata"], "name": group.get("groupName", "head")}
        pod["spec"] = {**pod["spec"], "priorityClassName": ""}
    objects = [*rendered.objects, *pods]
    for made in objects:
        made["metadata"] = {**made["metadata"], "namespace": release.space}
        if made["kind"] == "Pod":
            made["spec"]["serviceAccountName"] = "default"
    given = yaml.safe_dump_all(objects)
    told = release.kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", given=given)
    assert len(told.splitlines()) == len(objects)


def test_an_uninstall_leaves_nothing_of_the_release(release: Release) -> None:
    release.uninstall()
    # What every namespace has of itself.
    own = {"configmap/kube-root-ca.crt", "serviceaccount/default"}
    kinds = "all,cm,secret,sa,role,rolebinding,pvc,pdb,networkpolicy,ingress,endpointslice,rayservice,raycluster"
    until(
        lambda: set(release.kubectl("get", kinds, "--output", "name").split()) <= own,
        limit=180,
        what="nothing is left",
        account=lambda: release.kubectl("get", kinds, "--output", "name"),
    )
    with pytest.raises(httpx.HTTPError):
        httpx.get(release.url, timeout=2)


def _is_started(pod: V1Pod) -> bool:
    return any(status.state.running for status in pod.status.container_statuses or [])
