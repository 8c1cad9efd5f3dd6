"""A stand-in for AWS over real HTTP: moto's server, and before it what moto lacks of EKS and ElastiCache.

Used by the tests that apply the Terraform module for AWS. `FAULTS` names what is moto's own and is put right here, so
that the tests themselves need not look away from any difference.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import re
import threading
from collections.abc import Iterator
from typing import Any
from unittest import mock

import boto3
from moto.core import DEFAULT_ACCOUNT_ID
from moto.ec2.models.launch_templates import LaunchTemplate
from moto.iam.models import iam_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from support.amazon_cache import Cache
from support.amazon_eks import Eks

REGION = "us-east-1"
FAULTS = {
    "eks add-ons": "CreateAddon and its like are not there",
    "eks pod identities": "CreatePodIdentityAssociation and its like are not there",
    "eks access": "CreateAccessEntry, AssociateAccessPolicy and their like are not there",
    "eks clusters": "the way of access, the support of versions and the cluster's security group are not told",
    "eks node groups": "a key for SSH is told that nobody gave; repair and pace of updates are not told",
    "autoscaling groups of node groups": "a name is told, and no group is made",
    "launch templates": "tags of the template itself are told as tags of its machines",
    "parameter groups of ElastiCache": "they are not there",
    "subnet groups of ElastiCache": "they cannot be deleted",
    "replication groups of ElastiCache": "their members cannot be asked for, and a deleted one stays for ever",
}
"""What is wrong with moto 5.2, by what it concerns."""


class Cloud:
    """One account. `eks` tells what moto itself does not know."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.eks = Eks(self.client)
        self.cache = Cache()

    def client(self, service: str) -> Any:
        """A client of boto3."""
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(service, endpoint_url=self.address, region_name=REGION, **keys)

    @property
    def environment(self) -> dict[str, str]:
        """Variables by which Terraform's provider finds it."""
        return {
            "AWS_ENDPOINT_URL": self.address,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
        }


class _Quiet(WSGIRequestHandler):
    """Prints nothing, whatever clients do."""

    def log(self, *_: Any) -> None:
        return


@contextlib.contextmanager
def amazon() -> Iterator[Cloud]:
    """The account, empty but for the policies that AWS itself keeps."""
    made = LaunchTemplate.create_version
    with (
        mock.patch.dict(os.environ, {"MOTO_IAM_LOAD_MANAGED_POLICIES": "true"}),
        mock.patch.object(LaunchTemplate, "create_version", functools.partialmethod(_create_version, made)),
    ):
        iam_backends[DEFAULT_ACCOUNT_ID]["aws"].reset()
        front = _Front()
        server = make_server("127.0.0.1", 0, front, threaded=True, request_handler=_Quiet)
        front.cloud = Cloud(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield front.cloud
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
    iam_backends[DEFAULT_ACCOUNT_ID]["aws"].reset()


class _Front:
    """Answers what moto does not know, and hands on the rest."""

    cloud: Cloud

    def __init__(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        scope = re.search(r"Credential=[^/]*/[^/]*/[^/]*/([^/]*)/", environ.get("HTTP_AUTHORIZATION", ""))
        service = scope[1] if scope else ""
        if service not in {"eks", "elasticache"}:
            return self._moto(environ, start_response)
        request = Request({**environ, "wsgi.input": io.BytesIO(_body(environ))})
        if service == "elasticache":
            answer = self.cloud.cache.answer(request.form.to_dict()) or self._ask_moto(request)
        else:
            answer = self.cloud.eks.answer(request, self._ask_moto)
        return answer(environ, start_response)

    def _ask_moto(self, request: Request) -> Response:
        kept = {key: value for key, value in request.environ.items() if not key.startswith("werkzeug.request")}
        request.environ["wsgi.input"].seek(0)
        return Response.from_app(self._moto, kept)


def _body(environ: dict[str, Any]) -> bytes:
    body: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    return body


def _create_version(self: LaunchTemplate, made: Any, data: dict[str, Any], description: str) -> Any:
    told = data.get("TagSpecifications", [])
    return made(
        self, {**data, "TagSpecifications": [t for t in told if t["ResourceType"] != "launch-template"]}, description
    )
