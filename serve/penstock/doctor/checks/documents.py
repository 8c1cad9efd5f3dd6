"""The document itself, and the engine's options in it."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.config.suggest import nearest
from penstock.doctor.facts import Facts
from penstock.doctor.findings import Finding, ok, problem, skipped
from penstock.engine import options as engine_options
from penstock.errors import DocumentError


def document(facts: Facts) -> Iterator[Finding]:
    """Whether there is one, and it can be read."""
    if facts.document_error:
        yield problem("document", facts.document_error, facts.document_remedy or "Correct the document.")
    elif facts.document is None:
        yield skipped("document", "None was named and there is no penstock.yaml here: only the machine was looked at.")
    elif not facts.document.models:
        yield problem(
            "document", "The document has no models.", "Add one: penstock doctor --set models.demo.source=hf://org/repo"
        )
    else:
        names = ", ".join(facts.document.models)
        yield ok("document", f"It can be read and serves {names}.")


def options(facts: Facts) -> Iterator[Finding]:
    """Options that Penstock sets itself, or that stand there twice."""
    if facts.document is None:
        return
    for name, model in facts.document.models.items():
        if model.engine != "vllm":
            continue
        try:
            engine_options.normalise(model.options, model=name)
        except DocumentError as error:
            yield problem(f"options of {name}", error.message, error.remedy)


def unknown_options(facts: Facts) -> Iterator[Finding]:
    """Options that the installed vLLM does not know. Only where its options were listed."""
    if facts.document is None or facts.flags is None:
        return
    if facts.flags.error:
        yield skipped("options", f"vLLM's options could not be listed: {facts.flags.error}")
        return
    for name, model in facts.document.models.items():
        if model.engine != "vllm":
            continue
        given = [option.lstrip("-").replace("-", "_") for option in model.options]
        unknown = [option for option in given if not _is_known(option, facts.flags.known)]
        for option in unknown:
            hint = nearest(option, facts.flags.known)
            yield problem(
                f"options of {name}",
                f"The installed vLLM has no option {option!r}" + (f"; did you mean {hint!r}?" if hint else "."),
                f"Correct or remove models.{name}.options.{option}.",
            )
        if given and not unknown:
            yield ok(f"options of {name}", "The installed vLLM knows them all.")


def _is_known(option: str, known: frozenset[str]) -> bool:
    # `compilation_config.mode` sets a key inside an option that takes JSON.
    return option.partition(".")[0] in known
