"""Statements of the roles on AWS, against the calls that Penstock really makes."""

from __future__ import annotations

import boto3
import pytest
from moto.server import ThreadedMotoServer

from penstock.config.source import Source
from penstock.config.weights import Weights
from penstock.engine.weights.files import Patience
from penstock.engine.weights.s3 import S3Remote
from support.terraform_aws import AWS
from support.terraform_docs import read

ACTIONS = {"ListObjectsV2": "s3:ListBucket", "GetObject": "s3:GetObject"}
"""The action of IAM that a call of S3 needs, by AWS' own table."""


def statements(document: str) -> dict[str, dict[str, object]]:
    """Statements of a policy by what they are for."""
    for path in sorted(AWS.glob("*.tf")):
        for block in read(path).get("data", []):
            for kind, named in block.items():
                if kind == "aws_iam_policy_document" and document in named:
                    found = named[document]["statement"]
                    assert len({statement["sid"] for statement in found}) == len(found)
                    return {statement["sid"]: statement for statement in found}
    raise AssertionError(document)


@pytest.mark.integration
async def test_engines_may_do_what_reading_weights_takes_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "someone")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-key")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        address = f"http://{host}:{port}"
        client = boto3.client("s3", endpoint_url=address, region_name="us-east-1")
        client.create_bucket(Bucket="identities")
        client.put_object(Bucket="identities", Key="model/config.json", Body=b"{}")
        called = set()
        remote = S3Remote(
            Source("s3", "identities", "model"), Weights.model_validate({"s3": {"endpoint": address}}).s3, Patience()
        )
        remote._connected().meta.events.register(
            "before-sign.s3", lambda operation_name, **_: called.add(operation_name)
        )
        snapshot = await remote.snapshot()
        for file in snapshot.files:
            await remote.address(file)
    finally:
        server.stop()
    assert called == ACTIONS.keys()
    granted = {a for s in statements("engine").values() for a in s["actions"] if a.startswith("s3:")}  # type: ignore[attr-defined]
    assert granted == {ACTIONS[call] for call in called}


def test_weights_are_decrypted_through_s3_alone() -> None:
    (condition,) = statements("engine")["DecryptWeights"]["condition"]  # type: ignore[misc]
    assert statements("engine")["DecryptWeights"]["actions"] == ["kms:Decrypt"]
    assert condition["variable"] == "kms:ViaService"


def test_every_statement_says_what_it_is_for() -> None:
    assert list(statements("engine")) == ["ListWeights", "ReadWeights", "DecryptWeights"]
    assert list(statements("autoscaler")) == [
        "SeeGroupsAndMachines",
        "SeeLabelsAndTaintsOfEmptyGroups",
        "ScaleGroupsOfThisCluster",
    ]


def test_what_changes_something_is_bound_to_this_cluster() -> None:
    for sid, statement in statements("autoscaler").items():
        only_reads = all(
            action.partition(":")[2].startswith(("Describe", "Get"))
            for action in statement["actions"]  # type: ignore[attr-defined]
        )
        assert only_reads or statement["condition"], sid
        assert only_reads or "*" not in statement["resources"], sid  # type: ignore[operator]


def test_no_action_is_a_pattern() -> None:
    for document in ("engine", "autoscaler", "pod", "flow_log"):
        assert not [a for s in statements(document).values() for a in s["actions"] if "*" in a]  # type: ignore[attr-defined]
