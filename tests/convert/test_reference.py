"""Our GGUFs against llama.cpp's own converter, and what they say against transformers (make reference)."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from g4convert import convert, gguf
from g4convert.metadata import NAMING_KEYS
from g4local.core.progress import silent
from tests import checkpoints, sdist
from tests.convert import family, llama, logits

pytestmark = [pytest.mark.reference, pytest.mark.filterwarnings("default")]

DEMO = Path(__file__).parents[2] / "g4local" / "demo"
MODELS = ("dense", "moe", "ple", "demo")
OTHERS = ("unified", "text only", "untied", "base", "tail", "mixed")
REPRODUCIBLE = convert.Options(reproducible=True)
MOST = 1e-4
"""Mean divergence in nats where the routers agree."""


def unified(folder: Path) -> None:
    """As the 12B: another name, and tokens that must not be said."""
    checkpoint = checkpoints.make("dense")
    checkpoint.config |= {"architectures": ["Gemma4UnifiedForConditionalGeneration"], "model_type": "gemma4_unified"}
    checkpoint.text["model_type"] = "gemma4_unified_text"
    checkpoints.write(folder, checkpoint)
    checkpoints.write_json(folder / "generation_config.json", {"top_k": 64, "suppress_tokens": [13, 12]})


def text_only(folder: Path) -> None:
    """A checkpoint whose config and names have no level for other media, in F32."""
    whole = checkpoints.make("ple")
    config = {**whole.text, "architectures": ["Gemma4ForCausalLM"], "dtype": "float32"}
    tensors = {name.replace("language_model.", ""): values for name, values in whole.tensors.items()}
    checkpoints.write(folder, checkpoints.Checkpoint(config, tensors, dict.fromkeys(tensors, "F32")))


def untied(folder: Path) -> None:
    """An output matrix of its own, and settings that name extra tokens and templates."""
    checkpoint = checkpoints.make("moe", num_experts=4, tie_word_embeddings=False)
    checkpoint.config["tie_word_embeddings"] = False
    checkpoint.tensors["lm_head.weight"] = checkpoint.tensors["model.language_model.embed_tokens.weight"] * 2
    checkpoints.write(folder, checkpoint)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings |= {"sep_token": "<eos>", "xyz_token": "and", "extra_special_tokens": ["the"], "add_eos_token": False}
    checkpoints.write_json(folder / "tokenizer_config.json", settings)
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates" / "tools.jinja").write_text("tools")


def base(folder: Path) -> None:
    """An E4B before it was taught to chat: no template; and all in F16."""
    checkpoint = checkpoints.make("ple", use_double_wide_mlp=False, num_key_value_heads=2)
    checkpoint.dtypes = dict.fromkeys(checkpoint.tensors, "F16")
    checkpoint.config["dtype"] = "float16"
    checkpoints.write(folder, checkpoint)
    (folder / "chat_template.jinja").unlink()


VARIANTS: dict[str, Callable[[Path], object]] = {
    "dense": lambda folder: checkpoints.write(folder, checkpoints.make("dense")),
    "moe": lambda folder: checkpoints.write(folder, checkpoints.make("moe")),
    "ple": lambda folder: checkpoints.write(folder, checkpoints.make("ple"), shards=3),
    "unified": unified,
    "text only": text_only,
    "untied": untied,
    "base": base,
    "tail": lambda folder: checkpoints.write(folder, checkpoints.with_tail(checkpoints.make("ple"))),
    "mixed": lambda folder: checkpoints.write(folder, checkpoints.mixed(checkpoints.make("moe")), shards=3),
}


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The checkpoint of a model, each in a folder of its own."""
    made: dict[str, Path] = {}

    def folder(model: str) -> Path:
        if model not in made:
            target = tmp_path_factory.mktemp("models") / model
            if model == "demo":
                shutil.copytree(DEMO, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                VARIANTS[model](target)
            made[model] = target
        return made[model]

    return folder


@pytest.mark.parametrize(
    ("model", "recipe"),
    [
        *((model, "BF16") for model in (*MODELS, *OTHERS)),
        *(("moe", "F16"), ("ple", "F16"), ("text only", "F16"), ("dense", "F32"), ("demo", "F32")),
        *(("base", "F16"), ("mixed", "F16"), ("mixed", "F32")),
    ],
)
def test_keys_and_tensors_are_those_of_llama_cpp_s_converter(
    model: str, recipe: str, folder_of: Callable[[str], Path], tmp_path: Path
) -> None:
    ours, theirs = tmp_path / "ours.gguf", tmp_path / "theirs.gguf"
    convert.convert(folder_of(model), ours, recipe, silent, Event(), REPRODUCIBLE)
    sdist.convert(folder_of(model), theirs, recipe.lower())
    compare(ours, theirs)


def compare(ours: Path, theirs: Path) -> None:
    """Keys in the same order with the same types and values, but for the naming keys; then every byte of the data."""
    found, expected = gguf.read(ours), gguf.read(theirs)
    keys, wanted = (
        {name: value for name, value in file.keys.items() if not name.startswith(NAMING_KEYS)}
        for file in (found, expected)
    )
    assert list(keys) == list(wanted)
    for name, value in keys.items():
        assert value == wanted[name], name
    assert found.tensors == expected.tensors
    assert ours.read_bytes()[found.data_start :] == theirs.read_bytes()[expected.data_start :]


def test_a_config_in_google_s_spelling_and_in_transformers_give_llama_cpp_s_keys(
    folder_of: Callable[[str], Path], tmp_path: Path
) -> None:
    """transformers rewrites `global_head_dim` and `num_global_key_value_heads` as `per_layer_config` when it saves."""
    from transformers import AutoConfig

    folder = shutil.copytree(folder_of("moe"), tmp_path / "moe")
    AutoConfig.from_pretrained(folder).save_pretrained(folder)
    text = json.loads((folder / "config.json").read_text())["text_config"]
    assert "per_layer_config" in text
    assert "global_head_dim" not in text
    for source in (folder, folder_of("moe")):
        convert.convert(source, tmp_path / f"{source.parent.name}.gguf", "BF16", silent, Event(), REPRODUCIBLE)
    sdist.convert(folder, tmp_path / "theirs.gguf", "bf16")
    compare(tmp_path / f"{folder.parent.name}.gguf", tmp_path / "theirs.gguf")
    compare(tmp_path / f"{folder.parent.name}.gguf", tmp_path / f"{folder_of('moe').parent.name}.gguf")


@pytest.mark.parametrize(("size", "nested", "tail"), family.SHAPES)
def test_one_pass_gives_what_llama_cpp_s_two_tools_do_in_the_shape_of_every_size(
    size: str, nested: bool, tail: bool, tmp_path: Path
) -> None:
    folder = checkpoints.write(tmp_path / "model", family.make(size, nested=nested, tail=tail))
    ours, theirs = tmp_path / "ours.gguf", tmp_path / "theirs.gguf"
    sdist.convert(folder, theirs, "bf16")
    convert.convert(folder, ours, "BF16", silent, Event(), REPRODUCIBLE)
    compare(ours, theirs)
    for recipe in ("Q4_K_M", "Q6_K", "IQ4_XS"):
        convert.convert(folder, ours, recipe, silent, Event(), REPRODUCIBLE)
        compare(ours, llama.quantized(theirs, recipe))


@pytest.mark.parametrize("model", MODELS)
def test_llama_cpp_says_with_our_file_what_transformers_says_with_the_checkpoint(
    model: str, folder_of: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = folder_of(model)
    path = tmp_path / "model.gguf"
    convert.convert(folder, path, "F32", silent, Event())
    text = json.loads((folder / "config.json").read_text())["text_config"]
    rng = np.random.default_rng(11)
    texts = [[2, *rng.integers(30, text["vocab_size"], length).tolist()] for length in (199, 199, *[49] * 10)]
    unmoved, all_positions, flipped = [], [], 0
    for expected, found in zip(logits.of_transformers(folder, texts), logits.of_llama_cpp(path, texts), strict=True):
        assert np.ptp(expected.logits, axis=-1).mean() > 1, "logits that are all alike would prove nothing"
        divergence = logits.divergence(expected.logits, found.logits)
        alike = logits.routed_alike(expected, found, text["top_k_experts"] or 0)
        flipped += int((~alike).sum())
        all_positions.append(divergence)
        unmoved.append(divergence[np.logical_and.accumulate(alike)])
    clean, everywhere = np.concatenate(unmoved), np.concatenate(all_positions)
    print(
        f"\n{model}: mean KL {clean.mean():.2e} (most {clean.max():.2e}) over {clean.size} positions before any flip; "
        f"{everywhere.mean():.2e} over all {everywhere.size}, of which {flipped} were routed otherwise"
    )
    assert clean.mean() <= MOST
    assert clean.size == everywhere.size or (text["enable_moe_block"] and clean.size >= 100)
