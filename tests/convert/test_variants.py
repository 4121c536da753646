"""Every form in which a Gemma 4 comes is converted; every other checkpoint is told by what it is."""

import json
from pathlib import Path
from threading import Event

import pytest

from g4convert import convert, gguf
from g4local.core.errors import BadCheckpoint, UnknownArchitecture
from g4local.core.progress import silent
from tests import checkpoints
from tests.convert import llama


def converted(folder: Path, recipe: str) -> Path:
    target = folder.with_name(f"{folder.name}-{recipe}.gguf")
    convert.convert(folder, target, recipe, silent, Event(), convert.Options(reproducible=True))
    return target


@pytest.mark.parametrize("recipe", ["Q4_K_M", "Q4_0", "Q6_K"])
@pytest.mark.parametrize("kind", checkpoints.KINDS)
def test_types_may_be_mixed_and_shards_too(kind: checkpoints.Kind, recipe: str, tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path / "model", checkpoints.mixed(checkpoints.make(kind)), shards=3)
    expected = llama.quantized(converted(folder, "BF16"), recipe)
    assert converted(folder, recipe).read_bytes() == expected.read_bytes()


def test_keys_and_values_that_nothing_uses_are_kept_where_they_are_and_not_missed_where_not(tmp_path: Path) -> None:
    """They count among the layers of attn_v of which some get more bits, so the two files differ in more than them."""
    lean = checkpoints.write(tmp_path / "lean", checkpoints.make("ple"))
    whole = checkpoints.write(tmp_path / "whole", checkpoints.with_tail(checkpoints.make("ple")))
    counts = []
    for folder in (lean, whole):
        expected = llama.quantized(converted(folder, "BF16"), "Q4_K_M")
        path = converted(folder, "Q4_K_M")
        assert path.read_bytes() == expected.read_bytes()
        counts.append(len(gguf.read(path).tensors))
    assert counts[1] == counts[0] + 3 * 4


def test_an_e4b_has_no_double_wide_networks(tmp_path: Path) -> None:
    made = checkpoints.make("ple", use_double_wide_mlp=False, num_key_value_heads=2)
    path = converted(checkpoints.write(tmp_path / "model", made), "BF16")
    keys = gguf.read(path).keys
    assert keys["gemma4.feed_forward_length"].data == 256
    assert keys["gemma4.attention.head_count_kv"].data == 2


def test_a_base_model_has_no_template(tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path / "model", checkpoints.make("dense"))
    (folder / "chat_template.jinja").unlink()
    keys = gguf.read(converted(folder, "Q8_0")).keys
    assert not [name for name in keys if "chat_template" in name]


def test_tokens_that_must_not_be_said_are_in_the_file_of_a_unified_model(tmp_path: Path) -> None:
    made = checkpoints.make("dense")
    made.config |= {"architectures": ["Gemma4UnifiedForConditionalGeneration"], "model_type": "gemma4_unified"}
    folder = checkpoints.write(tmp_path / "model", made)
    checkpoints.write_json(folder / "generation_config.json", {"top_k": 64, "suppress_tokens": [13, 12]})
    for recipe in ("BF16", "Q4_0"):
        assert gguf.read(converted(folder, recipe)).keys["tokenizer.ggml.suppress_tokens"].data == [13, 12]


def refused(folder: Path, kind: type[BadCheckpoint] = BadCheckpoint) -> BadCheckpoint:
    with pytest.raises(BadCheckpoint) as caught:
        convert.convert(folder, folder.with_name("out.gguf"), "Q8_0", silent, Event())
    assert type(caught.value) is kind
    assert caught.value.message.endswith(".")
    assert caught.value.hint.endswith(".")
    assert "\n" not in caught.value.message
    assert not list(folder.parent.glob("out.gguf*"))
    return caught.value


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("DiffusionGemmaForBlockDiffusion", "its own decoder"),
        ("EmbeddingGemma2Model", "embeddings"),
        ("Gemma3TextModel", "embeddings"),
        ("T5Gemma2ForConditionalGeneration", "encoder with a decoder"),
        ("PaliGemmaForConditionalGeneration", "what is in images"),
        ("ShieldGemma2ForImageClassification", "judges"),
        ("RecurrentGemmaForCausalLM", "recurrent"),
        ("VaultGemmaForCausalLM", "VaultGemma"),
        ("Gemma3nForConditionalGeneration", "Gemma 3n"),
        ("Gemma3ForConditionalGeneration", "Gemma 3 (as MedGemma"),
        ("Gemma3ForCausalLM", "Gemma 3 (as MedGemma"),
        ("Gemma2ForCausalLM", "Gemma 2"),
        ("GemmaForCausalLM", "first Gemma"),
        ("Gemma4DSparkModel", "drafter"),
        ("Gemma4ForSequenceClassification", "can't chat"),
        ("LlamaForCausalLM", "does not know the architecture LlamaForCausalLM"),
        ("Qwen3ForCausalLM", "does not know the architecture Qwen3ForCausalLM"),
        ("x" * 500 + "\n", "does not know the architecture xxx"),
    ],
)
def test_another_model_is_told_by_what_it_is(named: str, said: str, tmp_path: Path) -> None:
    other = checkpoints.make("dense")
    other.config["architectures"] = [named]
    error = refused(checkpoints.write(tmp_path / "model", other), UnknownArchitecture)
    assert said in error.message
    assert len(error.message) < 200


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"quantization_config": {"quant_method": "compressed-tensors", "format": "pack-quantized"}}, "compressed-t"),
        ({"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}}, "FP8"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "GPTQ"),
        ({"quantization_config": {"quant_method": "awq", "bits": 4}}, "AWQ"),
        ({"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}, "bitsandbytes"),
        ({"quantization_config": {"quant_method": "new\none"}}, "with new one"),
        ({"quantization_config": "int4"}, "with int4"),
        ({"compression_config": {"quant_method": "compressed-tensors"}}, "compressed-tensors"),
        ({"quantization": {"group_size": 64, "bits": 4}, "quantization_config": {"group_size": 64, "bits": 4}}, "MLX"),
    ],
)
@pytest.mark.parametrize("inside", [False, True])
def test_a_quantized_checkpoint_is_told_with_the_way(
    settings: dict[str, object], said: str, inside: bool, tmp_path: Path
) -> None:
    other = checkpoints.make("dense")
    (other.text if inside else other.config).update(settings)
    message = refused(checkpoints.write(tmp_path / "model", other)).message
    assert "quantized already" in message
    assert said in message


def test_a_quantization_config_that_packs_nothing_is_no_obstacle(tmp_path: Path) -> None:
    """QAT checkpoints in BF16 have one without a method."""
    other = checkpoints.make("dense")
    other.config["quantization_config"] = {"bits": 4, "group_size": 32}
    plain = converted(checkpoints.write(tmp_path / "a" / "model", checkpoints.make("dense")), "Q4_0")
    assert converted(checkpoints.write(tmp_path / "b" / "model", other), "Q4_0").read_bytes() == plain.read_bytes()


@pytest.mark.parametrize(
    ("names", "said", "hint"),
    [
        (["model-Q4_0.gguf", "mmproj.gguf"], "holds GGUFs", "g4local quantize"),
        (["adapter_config.json", "adapter_model.safetensors"], "LoRA adapter", "merge_and_unload"),
        (["config.json", "pytorch_model.bin.index.json", "pytorch_model-00001-of-00002.bin"], "pickles", "safetensors"),
        (["consolidated.00.pth"], "pickles", "safetensors"),
        (["gemma-4-E2B-it.litertlm"], "LiteRT", "safetensors"),
        (["config.json", "flax_model.msgpack"], "JAX", "safetensors"),
        (["config.json", "tokenizer.json"], "has no files model*.safetensors", "safetensors"),
        (["README.md"], "holds no checkpoint", "downloaded"),
        ([], "holds no checkpoint", "downloaded"),
    ],
)
def test_a_folder_of_something_else_is_told_by_what_it_holds(
    names: list[str], said: str, hint: str, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for name in names:
        (folder / name).write_text(json.dumps({"architectures": ["Gemma4ForCausalLM"]}))
    error = refused(folder)
    assert said in error.message
    assert hint in error.hint


def test_a_checkpoint_with_an_adapter_or_a_gguf_beside_it_is_converted(tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path / "model", checkpoints.make("dense"))
    for name in ("adapter_config.json", "model.gguf", "training_args.bin"):
        (folder / name).write_text("{}")
    assert converted(folder, "Q8_0").exists()
