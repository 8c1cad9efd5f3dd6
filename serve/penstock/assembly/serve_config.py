"""Document → Ray Serve's declarative configuration. Pure: the same for `up`, `apply`, `render` and the chart's tests.

One application per model and one for the gateway, because any change of an application's `args` restarts the whole
application. What may change in place stands under `deployments` (numbers) or in `user_config`.
"""

from __future__ import annotations

import hashlib
import math
import re
from enum import StrEnum
from typing import Any

from penstock.config import Document, Model
from penstock.config.accounts import Accounts, Database
from penstock.config.addresses import is_loopback
from penstock.config.hardware import MAX_PODS
from penstock.engine.command import vllm_options
from penstock.engine.spec import DEPLOYMENT as ENGINE_DEPLOYMENT
from penstock.engine.spec import EngineSpec
from penstock.errors import DocumentError
from penstock.gateway.spec import DEPLOYMENT as GATEWAY_DEPLOYMENT
from penstock.gateway.spec import GatewayRoutes, GatewaySpec, RoutedModel

GATEWAY_APPLICATION = "gateway"
GATEWAY_RESOURCE = "penstock-gateway"
"""Custom resource of gateway nodes: one each, so that each pod gets one gateway replica."""

LOOPBACK = "127.0.0.1"
EVERYWHERE = "0.0.0.0"  # noqa: S104  # of a pod, whose network policy says who comes in
STOP_MARGIN = 30.0
"""Seconds that stopping may take beyond the longest request."""
SURGE_PERCENT = 25
"""Replicas that a rollout starts before it stops old ones, of those there are; Serve rounds up."""
HEALTH_CHECK_PERIOD = 1.0
"""A lost replica is seen within this time."""
REPORT_PERIOD = 1.0
"""Seconds between two reports of load from a replica or a gateway. Ray takes the mean of what waits over its look-back
period, which is thus as short as Ray allows: what has been served for longer must not count as waiting."""


class Placement(StrEnum):
    """What decides where replicas run."""

    LOCAL = "local"
    """One machine: only GPUs are counted."""
    CLUSTER = "cluster"
    """Nodes offer a custom resource per hardware profile, by which Ray's autoscaler makes them."""


def hardware_resource(profile: str, gpus: int) -> str:
    """Custom resource that a node offers for one replica of so many GPUs on a hardware profile: nodes with two GPUs are
    not those with one."""
    return f"penstock-hardware-{profile}" + (f"-x{gpus}" if gpus > 1 else "")


def application_name(model: str) -> str:
    """Serve's name of a model's application. It becomes part of file names and metrics, so it is plain and unique."""
    plain = re.sub(r"[^A-Za-z0-9.-]+", "-", model)
    return f"model-{plain}" if plain == model else f"model-{plain}-{hashlib.sha256(model.encode()).hexdigest()[:8]}"


def serve_config(
    document: Document, placement: Placement = Placement.CLUSTER, *, max_pods: int = MAX_PODS
) -> dict[str, Any]:
    """The configuration as Serve's REST API and KubeRay's `serveConfigV2` take it.

    Args:
        max_pods: pods that a hardware profile may have on a cluster.

    Raises:
        DocumentError: an option of a model that Penstock owns, an open address that other machines reach, or a store
            of keys that each gateway would have for itself.
    """
    surges = surging(document, placement, max_pods)
    return {
        # Gateways listen themselves. KubeRay asks the head's proxy for health, so a cluster keeps that one.
        "proxy_location": "Disabled" if placement is Placement.LOCAL else "HeadOnly",
        "logging_config": {"encoding": "JSON" if _in_json(document, placement) else "TEXT", "enable_access_log": False},
        "applications": [
            *(
                _model(name, model, document, placement, surge=name in surges)
                for name, model in document.models.items()
            ),
            _gateway(document, placement),
        ],
    }


def _in_json(document: Document, placement: Placement) -> bool:
    # A pod has no terminal.
    return document.logging.format == "json" or (placement is Placement.CLUSTER and document.logging.format == "auto")


def surging(document: Document, placement: Placement, max_pods: int = MAX_PODS) -> set[str]:
    """Models whose rollouts start new replicas first.

    Serve would wait for ever for a place that there is not, so there must be one by the numbers, also when all models
    of a profile roll out at once, each at its most replicas.
    """
    if placement is Placement.LOCAL:
        roomy = {name for name, model in document.models.items() if model.engine == "simulator"}
    else:
        wanted: dict[str, int] = {}
        resources = {
            name: hardware_resource(model.hardware, document.gpus_of(model)) for name, model in document.models.items()
        }
        for name, model in document.models.items():
            most = model.replicas.max
            pods = most + math.ceil(most * SURGE_PERCENT / 100)
            wanted[resources[name]] = wanted.get(resources[name], 0) + pods
        roomy = {name for name, resource in resources.items() if wanted[resource] <= max_pods}
    said = {name: model.rollout.surge for name, model in document.models.items()}
    return {name for name, surge in said.items() if surge == "always" or (surge == "auto" and name in roomy)}


_IN_PLACE = ("replicas", "rollout", "cache", "fallback")
"""What of a model changes without a restart of its replicas."""


def _model(name: str, model: Model, document: Document, placement: Placement, *, surge: bool) -> dict[str, Any]:
    if model.engine == "vllm":
        vllm_options(name, model, gpus=document.gpus_of(model))  # refuses a wrong option now, not on a node
    changes = {key: Model.model_fields[key].get_default(call_default_factory=True) for key in _IN_PLACE}
    spec = EngineSpec(
        name=name,
        model=model.model_copy(update=changes),
        gpus=document.gpus_of(model),
        host=LOOPBACK if placement is Placement.LOCAL else None,
        weights=document.weights,
        logging=document.logging,
    )
    return {
        "name": application_name(name),
        "route_prefix": None,
        "import_path": "penstock.engine.deployment:application",
        "args": spec.model_dump(mode="json", exclude_defaults=True),
        "deployments": [
            {
                "name": ENGINE_DEPLOYMENT,
                **_numbers(name, model),
                "max_surge_percent": SURGE_PERCENT if surge else 0,
                "max_ongoing_requests": model.replicas.limit,
                "graceful_shutdown_timeout_s": math.ceil(document.gateway.longest_request + STOP_MARGIN),
                "health_check_period_s": HEALTH_CHECK_PERIOD,
                "health_check_timeout_s": 30.0,
                "user_config": {"longest_request": document.gateway.longest_request},
                "ray_actor_options": _actor(
                    placement,
                    gpus=document.gpus_of(model),
                    resource=hardware_resource(model.hardware, document.gpus_of(model)),
                ),
            }
        ],
    }


def _numbers(name: str, model: Model) -> dict[str, Any]:
    # A fixed number too: replicas that start without it never report their load, not even once the number may change.
    replicas = model.replicas
    return {
        "num_replicas": "auto",
        "autoscaling_config": {
            # No initial_replicas: Ray would go back to that number whenever anything of the model changes.
            "min_replicas": replicas.min,
            "max_replicas": replicas.max,
            "target_ongoing_requests": replicas.target,
            # For the policy; Ray does not wait once more.
            "upscale_delay_s": replicas.upscale_delay,
            "downscale_delay_s": replicas.downscale_delay,
            "downscale_to_zero_delay_s": replicas.downscale_to_zero_delay,
            # The share of full KV caches: a number that Ray's own policy alone would use, for another end. Numbers of
            # Ray's change in place, while an argument of the policy is code to it, which restarts the model.
            "upscaling_factor": replicas.kv_threshold,
            "metrics_interval_s": REPORT_PERIOD,
            "look_back_period_s": 2 * REPORT_PERIOD,
            "policy": {
                "policy_function": "penstock.scaling.entry:ModelScaling",
                "policy_kwargs": {"model": name},
            },
        },
    }


def _gateway(document: Document, placement: Placement) -> dict[str, Any]:
    gateway = document.gateway
    changes: dict[str, Any] = {"replicas": 1}
    if placement is Placement.CLUSTER:
        changes["host"] = EVERYWHERE
    else:
        # No balancer has to learn that a gateway goes: the kernel gives its connections to the others.
        changes["drain_delay"] = 0.0
    spec = GatewaySpec(
        gateway=gateway.model_copy(update=changes),
        accounts=_accounts(document, placement),
        logging=document.logging,
    )
    routes = GatewayRoutes(
        models={
            name: RoutedModel(
                application=application_name(name),
                aliases=model.aliases,
                repository=model.repository,
                fallback=model.fallback,
                cache=model.cache,
            )
            for name, model in document.models.items()
        },
        providers=document.providers,
        keys=document.accounts.keys,
    )
    return {
        "name": GATEWAY_APPLICATION,
        "route_prefix": None,
        "import_path": "penstock.gateway.deployment:application",
        "args": spec.model_dump(mode="json", exclude_defaults=True),
        "deployments": [
            {
                "name": GATEWAY_DEPLOYMENT,
                "num_replicas": gateway.replicas,
                # Those of one machine share the port; those of a cluster get more pods; the chart leaves room.
                "max_surge_percent": SURGE_PERCENT,
                "graceful_shutdown_timeout_s": math.ceil(
                    spec.gateway.drain_delay + gateway.longest_request + STOP_MARGIN
                ),
                "health_check_period_s": HEALTH_CHECK_PERIOD,
                "health_check_timeout_s": 30.0,
                "user_config": routes.model_dump(
                    mode="json",
                    exclude_none=True,
                    exclude={name for name in ("keys", "providers") if not getattr(routes, name)},
                ),
                "ray_actor_options": _actor(placement, gpus=0, resource=GATEWAY_RESOURCE),
            }
        ],
    }


def _accounts(document: Document, placement: Placement) -> Accounts:
    accounts, host = document.accounts, document.gateway.host
    is_undecided = accounts.anonymous is None and not accounts.knows_keys
    if placement is Placement.LOCAL and is_undecided and not is_loopback(host):
        raise DocumentError(
            f"gateway.host is {host}, which other machines can reach, and the document does not say who may use it.",
            remedy="Ask for keys: --set accounts.anonymous=false, and make one with `penstock keys create NAME`. Or say"
            " that everybody may: --set accounts.anonymous=true",
        )
    if placement is Placement.CLUSTER and accounts.store == Database():
        raise DocumentError(
            "The default store of keys is a file of one machine, so each gateway of a cluster would have its own.",
            remedy="Name a PostgreSQL (accounts.database.env or file), or list keys (accounts.keys or keysFile).",
        )
    if not accounts.asks_for_keys and not accounts.knows_keys:
        return Accounts(limits=accounts.limits)
    return accounts.model_copy(update={"keys": {}, "anonymous": not accounts.asks_for_keys, "database": accounts.store})


def _actor(placement: Placement, *, gpus: int, resource: str) -> dict[str, Any]:
    # Processor cores are not counted: an engine's appetite is its hardware profile's business.
    options: dict[str, Any] = {"num_cpus": 0, "num_gpus": gpus}
    if placement is Placement.CLUSTER:
        options["resources"] = {resource: 1}
    return options
