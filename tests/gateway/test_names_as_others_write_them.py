"""Names of models as users of other servers write them: exact first, then what fits one model only."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import config
from penstock.gateway import bodies
from penstock.gateway.catalog import Catalog, ModelEntry, derive_catalog
from penstock.gateway.errors import NotFoundError
from penstock.gateway.model_names import meant

QWEN = ModelEntry("qwen2.5-7b", ("default",), repository="Qwen/Qwen2.5-7B-Instruct")
LLAMA = ModelEntry("meta-llama/Llama-3.2-1B-Instruct", repository="meta-llama/Llama-3.2-1B-Instruct")
CODER = ModelEntry("coder", repository="Qwen/Qwen2.5-Coder-7B-Instruct")
CATALOG = Catalog([QWEN, LLAMA, CODER], forgiving=True)


@pytest.mark.parametrize(
    ("asked", "model"),
    [
        ("qwen2.5-7b", QWEN),
        ("Qwen2.5-7B", QWEN),
        ("DEFAULT", QWEN),
        ("default:latest", QWEN),
        ("Qwen2.5:7b", QWEN),
        ("qwen2.5:7b-instruct", QWEN),
        ("Qwen/Qwen2.5-7B-Instruct", QWEN),
        ("qwen/qwen2.5-7b-instruct", QWEN),
        ("lmstudio-community/qwen2.5-7b", QWEN),
        ("Qwen2.5-7B-Instruct-GGUF", QWEN),
        ("llama-3.2-1b-instruct", LLAMA),
        ("llama3.2:1b", LLAMA),
        ("qwen2.5-coder:7b", CODER),
    ],
)
def test_a_name_that_fits_one_model_is_that_models(asked: str, model: ModelEntry) -> None:
    assert CATALOG.resolve(asked) is model


@pytest.mark.parametrize(
    "asked",
    [
        "qwen2.5",
        "qwen2.5:14b",
        "llama3.2:3b",
        "mistral/Llama-3.2-1B",
        "llama-3.21b-x",
        "",
        ":latest",
        "/",
        "qwen2.5-coder",
    ],
)
def test_a_name_that_fits_none_gets_the_nearest_in_the_error(asked: str) -> None:
    with pytest.raises(NotFoundError, match="does not exist"):
        CATALOG.resolve(asked)


def test_what_fits_two_models_is_none_of_them() -> None:
    both = Catalog(
        [ModelEntry("a", repository="org/Thing-Instruct"), ModelEntry("b", repository="org/Thing-Instruct")],
        forgiving=True,
    )
    for asked in ("org/thing-instruct", "thing"):
        with pytest.raises(NotFoundError):
            both.resolve(asked)
    cases = Catalog([ModelEntry("Demo"), ModelEntry("demo")], forgiving=True)
    assert cases.resolve("demo").name == "demo"
    with pytest.raises(NotFoundError):
        cases.resolve("DEMO")


def test_names_are_exact_unless_the_document_says_otherwise() -> None:
    with pytest.raises(NotFoundError, match=r"Did you mean 'qwen2\.5-7b'"):
        Catalog([QWEN]).resolve("Qwen2.5-7B")


def test_a_key_gets_no_model_by_another_name_that_it_may_not_use() -> None:
    def permit(asked: str, model: str) -> bool:
        return model == "coder"

    assert CATALOG.resolve("Qwen/Qwen2.5-Coder-7B-Instruct", permit) is CODER
    with pytest.raises(NotFoundError):
        CATALOG.resolve("Qwen/Qwen2.5-7B-Instruct", permit)


@given(st.text(max_size=30), st.lists(st.tuples(st.text(max_size=30), st.sampled_from("abc"))))
def test_any_name_is_one_models_or_none(asked: str, known: list[tuple[str, str]]) -> None:
    assert meant(asked, known) in {None, *(model for _, model in known)}


@given(st.sampled_from(["qwen2.5-7b", "default", "coder"]), st.data())
def test_case_never_matters(name: str, data: st.DataObject) -> None:
    written = "".join(data.draw(st.sampled_from([letter, letter.upper()])) for letter in name)
    assert CATALOG.resolve(written).is_called(name)


def test_a_documents_models_are_known_by_their_repositories() -> None:
    models = {"small": config.Model.model_validate({"source": "hf://Qwen/Qwen3-0.6B@main"})}
    assert derive_catalog(models, forgiving=True).resolve("qwen3:0.6b").name == "small"
    assert config.Model.model_validate({"source": "s3://bucket/x"}).repository is None


def test_the_engine_is_asked_by_the_name_that_it_knows() -> None:
    body = orjson.dumps({"model": "Demo", "n": 1})
    assert orjson.loads(bodies.renamed(body, b"application/json", "json", "demo")) == {"model": "demo", "n": 1}
    form = b'--x\r\ncontent-disposition: form-data; name="model"\r\n\r\nDemo\r\n--x--\r\n'
    kind = b"multipart/form-data; boundary=x"
    assert bodies.asked(form, kind, "multipart", 9).model == "Demo"
    renamed = bodies.renamed(form, kind, "multipart", "demo")
    assert renamed == form.replace(b"Demo", b"demo")
