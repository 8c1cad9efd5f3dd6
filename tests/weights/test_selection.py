"""Which files of a repository are fetched."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.engine.weights import RemoteFile, weights_size
from penstock.engine.weights.select import missing_from_model, select

ALWAYS = ["config.json", "tokenizer.json", "chat_template.jinja", "modeling_custom.py", "tokenizer.model"]


def needed(*paths: str) -> list[str]:
    return [file.path for file in select(RemoteFile(path, 1) for path in paths)[0]]


@pytest.mark.parametrize(
    ("there", "fetched"),
    [
        ([*ALWAYS, "model.safetensors"], [*ALWAYS, "model.safetensors"]),
        (["model.safetensors", "pytorch_model.bin", "pytorch_model.bin.index.json"], ["model.safetensors"]),
        (
            ["model-1.safetensors", "model.safetensors.index.json", "model.pth"],
            ["model-1.safetensors", "model.safetensors.index.json"],
        ),
        (["pytorch_model.bin", "pytorch_model.bin.index.json"], ["pytorch_model.bin", "pytorch_model.bin.index.json"]),
        (["pytorch_model.bin", "model.pt"], ["pytorch_model.bin"]),
        (["model.pt"], ["model.pt"]),
        (["model.safetensors", "tf_model.h5", "flax_model.msgpack", "rust_model.ot"], ["model.safetensors"]),
        (["model.safetensors", "onnx/model.onnx", "openvino/openvino_model.bin"], ["model.safetensors"]),
        (["model.safetensors", "original/consolidated.00.pth", "original/params.json"], ["model.safetensors"]),
        (["model.safetensors", "model-Q4_K_M.gguf", "figures/a.png", "paper.pdf"], ["model.safetensors"]),
        ([".gitattributes", ".cache/x.json", "model.safetensors"], ["model.safetensors"]),
        (["optimizer.pt", "rng_state_0.pth", "training_args.bin", "model.safetensors"], ["model.safetensors"]),
        # Sentence transformers keep small dense layers in folders of their own, sometimes only pickled.
        (
            ["model.safetensors", "1_Pooling/config.json", "2_Dense/pytorch_model.bin"],
            ["model.safetensors", "1_Pooling/config.json", "2_Dense/pytorch_model.bin"],
        ),
        # vLLM reads Mistral's own format when it finds it.
        (
            ["config.json", "params.json", "consolidated.safetensors", "model-1.safetensors",
             "model.safetensors.index.json", "tekken.json"],
            ["config.json", "params.json", "consolidated.safetensors", "tekken.json"],
        ),
        (["params.json", "model.safetensors"], ["params.json", "model.safetensors"]),
    ],
)  # fmt: skip
def test_what_an_engine_needs_is_fetched_and_copies_for_others_are_not(there, fetched):
    assert needed(*there) == fetched


names = st.sampled_from(
    ["config.json", "params.json", "model.safetensors", "a.safetensors", "consolidated.safetensors", "m.bin", "m.pt",
     "x.gguf", "model.safetensors.index.json", "pytorch_model.bin.index.json", "README.md", ".hidden", "tf.h5"]
)  # fmt: skip
paths = st.builds(lambda folders, name: "/".join([*folders, name]), st.lists(st.sampled_from(["a", "onnx"])), names)


@given(st.lists(paths, unique=True))
def test_every_file_is_either_needed_or_skipped_and_weights_never_vanish(there):
    files = [RemoteFile(path, 1) for path in there]
    kept, skipped = select(files)
    assert sorted([*kept, *skipped]) == sorted(files)
    root = {path for path in there if "/" not in path}
    if any(path.endswith((".safetensors", ".bin", ".pt")) for path in root):
        assert any(file.path in root and file.path.endswith((".safetensors", ".bin", ".pt")) for file in kept)
    assert select(kept)[0] == kept


@pytest.mark.parametrize(
    ("paths", "missing"),
    [
        (["config.json", "model.safetensors"], None),
        (["params.json", "consolidated.safetensors"], None),
        (["config.json", "pytorch_model.bin"], None),
        (["model.safetensors"], "config.json"),
        (["config.json"], "the weights"),
        (["adapter_config.json", "adapter_model.safetensors"], "adapter (LoRA)"),
        (["README.md", "tiny.gguf"], "GGUF only"),
        (["sub/config.json", "sub/model.safetensors"], "config.json and the weights"),
        ([], "config.json and the weights"),
    ],
)
def test_what_a_folder_lacks_to_be_a_model_is_named(paths, missing):
    found = missing_from_model(paths)
    assert found is None if missing is None else missing in (found or "")


def test_only_tensors_count_as_weights():
    files = [RemoteFile("a.safetensors", 10), RemoteFile("tokenizer.json", 5), RemoteFile("sub/b.bin", 2)]
    assert weights_size(files) == 12
