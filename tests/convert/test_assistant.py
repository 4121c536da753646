"""Drafters: llama.cpp's own bytes in every recipe, and drafts beside the model that they belong to."""

from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from g4convert import convert, gguf
from g4convert.recipes import RECIPES
from g4local.core.errors import BadCheckpoint
from g4local.core.progress import silent
from tests import checkpoints, media_checkpoints
from tests.convert import drafting, family, llama

QUANTIZED = [name for name in family.SAMPLE if RECIPES[name].is_quantized]


def converted(folder: Path, recipe: str) -> Path:
    target = folder.with_name(f"{folder.name}-{recipe}.gguf")
    convert.convert(folder, target, recipe, silent, Event(), convert.Options(threads=2, reproducible=True))
    return target


@pytest.mark.parametrize("kind", checkpoints.KINDS)
def test_a_quantized_drafter_is_byte_for_byte_what_llama_quantize_makes_of_the_bf16_file(
    kind: checkpoints.Kind, tmp_path: Path
) -> None:
    drafter = media_checkpoints.make_drafter(checkpoints.make(kind), intermediate_size=512, hidden_size=96)
    folder = checkpoints.write(tmp_path / "drafter", drafter)
    whole = converted(folder, "BF16")
    for recipe in QUANTIZED:
        expected = llama.quantized(whole, recipe)
        assert converted(folder, recipe).read_bytes() == expected.read_bytes(), recipe


@pytest.mark.parametrize("kind", checkpoints.KINDS)
def test_a_drafter_drafts_for_its_model_and_changes_no_token(kind: checkpoints.Kind, tmp_path: Path) -> None:
    """Tokens are picked greedily in F32, once plainly, once with three drafts each time, which are checked."""
    target = checkpoints.make(kind)
    drafter = media_checkpoints.make_drafter(target)
    files = [
        converted(checkpoints.write(tmp_path / name, checkpoint), "F32")
        for name, checkpoint in (("target", target), ("drafter", drafter))
    ]
    found = drafting.of_llama_cpp(*files)
    assert found["drafted"] == found["plain"]
    drafts = [draft for drafts in found["drafts"] for draft in drafts]
    assert len(set(drafts)) > len(drafts) / 3, "drafts that are all alike would prove nothing"


def test_centroids_are_left_out(tmp_path: Path) -> None:
    drafter = media_checkpoints.make_drafter(checkpoints.make("ple"))
    plan = convert.plan(checkpoints.write(tmp_path / "drafter", drafter), "Q8_0")
    assert plan.skipped == ("masked_embedding.centroids.weight",)
    assert [tensor.name for tensor in plan.tensors if "nextn" in tensor.name] == [
        "nextn.post_projection.weight",
        "nextn.pre_projection.weight",
    ]
    assert not [tensor.name for tensor in plan.tensors if "attn_k" in tensor.name or "attn_v" in tensor.name]


def test_all_layers_of_a_drafter_share_keys_and_values_even_if_its_config_does_not_say_so(tmp_path: Path) -> None:
    drafter = media_checkpoints.make_drafter(checkpoints.make("dense"), num_kv_shared_layers=0)
    keys = gguf.read(converted(checkpoints.write(tmp_path / "drafter", drafter), "Q8_0")).keys
    assert keys["gemma4-assistant.attention.shared_kv_layers"].data == 3
    assert keys["gemma4-assistant.nextn_predict_layers"].data == 3
    assert keys["gemma4-assistant.embedding_length_out"].data == 256


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda config: config.pop("backbone_hidden_size"), "backbone_hidden_size"),
        (lambda config: config.update(backbone_hidden_size=64), "backbone_hidden_size"),
        (lambda config: config["text_config"].update(num_kv_shared_layers=2), "num_kv_shared_layers"),
        (lambda config: config["text_config"].update(hidden_size_per_layer_input=32), "hidden_size_per_layer_input"),
        (lambda config: config["text_config"].update(use_double_wide_mlp=True), "text_config"),
        (lambda config: config["text_config"].update(tie_word_embeddings=False), "text_config"),
    ],
)
def test_an_impossible_number_of_a_drafter_is_told(
    change: Callable[[dict[str, Any]], object], said: str, tmp_path: Path
) -> None:
    drafter = media_checkpoints.make_drafter(checkpoints.make("dense"))
    change(drafter.config)
    folder = checkpoints.write(tmp_path / "drafter", drafter)
    with pytest.raises(BadCheckpoint) as caught:
        convert.convert(folder, tmp_path / "out.gguf", "Q8_0", silent, Event())
    assert caught.value.message.startswith(f"config.json: '{said}'")
    assert not list(tmp_path.glob("out.gguf*"))
