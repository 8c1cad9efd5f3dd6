"""What moto lacks of ElastiCache: parameter groups, and members of replication groups. For the stand-in for AWS."""

from __future__ import annotations

from xml.sax.saxutils import escape

from moto.core import DEFAULT_ACCOUNT_ID
from moto.elasticache.models import elasticache_backends
from werkzeug.wrappers import Response

_NAMESPACE = "http://elasticache.amazonaws.com/doc/2015-02-02/"


class Cache:
    """Parameter groups by name, with what was set in each, and the calls that made replication groups."""

    def __init__(self) -> None:
        self._groups: dict[str, dict[str, str]] = {}
        self._gone: set[str] = set()
        self.families: dict[str, str] = {}
        self.parameters: dict[str, dict[str, str]] = {}

    def answer(self, asked: dict[str, str]) -> Response | None:
        """The answer to a call, or None where the call is another's."""
        action, name = asked["Action"], asked.get("CacheParameterGroupName", "")
        if action == "ListTagsForResource" and ":parametergroup:" in asked["ResourceName"]:
            return _reply(action, "<TagList></TagList>")
        if action == "DeleteCacheSubnetGroup":
            backend = elasticache_backends[DEFAULT_ACCOUNT_ID]["us-east-1"]
            backend.cache_subnet_groups.pop(asked["CacheSubnetGroupName"], None)
            return _reply(action, "")
        if "ParameterGroup" not in action and action != "DescribeCacheParameters":
            return self._of_replication_groups(action, asked)
        if action == "CreateCacheParameterGroup":
            self.families[name] = asked["CacheParameterGroupFamily"]
            self.parameters[name] = {}
        elif name not in self.families:
            lost = (
                "<Error><Type>Sender</Type><Code>CacheParameterGroupNotFound</Code><Message>not found</Message></Error>"
            )
            return Response(f'<ErrorResponse xmlns="{_NAMESPACE}">{lost}</ErrorResponse>', 404, content_type="text/xml")
        elif action == "ModifyCacheParameterGroup":
            self._set(name, asked)
        elif action == "DeleteCacheParameterGroup":
            del self.families[name], self.parameters[name]
        return _reply(action, self._told(action, name))

    def _of_replication_groups(self, action: str, asked: dict[str, str]) -> Response | None:
        name = asked.get("ReplicationGroupId", "")
        if action == "CreateReplicationGroup":
            self._groups[name] = asked
        elif action == "DeleteReplicationGroup":
            self._gone.add(name)
        elif name in self._gone:
            elasticache_backends[DEFAULT_ACCOUNT_ID]["us-east-1"].replication_groups.pop(name, None)
        if action == "DescribeCacheClusters" and (group := self._group(asked.get("CacheClusterId", ""))):
            return _reply(action, f"<CacheClusters>{_member(asked['CacheClusterId'], group)}</CacheClusters>")
        return None

    def _group(self, member: str) -> dict[str, str] | None:
        return self._groups.get(member.rpartition("-")[0])

    def _set(self, name: str, asked: dict[str, str]) -> None:
        stem = "ParameterNameValues.ParameterNameValue"
        for key, value in asked.items():
            if key.startswith(stem) and key.endswith(".ParameterName"):
                self.parameters[name][value] = asked[key.removesuffix("Name") + "Value"]

    def _told(self, action: str, name: str) -> str:
        if action == "DescribeCacheParameters":
            each = "".join(
                f"<Parameter><ParameterName>{escape(key)}</ParameterName><ParameterValue>{escape(value)}</ParameterValue>"
                "<Source>user</Source></Parameter>"
                for key, value in self.parameters[name].items()
            )
            return f"<Parameters>{each}</Parameters>"
        if name not in self.families:
            return ""
        arn = f"arn:aws:elasticache:us-east-1:{DEFAULT_ACCOUNT_ID}:parametergroup:{name}"
        group = (
            f"<CacheParameterGroup><CacheParameterGroupName>{name}</CacheParameterGroupName>"
            f"<CacheParameterGroupFamily>{self.families[name]}</CacheParameterGroupFamily>"
            f"<Description>Managed by Terraform</Description><ARN>{arn}</ARN></CacheParameterGroup>"
        )
        return f"<CacheParameterGroups>{group}</CacheParameterGroups>" if action.startswith("Describe") else group


def _reply(action: str, told: str) -> Response:
    body = f'<{action}Response xmlns="{_NAMESPACE}"><{action}Result>{told}</{action}Result></{action}Response>'
    return Response(body, 200, content_type="text/xml")


def _member(name: str, group: dict[str, str]) -> str:
    security = "".join(
        f"<member><SecurityGroupId>{value}</SecurityGroupId><Status>active</Status></member>"
        for key, value in group.items()
        if key.startswith("SecurityGroupIds.")
    )
    told = {
        "CacheClusterId": name,
        "CacheClusterStatus": "available",
        "ReplicationGroupId": group["ReplicationGroupId"],
        "Engine": group["Engine"],
        "EngineVersion": f"{group['EngineVersion']}.0",
        "CacheNodeType": group["CacheNodeType"],
        "NumCacheNodes": "1",
        "CacheSubnetGroupName": group["CacheSubnetGroupName"],
        "AutoMinorVersionUpgrade": "true",
        "SnapshotRetentionLimit": group["SnapshotRetentionLimit"],
        "TransitEncryptionEnabled": "true",
        "AtRestEncryptionEnabled": "true",
    }
    plain = "".join(f"<{key}>{escape(value)}</{key}>" for key, value in told.items())
    parameters = f"<CacheParameterGroupName>{group['CacheParameterGroupName']}</CacheParameterGroupName>"
    return (
        f"<CacheCluster>{plain}<CacheParameterGroup>{parameters}</CacheParameterGroup>"
        f"<SecurityGroups>{security}</SecurityGroups></CacheCluster>"
    )
