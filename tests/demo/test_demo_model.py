"""The built-in checkpoint: every feature of the family, in a few megabytes."""

import json
from pathlib import Path
from typing import Any

import pytest

from demo import architecture, vocabulary

FOLDER = Path(__file__).parents[2] / "g4local" / "demo"


@pytest.fixture(scope="module")
def text_config() -> dict[str, Any]:
    """The shipped language model's numbers."""
    return json.loads((FOLDER / "config.json").read_text(encoding="utf-8"))["text_config"]


@pytest.fixture(scope="module")
def tokenizer() -> dict[str, Any]:
    """The shipped tokenizer.json."""
    return json.loads((FOLDER / "tokenizer.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def header() -> dict[str, Any]:
    """The header of the shipped safetensors: u64 length, then JSON."""
    data = (FOLDER / "model.safetensors").read_bytes()
    return json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])


def test_the_checkpoint_is_whole_and_takes_at_most_16_megabytes():
    names = ("config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
    assert sum((FOLDER / name).stat().st_size for name in names) <= 16_000_000


def test_the_config_is_the_one_that_training_uses(tokenizer):
    shipped = json.loads((FOLDER / "config.json").read_text(encoding="utf-8"))
    assert shipped == architecture.config(len(tokenizer["model"]["vocab"]))
    generation = json.loads((FOLDER / "generation_config.json").read_text(encoding="utf-8"))
    assert generation == architecture.generation_config()


def test_every_feature_of_the_family_is_in_it(text_config):
    kinds = text_config["layer_types"]
    owners = kinds[: len(kinds) - text_config["num_kv_shared_layers"]]
    assert owners[-2:] == ["sliding_attention", "full_attention"]
    assert set(kinds[len(owners) :]) == {"sliding_attention", "full_attention"}
    assert text_config["head_dim"] != text_config["global_head_dim"]
    assert text_config["num_key_value_heads"] != text_config["num_global_key_value_heads"]
    for flag in ("attention_k_eq_v", "enable_moe_block", "use_double_wide_mlp", "tie_word_embeddings"):
        assert text_config[flag] is True, flag
    assert text_config["hidden_size_per_layer_input"] > 0
    assert text_config["num_experts"] > text_config["top_k_experts"] > 1
    assert text_config["final_logit_softcapping"] == 30.0


def test_most_rows_are_multiples_of_256_and_one_is_not(text_config):
    assert text_config["hidden_size"] % 256 == 0
    assert text_config["intermediate_size"] % 256 == 0
    assert text_config["hidden_size_per_layer_input"] * text_config["num_hidden_layers"] % 256 == 0
    assert text_config["moe_intermediate_size"] % 256 != 0


def test_the_tensors_are_bf16_and_shared_layers_have_no_keys_of_their_own(header, text_config):
    tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
    assert header["__metadata__"]["format"] == "pt"
    assert {entry["dtype"] for entry in tensors.values()} == {"BF16"}
    first_shared = text_config["num_hidden_layers"] - text_config["num_kv_shared_layers"]
    prefix = "model.language_model.layers"
    assert f"{prefix}.{first_shared - 1}.self_attn.k_proj.weight" in tensors
    assert f"{prefix}.{first_shared - 1}.self_attn.v_proj.weight" not in tensors
    assert f"{prefix}.{first_shared}.self_attn.k_proj.weight" not in tensors
    assert "lm_head.weight" not in tensors


def test_the_special_tokens_have_googles_names(tokenizer):
    vocab = tokenizer["model"]["vocab"]
    assert [vocab[name] for name in vocabulary.SPECIAL] == list(range(len(vocabulary.SPECIAL)))
    assert [entry["content"] for entry in tokenizer["added_tokens"]] == list(vocabulary.SPECIAL)
    assert all(entry["special"] for entry in tokenizer["added_tokens"])
    assert vocabulary.SPECIAL[:5] == ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>")


def test_every_byte_has_a_token(tokenizer):
    assert all(f"<0x{value:02X}>" in tokenizer["model"]["vocab"] for value in range(256))


def test_no_token_reaches_over_the_start_of_a_word_a_digit_or_a_line_break(tokenizer):
    learned = [token for token in tokenizer["model"]["vocab"] if not token.startswith("<")]
    for token in learned:
        assert vocabulary.SPACE not in token[1:], token
        assert len(token) == 1 or not any(character.isdigit() or character == "\n" for character in token), token


def test_each_merge_makes_a_token_of_two_tokens(tokenizer):
    vocab = tokenizer["model"]["vocab"]
    for left, right in tokenizer["model"]["merges"]:
        assert left in vocab and right in vocab and left + right in vocab
