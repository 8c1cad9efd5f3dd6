"""What is served: the models as Ray Serve sees them, the Service, the Ingress, and the sum of it all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from penstock.doctor.cluster.facts import Application, ClusterFacts, Ingress, Service
from penstock.doctor.cluster.quantities import count, listing
from penstock.doctor.findings import Finding, Level, ok, problem, warning

_BROKEN = ("UNHEALTHY", "DEPLOY_FAILED")
_WELL = ("RUNNING", "HEALTHY", "UPSCALING", "DOWNSCALING")


def applications(facts: ClusterFacts) -> Iterator[Finding]:
    """Each model, and the gateways, by what Serve reports."""
    if facts.release is None:
        return
    look = f"kubectl --namespace {facts.namespace} describe rayservice {facts.release.name}"
    for application in facts.release.applications:
        subject = f"serve: {application.model or application.name}"
        said = _said(application)
        if application.status in _BROKEN:
            yield problem(subject, f"Serve says {application.status}{said}.", _remedy(application, look))
        elif any(deployment.status in _BROKEN for deployment in application.deployments):
            yield warning(subject, f"Serve says {application.status}{said}.", _remedy(application, look))
        elif application.status == "RUNNING":
            yield ok(subject, "Serve runs it.")
        elif not application.status:
            yield warning(
                subject,
                "Serve has not been told of it yet.",
                "KubeRay tells it when the head answers; see the findings on the head and on KubeRay.",
            )
        else:
            yield warning(
                subject,
                f"Serve says {application.status}{said}.",
                "Wait; if it stays, the findings on pods and on the scheduler say what it waits for.",
            )


def _said(application: Application) -> str:
    parts = [application.message] + [
        f"{deployment.name} is {deployment.status}" + (f", {deployment.message}" if deployment.message else "")
        for deployment in application.deployments
        if deployment.status not in _WELL
    ]
    whole = "; ".join(" ".join(part.split()).rstrip(".") for part in parts if part.strip())
    return f": {whole if len(whole) <= 600 else whole[:600] + '…'}" if whole else ""


def _remedy(application: Application, look: str) -> str:
    if application.model:
        return (
            "penstock status in the head pod shows why its replicas fail; correct the model's options or its hardware."
            f" {look}"
        )
    return f"The log of a gateway pod says why. {look}"


def service(facts: ClusterFacts) -> Iterator[Finding]:
    """The chart's Service, before the gateways."""
    if facts.release is None:
        return
    seen = facts.service
    if seen is None:
        if not any(unread.what in ("services", "endpoints") for unread in facts.unread):
            yield problem(
                "service",
                "The release has no Service before its gateways.",
                "helm upgrade brings back what was deleted by hand.",
            )
    elif not seen.ready:
        waiting = f"; {count(seen.not_ready, 'pod')} {_is(seen.not_ready)} not ready" if seen.not_ready else ""
        yield problem(
            "service",
            f"The Service {seen.name} has no endpoint: no gateway pod is ready{waiting}. Clients get no answer.",
            f"See the findings on the gateway. kubectl --namespace {facts.namespace} get pods"
            " --selector app.kubernetes.io/component=gateway",
        )
    elif seen.type == "LoadBalancer" and not seen.external:
        yield warning(
            "service",
            f"The Service {seen.name} has no address outside the cluster yet.",
            f"kubectl --namespace {facts.namespace} describe service {seen.name}; a cluster without a cloud needs"
            " service.type NodePort, or an Ingress.",
        )
    else:
        yield ok("service", f"{seen.name} has {count(seen.ready, 'gateway')} behind it.")


def ingresses(facts: ClusterFacts) -> Iterator[Finding]:
    """Ways from outside."""
    for seen in facts.ingresses:
        yield _ingress(facts, seen)


def _ingress(facts: ClusterFacts, seen: Ingress) -> Finding:
    classes = facts.ingress_classes
    if seen.class_name and classes is not None and seen.class_name not in classes:
        known = ", ".join(sorted(classes)) or "none"
        return problem(
            "ingress",
            f"The Ingress {seen.name} is of the class {seen.class_name}, which the cluster does not have: it has"
            f" {known}.",
            "Correct ingress.className, or install its controller.",
        )
    if not seen.addresses:
        return warning(
            "ingress",
            f"No controller has given the Ingress {seen.name} an address yet.",
            f"kubectl --namespace {facts.namespace} describe ingress {seen.name}; without ingress.className the"
            " cluster needs a default class.",
        )
    return ok("ingress", f"{listing(seen.hosts) or seen.name} at {listing(seen.addresses)}.")


def _is(number: int) -> str:
    return "is" if number == 1 else "are"


def everything(facts: ClusterFacts, findings: Sequence[Finding]) -> Iterator[Finding]:
    """What is ready, where nothing is wrong."""
    if facts.release is None or any(found.level in (Level.PROBLEM, Level.WARNING) for found in findings):
        return
    models = [application.model for application in facts.release.applications if application.model]
    where = _address(facts, facts.service) if facts.service is not None else ""
    yield ok("ready", f"{listing(models) if models else 'The gateway without a model'} can be asked{where}.")


def _address(facts: ClusterFacts, service: Service) -> str:
    inside = f"http://{service.name}.{facts.namespace}:{service.port}/v1"
    outside = "".join(f" and http://{address}:{service.port}/v1" for address in service.external)
    return f" at {inside}{outside}"
