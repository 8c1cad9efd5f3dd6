"""The Penstock that runs on this machine."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.doctor.checks.pace import slowness
from penstock.doctor.facts import Facts, Running, RunningModel
from penstock.doctor.findings import Finding, ok, problem, skipped, warning


def running(facts: Facts) -> Iterator[Finding]:
    """How it does, and why something of it does not."""
    seen = facts.running
    if seen is None:
        yield skipped("running", "Penstock does not run on this machine.")
        return
    if seen.error:
        said = f"Process {seen.pid} runs, but its state cannot be read: {seen.error}"
        yield problem("running", f"{said.rstrip('.')}. {_address(seen)}".rstrip(), "penstock down")
        return
    yield _gateway(seen)
    for model in seen.models:
        yield _model(model)
    for pace in seen.paces:
        if (found := slowness(pace)) is not None:
            yield found


def _gateway(seen: Running) -> Finding:
    if seen.answers is False:
        return _silent(seen)
    said = f", gateway {seen.gateway}" if seen.gateway else ""
    return ok("running", f"Process {seen.pid} serves at {seen.url}/v1{said}.")


def _silent(seen: Running) -> Finding:
    if seen.listener == "":
        return problem(
            "running",
            f"{seen.url} refuses connections: Penstock runs (process {seen.pid}), and nothing listens there.",
            "penstock status says whether the gateway starts or has failed, and why; if its port was changed, use the"
            " new one.",
        )
    if seen.listener:
        return problem(
            "running",
            f"{seen.url} takes connections and does not answer: {seen.listener} listens there.",
            "If that is another program, end it or change gateway.port; if it is the gateway, see penstock status.",
        )
    return problem("running", f"{seen.url} does not answer (process {seen.pid}).", "penstock status says why.")


def _address(seen: Running) -> str:
    if seen.answers is None:
        return ""
    return f"{seen.url} {'still answers' if seen.answers else 'does not answer either'}."


def _model(model: RunningModel) -> Finding:
    subject = f"running {model.name}"
    why = model.cause or model.message
    say = f"It is {model.state}" + (f": {why.rstrip('.')}." if why else ".")
    remedy = model.remedy or "penstock status shows the end of its log."
    if model.state == "failed":
        return problem(subject, say, remedy)
    if model.state == "degraded" or model.cause:
        return warning(subject, say, remedy)
    return ok(subject, say)
