"""What moto lacks of EKS, answered in its stead. Used by the stand-in for AWS."""

from __future__ import annotations

import json
import threading
import urllib.parse
import uuid
from collections.abc import Callable
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID
from werkzeug.wrappers import Request, Response

Items = dict[str, dict[str, Any]]
Moto = Callable[[Request], Response]


class Eks:
    """Add-ons, pod identities and access of clusters, and what moto tells of clusters and node groups put right."""

    def __init__(self, client: Callable[[str], Any]) -> None:
        self.addons: Items = {}
        self.identities: Items = {}
        self.entries: Items = {}
        self.policies: Items = {}
        self._asked: Items = {}
        self._client = client
        self._lock = threading.Lock()

    def answer(self, request: Request, moto: Moto) -> Response:
        """What EKS would say."""
        raw = request.environ.get("RAW_URI") or request.environ.get("REQUEST_URI") or request.path
        steps = [urllib.parse.unquote(step) for step in raw.partition("?")[0].strip("/").split("/")]
        asked = json.loads(request.get_data() or b"{}")
        kind = steps[2] if len(steps) > 2 else "clusters"
        ours = {"addons": self._addons, "pod-identity-associations": self._identities, "access-entries": self._access}
        if steps[0] == "clusters" and kind in ours:
            with self._lock:
                return _said(ours[kind](request.method, steps[1], steps[3:], asked))
        if steps[0] != "clusters" or kind not in {"clusters", "node-groups"}:
            return moto(request)
        if kind == "node-groups" and request.method == "DELETE":
            self._remove_group(steps[1], steps[3])
        name = asked.get("nodegroupName") or asked.get("name")
        if name:
            self._asked["/".join([*steps, name])] = asked
        told = moto(request)
        if told.status_code == 200:
            self._put_right(steps, name, told, fresh=request.method == "POST")
        return told

    def _put_right(self, steps: list[str], name: str | None, told: Response, *, fresh: bool) -> None:
        found = json.loads(told.get_data())
        asked = self._asked.get("/".join([*steps, name] if name else steps), {})
        if cluster := found.get("cluster"):
            if fresh:
                asked["group"] = self._security_group(cluster)
            cluster["accessConfig"] = asked.get("accessConfig")
            cluster["upgradePolicy"] = asked.get("upgradePolicy")
            cluster["resourcesVpcConfig"] |= {"clusterSecurityGroupId": asked.get("group")}
        if group := found.get("nodegroup"):
            if fresh:
                self._make_group(group)
            group.pop("remoteAccess", None)
            group["updateConfig"] = asked.get("updateConfig")
            group["nodeRepairConfig"] = asked.get("nodeRepairConfig")
        told.set_data(json.dumps(found))

    def _security_group(self, cluster: dict[str, Any]) -> str:
        ec2 = self._client("ec2")
        subnet = ec2.describe_subnets(SubnetIds=cluster["resourcesVpcConfig"]["subnetIds"][:1])["Subnets"][0]
        name = f"eks-cluster-sg-{cluster['name']}"
        made: str = ec2.create_security_group(GroupName=name, Description=name, VpcId=subnet["VpcId"])["GroupId"]
        return made

    def _addons(self, method: str, cluster: str, rest: list[str], asked: dict[str, Any]) -> dict[str, Any] | None:
        if not rest and method == "POST":
            name = asked["addonName"]
            made = {**asked, "clusterName": cluster, "addonVersion": "v1", "status": "ACTIVE"}
            made["addonArn"] = f"{_arn('addon')}/{cluster}/{name}/{uuid.uuid4()}"
            self.addons[f"{cluster}/{name}"] = made
            return {"addon": made}
        return _kept(self.addons, f"{cluster}/{'/'.join(rest)}", method, "addon")

    def _identities(self, method: str, cluster: str, rest: list[str], asked: dict[str, Any]) -> dict[str, Any] | None:
        if not rest and method == "POST":
            name = f"a-{uuid.uuid4().hex[:17]}"
            made = {**asked, "clusterName": cluster, "associationId": name}
            made["associationArn"] = f"{_arn('podidentityassociation')}/{cluster}/{name}"
            self.identities[f"{cluster}/{name}"] = made
            return {"association": made}
        return _kept(self.identities, f"{cluster}/{'/'.join(rest)}", method, "association")

    def _access(self, method: str, cluster: str, rest: list[str], asked: dict[str, Any]) -> dict[str, Any] | None:
        if not rest:
            made = {**asked, "clusterName": cluster, "type": "STANDARD", "kubernetesGroups": [], "username": ""}
            made["accessEntryArn"] = f"{_arn('access-entry')}/{cluster}/{uuid.uuid4()}"
            self.entries[f"{cluster}/{asked['principalArn']}"] = made
            return {"accessEntry": made}
        who = f"{cluster}/{rest[0]}"
        if len(rest) == 1:
            return _kept(self.entries, who, method, "accessEntry")
        if method == "POST":
            self.policies[f"{who}/{asked['policyArn']}"] = asked
            return {"associatedAccessPolicy": asked}
        if method == "DELETE":
            return self.policies.pop(f"{who}/{rest[2]}", None)
        given = [policy for key, policy in self.policies.items() if key.startswith(f"{who}/")]
        return {"associatedAccessPolicies": given}

    def _make_group(self, group: dict[str, Any]) -> None:
        self._client("autoscaling").create_auto_scaling_group(
            AutoScalingGroupName=group["resources"]["autoScalingGroups"][0]["name"],
            LaunchTemplate={"LaunchTemplateId": group["launchTemplate"]["id"], "Version": "$Latest"},
            MinSize=0,
            MaxSize=group["scalingConfig"]["maxSize"],
            DesiredCapacity=0,  # there are no machines to start
            VPCZoneIdentifier=",".join(group["subnets"]),
            Tags=[{"Key": f"k8s.io/cluster-autoscaler/{group['clusterName']}", "Value": "owned"}],
        )

    def _remove_group(self, cluster: str, name: str) -> None:
        group = self._client("eks").describe_nodegroup(clusterName=cluster, nodegroupName=name)["nodegroup"]
        self._client("autoscaling").delete_auto_scaling_group(
            AutoScalingGroupName=group["resources"]["autoScalingGroups"][0]["name"], ForceDelete=True
        )


def _arn(kind: str) -> str:
    return f"arn:aws:eks:us-east-1:{DEFAULT_ACCOUNT_ID}:{kind}"


def _kept(items: Items, key: str, method: str, word: str) -> dict[str, Any] | None:
    found = items.pop(key, None) if method == "DELETE" else items.get(key)
    return None if found is None else {word: found}


def _said(found: dict[str, Any] | None) -> Response:
    if found is None:
        lost = {"x-amzn-errortype": "ResourceNotFoundException"}
        return Response(json.dumps({"message": "not found"}), 404, lost, content_type="application/json")
    return Response(json.dumps(found), 200, content_type="application/json")
