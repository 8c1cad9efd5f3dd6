"""The examples for AWS from nothing to nothing, against a stand-in for AWS over HTTP, by the real provider.

The provider waits between its questions, for minutes in all, whoever is asked: so both examples are made at the same
time, and only where `PENSTOCK_TF_APPLY=1` asks for it (`make test-aws`). What is wrong with moto is named in
`support.amazon.FAULTS` and put right there; what it only forgets to tell is named in `FORGOTTEN`, and nothing else may
differ in a second plan.
"""

from __future__ import annotations

import base64
import json
import os
import urllib.parse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from support.amazon import Cloud, amazon
from support.terraform import TerraformError
from support.terraform_aws import EXAMPLES, Copy, copied, needed

pytestmark = [
    pytest.mark.integration,
    needed,
    pytest.mark.skipif(os.environ.get("PENSTOCK_TF_APPLY") != "1", reason="PENSTOCK_TF_APPLY=1 asks for it: minutes"),
    pytest.mark.timeout(1500),
]
ADDRESS = "203.0.113.7/32"
RESERVATION = "cr-0123456789abcdef0"
OPS = "arn:aws:iam::123456789012:role/ops"
GIVEN = {
    "minimal": [f'-var=public_from=["{ADDRESS}"]'],
    "production": [f"-var=h100_reservation={RESERVATION}", f'-var=admins={{ops="{OPS}"}}'],
}
FORGOTTEN = {
    'aws_db_instance.this["postgres"]': {"performance_insights_enabled", "performance_insights_kms_key_id"},
    'aws_db_parameter_group.this["postgres"]': {"parameter"},
    'aws_elasticache_parameter_group.this["redis"]': {"tags_all"},
    'aws_elasticache_replication_group.this["redis"]': {"num_cache_clusters", "transit_encryption_mode"},
    'aws_vpc_security_group_ingress_rule.database["postgres"]': {"description"},
    'aws_vpc_security_group_ingress_rule.database["redis"]': {"description"},
}
"""What moto 5.2 does not tell of databases though it was told, so that a second plan would set it again."""
TOWARDS_MOTO = """
provider "aws" {
  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_metadata_api_check     = true
}
"""
WITHOUT_GUARD = """
resource "terraform_data" "guard" {
  lifecycle {
    prevent_destroy = false
  }
}
"""
THROWN_AWAY = 'module "penstock" {\n  protect = false\n}\n'


@dataclass
class Made:
    """What became of an example. `second` is what a second plan would change; `guarded` the words
    that a destruction was refused with."""

    name: str = ""
    outputs: dict[str, Any] = field(default_factory=dict)
    state: str = ""
    second: dict[str, set[str]] = field(default_factory=dict)
    guarded: str = ""
    seen: dict[str, Any] = field(default_factory=dict)


@dataclass
class All:
    """All examples, and what was left when they were gone."""

    made: dict[str, Made]
    left: dict[str, list[Any]]


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[All]:
    with amazon() as cloud:
        copies = {name: copied(tmp_path_factory.mktemp(name)) for name in EXAMPLES}
        with ThreadPoolExecutor(len(EXAMPLES)) as pool:
            made = list(pool.map(lambda name: _live(name, copies[name], cloud), EXAMPLES))
        yield All({each.name: each for each in made}, _left(cloud))


@pytest.fixture(params=EXAMPLES)
def made(request: pytest.FixtureRequest, everything: All) -> Made:
    return everything.made[request.param]


def _live(name: str, copy: Copy, cloud: Cloud) -> Made:
    """An example from its first apply to its end."""
    root = copy.modules / "aws" / "examples" / name
    (root / "moto_override.tf").write_text(TOWARDS_MOTO, encoding="utf-8")
    copy.surroundings.update(cloud.environment)
    made = Made(name)

    def run(*arguments: str) -> str:
        given = [] if arguments[0] in ("init", "output") else ["-parallelism=40", *GIVEN[name]]
        return copy.run(f"examples/{name}", *arguments, *given, limit=600)

    run("init")
    run("apply", "-auto-approve")
    made.outputs = {key: told["value"] for key, told in json.loads(run("output", "-json")).items()}
    made.state = (root / "terraform.tfstate").read_text(encoding="utf-8")
    made.seen = _seen(cloud, json.loads(made.state))
    run("plan", "-out=second")
    made.second = _changes(json.loads(copy.run(f"examples/{name}", "show", "-json", "second")))
    if name == "production":
        try:
            run("destroy", "-auto-approve")
        except TerraformError as error:
            made.guarded = str(error)
        (root / "guard_override.tf").write_text(WITHOUT_GUARD + THROWN_AWAY, encoding="utf-8")
        # Not all of it: what moto forgets would be set again, and waited for.
        run("apply", "-auto-approve", "-target=module.penstock.aws_db_instance.this")
    run("destroy", "-auto-approve")
    return made


def _changes(plan: dict[str, Any]) -> dict[str, set[str]]:
    """Attributes that a plan would change, by resource."""
    found = {}
    for told in plan["resource_changes"]:
        change = told["change"]
        if told["mode"] == "managed" and change["actions"] != ["no-op"]:
            assert change["actions"] == ["update"], (told["address"], change["actions"])
            after = change["after"]
            found[told["address"].removeprefix("module.penstock.")] = {
                name for name, value in change["before"].items() if name in after and after[name] != value
            }
    return found


def _seen(cloud: Cloud, state: dict[str, Any]) -> dict[str, Any]:
    """What is there, as AWS tells it."""
    (cluster,) = [
        thing["instances"][0]["attributes"]["name"]
        for thing in state["resources"]
        if thing["type"] == "aws_eks_cluster"
    ]
    eks, scaling, iam = cloud.client("eks"), cloud.client("autoscaling"), cloud.client("iam")
    groups = {
        group: eks.describe_nodegroup(clusterName=cluster, nodegroupName=group)["nodegroup"]
        for group in eks.list_nodegroups(clusterName=cluster)["nodegroups"]
    }
    tags = {
        group: {
            tag["Key"]: tag["Value"]
            for tag in scaling.describe_auto_scaling_groups(
                AutoScalingGroupNames=[told["resources"]["autoScalingGroups"][0]["name"]]
            )["AutoScalingGroups"][0]["Tags"]
        }
        for group, told in groups.items()
    }
    templates = {
        group: cloud.client("ec2").describe_launch_template_versions(
            LaunchTemplateId=told["launchTemplate"]["id"], Versions=["$Latest"]
        )["LaunchTemplateVersions"][0]["LaunchTemplateData"]
        for group, told in groups.items()
    }
    identities = {}
    for told in cloud.eks.identities.values():
        if told["clusterName"] == cluster:
            role = told["roleArn"].rpartition("/")[2]
            (policy,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
            identities[policy] = {
                "for": (told["namespace"], told["serviceAccount"]),
                "may": _document(iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]),
                "trusts": _document(iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]),
            }
    secrets = cloud.client("secretsmanager")
    return {
        "cluster": eks.describe_cluster(name=cluster)["cluster"],
        "groups": groups,
        "tags": tags,
        "templates": templates,
        "identities": identities,
        "addons": {told["addonName"] for told in cloud.eks.addons.values() if told["clusterName"] == cluster},
        "admins": {told["principalArn"] for told in cloud.eks.entries.values() if told["clusterName"] == cluster},
        "secrets": [
            secrets.get_secret_value(SecretId=told["Name"])["SecretString"]
            for told in secrets.list_secrets()["SecretList"]
            if told["Name"].startswith(f"{cluster}/")
        ],
    }


def _document(told: Any) -> dict[str, Any]:
    found: dict[str, Any] = told if isinstance(told, dict) else json.loads(urllib.parse.unquote(told))
    return found


def _left(cloud: Cloud) -> dict[str, list[Any]]:
    ec2 = cloud.client("ec2")
    return {
        "clusters": cloud.client("eks").list_clusters()["clusters"],
        "groups": cloud.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"],
        "networks": ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["false"]}])["Vpcs"],
        "templates": ec2.describe_launch_templates()["LaunchTemplates"],
        "buckets": [b["Name"] for b in cloud.client("s3").list_buckets()["Buckets"] if "penstock" in b["Name"]],
        "roles": [r["RoleName"] for r in cloud.client("iam").list_roles()["Roles"] if "penstock" in r["RoleName"]],
        "repositories": cloud.client("ecr").describe_repositories()["repositories"],
        "databases": cloud.client("rds").describe_db_instances()["DBInstances"],
        "replication groups": cloud.client("elasticache").describe_replication_groups()["ReplicationGroups"],
        "secrets": cloud.client("secretsmanager").list_secrets()["SecretList"],
        "identities": [*cloud.eks.identities, *cloud.eks.addons, *cloud.eks.entries],
    }


def test_a_second_plan_shows_no_difference(made: Made) -> None:
    assert made.second == (FORGOTTEN if made.name == "production" else {})


def test_node_groups_are_what_the_example_asks_for(made: Made) -> None:
    sizes = {name: told["scalingConfig"] for name, told in made.seen["groups"].items()}
    wanted = {
        "minimal": {"system": (2, 4), "nvidia-l4": (0, 1)},
        "production": {"system": (3, 8), "nvidia-h100": (1, 3), "l4-spot": (0, 10)},
    }[made.name]
    assert {name: (told["minSize"], told["maxSize"]) for name, told in sizes.items()} == wanted
    for name, told in made.outputs["nodes"].items():
        group = made.seen["groups"][name]
        assert group["labels"] == told["labels"]
        assert group["taints"] == [{"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}]
        assert group["instanceTypes"] == [told["machine"]]
        assert group["amiType"] == "AL2023_x86_64_NVIDIA"
        assert group["capacityType"] == ("SPOT" if name == "l4-spot" else "ON_DEMAND")


def test_the_autoscaler_finds_what_a_node_would_be(made: Made) -> None:
    stem = "k8s.io/cluster-autoscaler/node-template"
    for name, told in made.outputs["nodes"].items():
        tags = made.seen["tags"][name]
        assert {key.removeprefix(f"{stem}/label/"): tags[key] for key in tags if "/label/" in key} == told["labels"]
        assert tags[f"{stem}/taint/nvidia.com/gpu"] == "present:NoSchedule"
        assert tags[f"{stem}/resources/nvidia.com/gpu"] == ("8" if name == "nvidia-h100" else "1")


def test_reserved_nodes_come_from_the_reservation_and_use_their_own_disks(made: Made) -> None:
    for name in made.outputs["nodes"]:
        template = made.seen["templates"][name]
        assert b"RAID0" in base64.b64decode(template["UserData"])
        reserved = template.get("CapacityReservationSpecification", {}).get("CapacityReservationTarget", {})
        assert reserved.get("CapacityReservationId") == (RESERVATION if name == "nvidia-h100" else None)
        assert template["MetadataOptions"]["HttpTokens"] == "required"


def test_engines_read_the_bucket_of_this_cluster_alone(made: Made) -> None:
    bucket = f"arn:aws:s3:::{made.outputs['weights']['bucket']}"
    engine = made.seen["identities"]["engine"]
    assert engine["for"] == ("penstock", "penstock")
    may = {told["Sid"]: (told["Action"], told["Resource"]) for told in engine["may"]["Statement"]}
    assert may == {
        "ListWeights": ("s3:ListBucket", bucket),
        "ReadWeights": ("s3:GetObject", f"{bucket}/*"),
        "DecryptWeights": ("kms:Decrypt", made.outputs["weights"]["key"]),
    }


def test_roles_of_pods_are_for_pods_of_this_cluster(made: Made) -> None:
    assert made.seen["identities"].keys() == {"engine", "autoscaler"}
    for identity in made.seen["identities"].values():
        (statement,) = identity["trusts"]["Statement"]
        assert statement["Principal"] == {"Service": "pods.eks.amazonaws.com"}
        assert statement["Condition"]["ArnEquals"] == {"aws:SourceArn": made.seen["cluster"]["arn"]}


def test_who_reaches_the_cluster_is_who_was_named(made: Made) -> None:
    network = made.seen["cluster"]["resourcesVpcConfig"]
    assert network["endpointPrivateAccess"]
    assert network["endpointPublicAccess"] == (made.name == "minimal")
    assert made.seen["admins"] == ({OPS} if made.name == "production" else set())
    assert made.seen["addons"] == {"coredns", "eks-pod-identity-agent", "kube-proxy", "vpc-cni"}


def test_no_secret_is_in_the_state_or_in_an_output(everything: All) -> None:
    production = everything.made["production"]
    (address,) = production.seen["secrets"]
    password = urllib.parse.urlsplit(address).password
    assert password
    assert len(password) == 64
    assert password not in production.state
    assert password not in json.dumps(production.outputs)
    assert everything.made["minimal"].seen["secrets"] == []


def test_the_guard_refuses_to_destroy_what_holds_data(everything: All) -> None:
    assert "terraform_data.guard" in everything.made["production"].guarded
    assert "prevent_destroy" in everything.made["production"].guarded


def test_nothing_is_left(everything: All) -> None:
    assert everything.left == {kind: [] for kind in everything.left}
