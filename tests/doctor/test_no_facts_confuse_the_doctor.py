"""Whatever the facts are, the doctor has an answer: it never raises, and every fault has a remedy."""

from __future__ import annotations

from typing import Any

from hypothesis import given, reject, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from penstock.config import Document
from penstock.doctor.examine import examine, has_problem
from penstock.doctor.facts import Facts, Gpu, Gpus, Memory, Weights
from penstock.doctor.findings import Level
from support.machines import document

_odd = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.lists(st.integers(), max_size=2)
)
_model = st.fixed_dictionaries(
    {},
    optional={
        "engine": st.sampled_from(["vllm", "simulator"]),
        "hardware": st.sampled_from(["cpu", "l4"]),
        "replicas": st.builds(
            lambda a, b: {"min": min(a, b), "max": max(a, b, 1)}, st.integers(0, 9), st.integers(0, 9)
        ),
        "options": st.dictionaries(
            st.sampled_from(["gpu_memory_utilization", "kv-cache-memory-bytes", "port", "max_model_len", "a-b"]),
            _odd,
        ),
        "env": st.dictionaries(st.just("VLLM_CPU_KVCACHE_SPACE"), st.text(max_size=5) | st.just("inf")),
    },
)


def _document(models: dict[str, dict[str, Any]]) -> Document:
    kept = {
        name: {key: value for key, value in model.items() if not (key == "options" and _is_simulated(model))}
        for name, model in models.items()
    }
    try:
        return document(**kept)
    except ValidationError:
        reject()  # what no document can hold is no fact


def _is_simulated(model: dict[str, Any]) -> bool:
    # The document checks the simulator's options itself.
    return model.get("engine") == "simulator"


_names = st.sampled_from(["a", "b.c"])
_documents = st.none() | st.builds(_document, st.dictionaries(_names, _model))
_sizes = st.integers(0, 2**45)
_optional_sizes = st.none() | _sizes
_gpus = st.builds(Gpus, st.lists(st.from_type(Gpu), max_size=3).map(tuple), st.text(max_size=3))
_weights = st.builds(
    Weights,
    _names,
    st.text(),
    files=st.integers(0, 9),
    download=_sizes,
    tensors=_sizes,
    cached=...,
    error=...,
    remedy=...,
    unreachable=...,
)
_facts = st.builds(
    Facts,
    software=...,
    document=_documents,
    document_error=...,
    document_remedy=...,
    libraries=...,
    memory=st.builds(Memory, _optional_sizes, _optional_sizes, _optional_sizes, _optional_sizes),
    cores=...,
    gpus=_gpus,
    cache=...,
    shared_memory=...,
    open_files=...,
    port=...,
    hosts=...,
    weights=st.lists(_weights, max_size=3).map(tuple),
    offline=...,
    flags=...,
    clock=...,
    installed_at=...,
    running=...,
)


@settings(deadline=None, max_examples=300)
@given(_facts)
def test_no_facts_make_the_doctor_raise(facts: Facts) -> None:
    findings = examine(facts)
    assert findings
    assert has_problem(findings) is any(finding.level is Level.PROBLEM for finding in findings)
    assert all(finding.found for finding in findings)
    assert all(finding.remedy for finding in findings if finding.level is Level.PROBLEM)
    assert all(finding.remedy is None for finding in findings if finding.level in (Level.OK, Level.SKIPPED))
