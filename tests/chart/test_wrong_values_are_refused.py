"""Values that cannot work are refused before they reach the cluster: what was found, what is wrong, what to do."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import pytest

from support.charts import CHART, refusal, render

SIMULATED: dict[str, Any] = {"engine": "simulator"}
PVC = {"type": "persistentVolumeClaim"}


class Case(NamedTuple):
    """Values that do not go together, and what is said of them."""

    values: dict[str, Any]
    found: str
    wrong: str
    do: str


def _model(**keys: Any) -> dict[str, Any]:
    return {"models": {"a": {**SIMULATED, **keys}}}


CHECKS = {
    "a model that the catalog lacks": Case(
        {"catalog": {"gpt-9": True}},
        "catalog.gpt-9: true",
        "the catalog has no such model",
        "choose one of bge-m3, ",
    ),
    "a model both own and from the catalog": Case(
        {"catalog": {"bge-m3": True}, "models": {"bge-m3": SIMULATED}},
        "bge-m3 under models and under catalog",
        "a name means one model, and it would not be clear which",
        "set catalog.bge-m3=false, or remove models.bge-m3",
    ),
    "a name that no Service may have": Case(
        {"fullnameOverride": "7b"},
        "7b as the name of the objects",
        "a Service's name is made of lower-case letters, digits and -, and begins with a letter",
        "name the release so, or set fullnameOverride",
    ),
    "hardware that nobody described": Case(
        _model(hardware="nvidia-l5"),
        "models.a.hardware: nvidia-l5",
        "there is no such profile",
        "describe it under hardware, or choose one of cpu, nvidia-a100-40gb, ",
    ),
    "GPUs on hardware without one": Case(
        _model(hardware="plain", gpus=2) | {"hardware": {"plain": {}}},
        "models.a.gpus: 2 on hardware plain",
        "that profile has no GPU",
        "name a profile with one, such as resources: {nvidia.com/gpu: 1}",
    ),
    "hardware that differs in punctuation alone": Case(
        {
            "models": {"a": {**SIMULATED, "hardware": "big.node"}, "b": {**SIMULATED, "hardware": "Big_node"}},
            "hardware": {"big.node": {}, "Big_node": {}},
        },
        "hardware big.node and Big_node, both the worker group hw-big-node",
        "their pods could not be told apart",
        "rename one, so that they differ in more than case and punctuation, within 50 characters",
    ),
    "a relative path": Case(
        {"models": {"a": {"source": "../models/a"}}},
        "models.a.source: ../models/a",
        "a relative path means nothing in a pod",
        "write hf://, s3://, gs://, pvc://claim/path, or file:///path of the image",
    ),
    "fewer replicas at most than at least": Case(
        _model(replicas={"min": 3, "max": 2}),
        "models.a.replicas: min 3, max 2",
        "max is at least min",
        "raise max or lower min",
    ),
    "more replicas than pods": Case(
        _model(replicas={"max": 8}) | {"cluster": {"engine": {"maxPods": 4}}},
        "models.a.replicas.max: 8 and cluster.engine.maxPods: 4",
        "each replica has a pod, so the hardware profile would never have room for all",
        "raise cluster.engine.maxPods, which makes a new Ray cluster, or lower replicas.max",
    ),
    "one alias of two models": Case(
        {"models": {"a": {**SIMULATED, "aliases": ["best"]}, "b": {**SIMULATED, "aliases": ["best"]}}},
        "best as a name of a and of b",
        "a name means one model",
        "remove one of the two aliases",
    ),
    "more gateways than pods": Case(
        {"gateway": {"replicas": 4}, "cluster": {"gateway": {"maxPods": 3}}},
        "gateway.replicas: 4 and cluster.gateway.maxPods: 3",
        "each gateway has a pod of its own, and a rollout starts a quarter more before it stops any",
        "raise cluster.gateway.maxPods, which makes a new Ray cluster, or lower gateway.replicas",
    ),
    "a budget that no drain can keep": Case(
        {"podDisruptionBudget": {"gateway": {"enabled": True}}},
        "podDisruptionBudget.gateway.minAvailable: 1 with gateway.replicas: 1",
        "no node with a gateway could ever be drained",
        "raise gateway.replicas, or lower minAvailable",
    ),
    "a port of Ray": Case(
        {"gateway": {"port": 8265}},
        "gateway.port: 8265",
        "Ray listens on that port in every pod",
        "leave 8000, and choose service.port for clients",
    ),
    "gateways without a pod to roll out on": Case(
        {"gateway": {"replicas": 8}, "cluster": {"gateway": {"maxPods": 9}}},
        "gateway.replicas: 8 and cluster.gateway.maxPods: 9",
        "each gateway has a pod of its own, and a rollout starts a quarter more before it stops any",
        "raise cluster.gateway.maxPods, which makes a new Ray cluster, or lower gateway.replicas",
    ),
    "a port of Ray's workers": Case(
        {"gateway": {"port": 10002}},
        "gateway.port: 10002",
        "Ray gives ports from 10002 to 19999 to its workers in every pod, whichever comes first",
        "leave 8000, and choose service.port for clients",
    ),
    "more shared memory than memory": Case(
        _model() | {"cluster": {"engine": {"sharedMemory": "9Gi"}}},
        "cluster.engine.sharedMemory: 9Gi, and pods with 8Gi of memory",
        "what is written to /dev/shm counts as memory of the pod, which would be killed for it",
        "lower sharedMemory, or raise memory in hardware.cpu.resources or cluster.engine.resources",
    ),
    "a mount of nothing": Case(
        {"cluster": {"gateway": {"volumes": {"data": {"emptyDir": {}}}, "volumeMounts": {"dta": {"mountPath": "/d"}}}}},
        "cluster.gateway.volumeMounts.dta",
        "those pods have no volume of that name",
        "describe it in cluster.gateway.volumes, or name one of accounts-keys, data, home, tmp",
    ),
    "less at most than at least": Case(
        {"cluster": {"head": {"resources": {"requests": {"memory": "4Gi"}, "limits": {"memory": "2000M"}}}}},
        "cluster.head.resources: memory 4Gi asked for and limited to 2000M",
        "Kubernetes refuses a pod that asks for more than it may have",
        "raise the limit or lower the request, in cluster.head.resources",
    ),
    "a profile that asks for more than its pods may have": Case(
        _model(hardware="wide")
        | {
            "hardware": {"wide": {"resources": {"cpu": 4}}},
            "cluster": {"engine": {"resources": {"limits": {"cpu": "2500m"}}}},
        },
        "pods of hardware wide: cpu 4 asked for and limited to 2500m",
        "Kubernetes refuses a pod that asks for more than it may have",
        "raise the limit or lower the request, in hardware.wide.resources or cluster.engine.resources",
    ),
    "a model with a GPU and one without on one profile": Case(
        {"models": {name: {**SIMULATED, "hardware": "nvidia-l4", "gpus": gpus} for name, gpus in (("a", 0), ("b", 1))}},
        "models.a with 0 GPUs and models.b with 1, both on hardware nvidia-l4",
        "the pods of a profile are alike: all with a GPU, or all without",
        "give the model that needs no GPU a profile without one, such as cpu",
    ),
    "a claim of one node for pods on several": Case(
        _model(replicas=2, rollout={"surge": "never"}) | {"modelCache": {**PVC, "accessModes": ["ReadWriteOnce"]}},
        "modelCache.accessModes: ReadWriteOnce, and 2 pods that may want the claim at once",
        "pods on other nodes than the first would wait for it for ever",
        "use a storage class with ReadWriteMany, or a cache of type hostPath or emptyDir",
    ),
    "a claim of one node for the pods of a rollout": Case(
        _model() | {"modelCache": {**PVC, "accessModes": ["ReadWriteOnce"]}},
        "modelCache.accessModes: ReadWriteOnce, and 2 pods that may want the claim at once",
        "pods on other nodes than the first would wait for it for ever",
        "use a storage class with ReadWriteMany, or a cache of type hostPath or emptyDir; for a single replica, set",
    ),
    "a port of root": Case(
        {"gateway": {"port": 80}},
        "gateway.port: 80",
        "pods run as user 1000, who may not listen below 1024",
        "leave 8000, and choose service.port for clients",
    ),
    "a download that nobody would see": Case(
        {"modelCache": {"download": True}},
        "modelCache.download with type emptyDir",
        "what the Job downloads would be in its own pod alone",
        "set modelCache.type=persistentVolumeClaim, or download=false",
    ),
    "a claim that nobody would use": Case(
        {"modelCache": {"existingClaim": "weights"}},
        "modelCache.existingClaim: weights with type emptyDir",
        "the claim would not be used",
        "set modelCache.type=persistentVolumeClaim",
    ),
    "a port of the nodes without one": Case(
        {"service": {"nodePort": 30000}},
        "service.nodePort: 30000 with type ClusterIP",
        "a Service of that type has no port on the nodes",
        "set service.type=NodePort",
    ),
    "a route of no Gateway": Case(
        {"httpRoute": {"enabled": True}},
        "httpRoute.enabled without httpRoute.parentRefs",
        "a route that belongs to no Gateway carries no request",
        "name the Gateway: httpRoute.parentRefs=[{name: ..., namespace: ...}]",
    ),
    "a Secret without a key": Case(
        {"secrets": {"hub": {"name": "hf", "key": ""}}},
        "secrets.hub.name: hf without a key",
        "the Secret may have several",
        "set secrets.hub.key",
    ),
    "a password for no Redis": Case(
        {"cluster": {"redis": {"password": {"name": "redis"}}}},
        "cluster.redis.password without cluster.redis.address",
        "the control store would stay in the head pod, and be lost with it",
        "set cluster.redis.address to host:port",
    ),
}
CHECKS |= {
    "two files of keys": Case(
        {"secrets": {"keys": {"name": "ours"}}, "accounts": {"keysFile": "/k.yaml"}},
        "secrets.keys.name: ours and accounts.keysFile: /k.yaml",
        "gateways read one file of keys, which the chart mounts from the Secret",
        "leave out accounts.keysFile, or leave out secrets.keys and mount the file yourself",
    ),
    "two stores": Case(
        {"secrets": {"database": {"name": "pg"}}, "accounts": {"database": {"file": "/d"}}},
        "secrets.database.name: pg and accounts.database",
        "there is one store of keys, whose address the chart mounts from the Secret",
        "leave out accounts.database, or leave out secrets.database and name a variable or a file of your own",
    ),
    "two Redis": Case(
        {"secrets": {"redis": {"name": "r"}}, "accounts": {"limits": {"redis": {"file": "/r"}}}},
        "secrets.redis.name: r and accounts.limits.redis",
        "there is one Redis that limits are counted in, whose address the chart mounts from the Secret",
        "leave out accounts.limits.redis, or leave out secrets.redis and name a variable or a file of your own",
    ),
    "a Secret of no provider": Case(
        {"secrets": {"providers": {"cloud": {"name": "vendor"}}}},
        "secrets.providers.cloud, and no such key of providers",
        "the key would be mounted in gateway pods, and nothing would be sent with it",
        "name the provider under providers.cloud, or leave out its Secret",
    ),
    "two keys of a provider": Case(
        {
            "secrets": {"providers": {"cloud": {"name": "vendor"}}},
            "providers": {"cloud": {"preset": "openai", "key": {"file": "/k"}, "models": {"big": {}}}},
        },
        "secrets.providers.cloud and providers.cloud.key",
        "a provider has one key, which the chart mounts from the Secret",
        "leave out providers.cloud.key, or leave out secrets.providers.cloud",
    ),
    "a key in a variable that gateways lack": Case(
        {"providers": {"cloud": {"preset": "openai", "key": {"env": "VENDOR"}, "models": {"big": {}}}}},
        "providers.cloud.key.env: VENDOR, and no such variable in cluster.gateway.env",
        "gateway pods would not know the key, and the provider would answer nothing",
        "name the Secret with the key under secrets.providers.cloud, or set the variable from it in"
        " cluster.gateway.env",
    ),
    "a store for each pod": Case(
        {"accounts": {"database": {}}},
        "accounts.database: {}",
        "a SQLite is a file of one machine, so each gateway pod would have a store of its own",
        "put the address of a PostgreSQL into a Secret and name it under secrets.database",
    ),
    "a store in a file of the pod": Case(
        {"accounts": {"database": {"sqlite": "/a.db"}}},
        'accounts.database: {"sqlite":"/a.db"}',
        "a SQLite is a file of one machine, so each gateway pod would have a store of its own",
        "put the address of a PostgreSQL into a Secret and name it under secrets.database",
    ),
    "a variable that pods do not have": Case(
        {"accounts": {"database": {"env": "PG"}}, "cluster": {"gateway": {"env": {"OTHER": "x"}}}},
        "accounts.database.env: PG, and no such variable in cluster.gateway.env",
        "gateway pods would not know the address of the store, and never get ready",
        "name the Secret with the address under secrets.database, or set the variable from it in cluster.gateway.env",
    ),
    "nobody with a key": Case(
        {"firstKeys": {"create": False}},
        "firstKeys.create: false, and no other key",
        "the address would be closed to everybody, or open to everybody, and the values do not say which",
        "name keys (secrets.keys, secrets.database, accounts.keys), leave firstKeys.create=true, or open the address"
        " with accounts.anonymous=true",
    ),
    "nobody with a key, as if somebody had one": Case(
        {"firstKeys": {"create": False}, "accounts": {"anonymous": False}},
        "firstKeys.create: false, and no other key",
        "the address would be closed to everybody, or open to everybody, and the values do not say which",
        "name keys (secrets.keys, secrets.database, accounts.keys), leave firstKeys.create=true, or open the address",
    ),
    "a Secret of keys without a key": Case(
        {"secrets": {"keys": {"name": "ours", "key": ""}}},
        "secrets.keys.name: ours without a key",
        "the Secret may have several",
        "set secrets.keys.key",
    ),
}
WITHOUT_KUBERAY = Case(
    {},
    "a cluster that does not know ray.io/v1 RayService",
    "the KubeRay operator, which runs Ray on Kubernetes, is not installed, or is older than 1.0",
    "install KubeRay 1.6 or newer and wait for its CRDs; for helm template, ",
)


def _assert_told(case: Case, said: str) -> None:
    assert f"\n  found: {case.found}\n" in said
    assert f"\n  wrong: {case.wrong}\n" in said
    assert f"\n  do:    {case.do}" in said


@pytest.mark.parametrize("name", CHECKS)
def test_what_does_not_go_together_is_refused_with_a_way_out(name: str) -> None:
    _assert_told(CHECKS[name], refusal(CHECKS[name].values))


def test_a_cluster_without_kuberay_is_refused_with_a_way_out() -> None:
    _assert_told(WITHOUT_KUBERAY, refusal({}, "--api-versions", "v1"))


def test_whoever_knows_better_renders_without_asking_the_cluster() -> None:
    assert render({"skipCapabilityCheck": True}, "--api-versions", "v1").of("RayService")


def test_every_check_of_the_chart_has_a_case_here() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in (CHART / "templates").glob("checks*.yaml"))
    checks = re.findall(r'^  "wrong" "([^"\n]+)"$', text, re.MULTILINE)
    assert len(checks) == text.count('include "penstock.refuse"')
    assert set(checks) == {case.wrong for case in [*CHECKS.values(), WITHOUT_KUBERAY]}


@pytest.mark.parametrize(
    ("values", "path", "said"),
    [
        ({"modells": {}}, "(root)", "modells"),
        ({"models": {"a": {**SIMULATED, "option": {}}}}, "models.a", "option"),
        ({"cluster": {"gateway": {"replicas": 2}}}, "cluster.gateway", "replicas"),
        ({"cluster": {"engine": {"maxPods": "many"}}}, "cluster.engine.maxPods", "integer"),
        ({"service": {"type": "ExternalName"}}, "service.type", "ClusterIP"),
        ({"ingress": {"hosts": "llm.example.com"}}, "ingress.hosts", "array"),
        ({"gateway": {"longestRequest": "10 minutes"}}, "gateway.longestRequest", "pattern"),
        ({"gateway": {"maxBodyBytes": "32 megabytes"}}, "gateway.maxBodyBytes", "pattern"),
        ({"image": {"engine": {"digest": "sha256:12"}}}, "image.engine.digest", "pattern"),
        ({"models": {"a b": SIMULATED}}, "models", "a b"),
        ({"fullnameOverride": "x" * 41}, "fullnameOverride", "40"),
    ],
)
def test_the_schema_names_the_path_of_what_is_wrong(values: dict[str, Any], path: str, said: str) -> None:
    told = refusal(values)
    assert "values don't meet the specifications of the schema" in told
    assert re.search(rf"^- {re.escape(path)}: .*{re.escape(said)}", told, re.MULTILINE), told
