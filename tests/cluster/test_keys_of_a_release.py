"""A release that asks for keys: who gets in after an install, and how soon who does not any more. With a real
PostgreSQL and two gateways."""

from __future__ import annotations

import base64
import json
import secrets
import subprocess
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from kubernetes import client
from openai import AuthenticationError, OpenAI, PermissionDeniedError

from penstock import __version__
from penstock.accounts import secret
from support.releases import Release, is_ready, penstock, until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1500)]

REVOKED = 5.0
"""Seconds within which every gateway refuses a key that was disabled."""
SMALL = {"requests": {"cpu": "50m", "memory": "512Mi"}, "limits": {"memory": "3Gi"}}
VALUES: dict[str, Any] = {
    "models": {"pretend": {"engine": "simulator", "options": {"tokens_per_second": 200}}},
    "gateway": {"replicas": 2, "longestRequest": "1m", "hold": {"seconds": "20s"}},
    # No model here has weights or needs vLLM.
    "image": {"engine": {"repository": "penstock/gateway", "tag": __version__}},
    "service": {"type": "NodePort"},
    "secrets": {"database": {"name": "postgres"}},
    "cluster": {
        "head": {"resources": SMALL},
        "gateway": {"resources": SMALL},
        "engine": {"resources": SMALL, "idleTimeout": "10s", "sharedMemory": "512Mi"},
        "autoscaler": {"resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}}},
    },
}
WATCH = """
import json, sys, time, urllib.error, urllib.request
key = sys.stdin.readline().strip()
request = urllib.request.Request("http://127.0.0.1:8000/v1/models", headers={"authorization": "Bearer " + key})
seen, gap, last = [], 0.0, time.time()
end = last + 120
while seen[-1:] != [401] and time.time() < end:
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            status = answer.status
    except urllib.error.HTTPError as error:
        status = error.code
    now = time.time()
    gap, last = max(gap, now - last), now
    if seen[-1:] != [status]:
        seen.append(status)
        print(json.dumps({"seen": seen, "at": now, "gap": gap}), flush=True)
    time.sleep(0.05)
"""
"""Asks the gateway of its own pod until it refuses the key, and prints each change of its answer, with the time and
with the longest time between two answers."""
ONCE = """
import sys, urllib.error, urllib.request
key = sys.stdin.readline().strip()
request = urllib.request.Request("http://127.0.0.1:8000/v1/models", headers={"authorization": "Bearer " + key})
try:
    print(urllib.request.urlopen(request, timeout=30).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""


@pytest.fixture(scope="module")
def postgres(core: client.CoreV1Api, space: str) -> None:
    """A PostgreSQL in the release's namespace, and the Secret with its address."""
    labels, password = {"app": "postgres"}, secrets.token_hex(16)
    security = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    address = f"postgresql://penstock:{password}@postgres:5432/postgres"
    core.create_namespaced_secret(
        space, {"metadata": {"name": "postgres"}, "stringData": {"address": address, "password": password}}
    )
    core.create_namespaced_service(
        space, {"metadata": {"name": "postgres"}, "spec": {"selector": labels, "ports": [{"port": 5432}]}}
    )
    reference = {"secretKeyRef": {"name": "postgres", "key": "password"}}
    core.create_namespaced_pod(
        space,
        {
            "metadata": {"name": "postgres", "labels": labels},
            "spec": {
                "automountServiceAccountToken": False,
                "securityContext": {
                    "runAsNonRoot": True,
                    "fsGroup": 1000,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [
                    {
                        "name": "postgres",
                        "image": f"docker.io/penstock/test-postgres:{__version__}",
                        "env": [{"name": "PASSWORD", "valueFrom": reference}],
                        "securityContext": security,
                        "readinessProbe": {"tcpSocket": {"port": 5432}, "periodSeconds": 1},
                        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
                    }
                ],
                "volumes": [{"name": "tmp", "emptyDir": {}}],
            },
        },
    )
    until(lambda: is_ready(core.read_namespaced_pod("postgres", space)), limit=180, what="PostgreSQL is ready")


@pytest.fixture(scope="module")
def running(postgres: None, release: Release) -> Release:
    """Two gateways and an engine, with the keys that the chart makes."""
    release.apply(VALUES)
    release.key = first_keys(release)["user-key"]
    until(
        lambda: (
            sum(is_ready(pod) for pod in release.pods("gateway")) == 2
            and release.models().get("pretend", {}).get("ready")
        ),
        limit=420,
        what="two gateways and an engine ready",
        account=release.account,
    )
    return release


def first_keys(release: Release) -> dict[str, str]:
    """What stands in the Secret that the chart makes."""
    found: dict[str, str] = release.core.read_namespaced_secret(f"{release.name}-keys", release.space).data
    return {name: base64.b64decode(value).decode() for name, value in found.items()}


def say(release: Release, key: str) -> str:
    """What the model says to whoever has this key."""
    with OpenAI(base_url=f"{release.url}/v1", api_key=key, max_retries=0) as client:
        answer = client.chat.completions.create(
            model="pretend", messages=[{"role": "user", "content": "hello"}], max_tokens=4
        )
    return str(answer.choices[0].message.content)


@pytest.fixture
def keys(running: Release, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """`penstock keys` through the release's address, with the admin's key of its Secret. Gives its JSON."""
    monkeypatch.setenv("TEST_ADMIN_KEY", first_keys(running)["admin-key"])

    def ask(*arguments: str) -> Any:
        where = ("--url", running.url, "--admin-key-env", "TEST_ADMIN_KEY", "--json")
        done = penstock("keys", *arguments, *where)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    return ask


def test_nobody_gets_in_without_a_key(running: Release) -> None:
    assert httpx.get(f"{running.url}/v1/models", timeout=30).status_code == 401
    with pytest.raises(AuthenticationError) as caught:
        say(running, "none")
    assert caught.value.code == "invalid_api_key"
    with pytest.raises(AuthenticationError):
        say(running, secret.new_key())
    assert httpx.get(f"{running.url}/admin/keys", timeout=30).status_code == 401


def test_the_keys_of_the_secret_do_what_their_names_say(running: Release) -> None:
    first = first_keys(running)
    assert say(running, first["user-key"])
    with pytest.raises(PermissionDeniedError):
        say(running, first["admin-key"])
    headers = {"authorization": f"Bearer {first['user-key']}"}
    assert httpx.get(f"{running.url}/admin/keys", headers=headers, timeout=30).status_code == 403


def test_helm_test_asks_with_the_users_key(running: Release) -> None:
    assert "Succeeded" in running.helm("test", running.name, "--timeout", "6m", limit=400)


def test_a_key_that_is_made_works_and_one_that_is_disabled_is_refused_by_every_gateway_within_seconds(
    running: Release, keys: Callable[..., Any]
) -> None:
    made = keys("create", "alice", "--owner", "research", "--model", "pretend")
    assert say(running, made["key"])
    watches = [_watch(running, pod.metadata.name, made["key"]) for pod in running.pods("gateway")]
    assert len(watches) == 2
    try:
        for watch in watches:
            assert _told(watch)["seen"] == [200], "the gateway of each pod takes the key"
        keys("disable", "alice")
        disabled = time.time()
        for watch in watches:
            told = _told(watch)
            assert told["seen"] == [200, 401]
            # What the machine itself loses between two questions is not the gateway's.
            assert told["at"] - told["gap"] - disabled < REVOKED, f"{told['at'] - disabled:.1f} s: {told}"
    finally:
        for watch in watches:
            watch.kill()
            watch.communicate()
    with pytest.raises(AuthenticationError):
        say(running, made["key"])
    assert [change["action"] for change in keys("log", "--limit", "2")] == ["disable", "create"]


def test_an_upgrade_keeps_the_keys_and_the_pods(running: Release) -> None:
    before, pods = first_keys(running), _gateways(running)
    running.apply(VALUES)
    assert first_keys(running) == before
    assert _gateways(running) == pods


def test_other_keys_in_the_secret_are_taken_over_without_a_restart(running: Release) -> None:
    before, pods = first_keys(running), _gateways(running)
    running.core.delete_namespaced_secret(f"{running.name}-keys", running.space)
    running.apply(VALUES)
    running.key = first_keys(running)["user-key"]
    assert running.key != before["user-key"]
    # Kubernetes takes its time to bring a Secret into a pod, and each gateway looks for itself.
    until(
        lambda: all(_status(running, pod, before["user-key"]) == "401" for pod in pods),
        limit=300,
        what="the old key is refused by both",
        account=running.account,
    )
    assert all(_status(running, pod, running.key) == "200" for pod in pods)
    assert _gateways(running) == pods


def test_an_uninstall_takes_the_keys_along_and_leaves_the_secrets_of_others(running: Release) -> None:
    running.uninstall()
    until(
        lambda: running.kubectl("get", "secret", "--output", "name").split() == ["secret/postgres"],
        limit=180,
        what="only the database's own Secret is left",
        account=lambda: running.kubectl("get", "secret"),
    )


def _gateways(release: Release) -> dict[str, int]:
    """Restarts of the gateway pods, by name."""
    return {
        pod.metadata.name: sum(status.restart_count for status in pod.status.container_statuses)
        for pod in release.pods("gateway")
    }


def _status(release: Release, pod: str, key: str) -> str:
    """What the gateway of a pod answers to a key."""
    command = ("exec", "--stdin", pod, "--container", "ray", "--", "python", "-c", ONCE)
    return release.kubectl(*command, given=f"{key}\n", limit=180).strip()


def _watch(release: Release, pod: str, key: str) -> subprocess.Popen[str]:
    command = ["kubectl", "--namespace", release.space, "exec", "--stdin", pod, "--container", "ray", "--"]
    watch = subprocess.Popen(
        [*command, "python", "-c", WATCH], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert watch.stdin is not None
    watch.stdin.write(f"{key}\n")
    watch.stdin.flush()
    return watch


def _told(watch: subprocess.Popen[str]) -> dict[str, Any]:
    """The next thing that a watch prints."""
    assert watch.stdout is not None
    line = watch.stdout.readline()
    assert line, "the watch ended without a word"
    told: dict[str, Any] = json.loads(line)
    return told
