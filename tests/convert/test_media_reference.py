"""Towers and drafters against llama.cpp's own converter and against transformers (make reference)."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from g4convert import convert, gguf
from g4convert.metadata import NAMING_KEYS
from g4local.core.progress import silent
from tests import checkpoints, media_checkpoints, sdist
from tests.convert import drafting, media_features
from tests.convert.test_media import GOLDEN_TYPES, SIZES, golden, opened

pytestmark = [pytest.mark.reference, pytest.mark.filterwarnings("default")]

Floats = NDArray[np.float32]
MOST = {"tower": 2e-3, "standard": 2e-3, "unified": 1e-5}
"""Relative error of features, most that is allowed."""


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *(("tower", name) for name in ("BF16", "F16", "Q8_0", "F32")),
        *(("standard", name) for name in ("BF16", "Q8_0")),
        *(("unified", name) for name in ("BF16", "F16", "Q8_0")),
    ],
)
def test_towers_are_those_of_llama_cpp_s_converter(kind: media_checkpoints.Kind, name: str, tmp_path: Path) -> None:
    folder = media_checkpoints.write(tmp_path / "model", media_checkpoints.make(kind), shards=2)
    ours, theirs = tmp_path / "ours.gguf", tmp_path / "theirs.gguf"
    options = convert.Options(mmproj=ours, mmproj_type=name, reproducible=True)
    convert.convert(folder, tmp_path / "model.gguf", "Q8_0", silent, Event(), options)
    sdist.convert(folder, theirs, name.lower(), "--mmproj")
    compare(ours, theirs)


@pytest.mark.parametrize("kind", ["ple", "moe", "unified"])
def test_drafters_are_those_of_llama_cpp_s_converter(kind: Any, tmp_path: Path) -> None:
    target = media_checkpoints.make(kind) if kind == "unified" else checkpoints.make(kind)
    folder = checkpoints.write(tmp_path / "drafter", media_checkpoints.make_drafter(target))
    ours, theirs = tmp_path / "ours.gguf", tmp_path / "theirs.gguf"
    convert.convert(folder, ours, "BF16", silent, Event(), convert.Options(reproducible=True))
    sdist.convert(folder, theirs, "bf16")
    compare(ours, theirs)


def compare(ours: Path, theirs: Path) -> None:
    """Keys in their order but for the naming keys, then every byte, but for the last bit of what torch rounds.

    torch's softplus differs from machine to machine and with the length of a row; ours is the nearest float32.
    """
    found, expected = gguf.read(ours), gguf.read(theirs)
    keys, wanted = (
        [(name, value) for name, value in file.keys.items() if not name.startswith(NAMING_KEYS)]
        for file in (found, expected)
    )
    assert keys == wanted
    assert found.tensors == expected.tensors
    data, right = ours.read_bytes()[found.data_start :], theirs.read_bytes()[expected.data_start :]
    for tensor in found.tensors:
        mine, other = (content[tensor.offset : tensor.offset + tensor.nbytes] for content in (data, right))
        if tensor.name.endswith("per_dim_scale.weight"):
            bits = [np.frombuffer(content, "<i4").astype(np.int64) for content in (mine, other)]
            assert np.abs(bits[0] - bits[1]).max() <= 1
        else:
            assert mine == other, tensor.name


@pytest.mark.parametrize("size", SIZES)
def test_the_recorded_plans_are_those_of_llama_cpp_s_converter(size: str, tmp_path: Path) -> None:
    """The real size's towers, all zeros and without a block on the disk, converted without being written."""
    source = opened(size)
    checkpoints.write_json(tmp_path / "config.json", source.config)
    pixels = {"image_mean": [0.0] * 3, "image_std": [1.0] * 3}
    checkpoints.write_json(tmp_path / "processor_config.json", {"image_processor": pixels})
    header, end = {}, 0
    for name, tensor in source.tensors.items():
        if "language_model" not in name:
            offsets = [end, end := end + tensor.nbytes]
            header[name] = {"dtype": "BF16", "shape": list(tensor.shape), "data_offsets": offsets}
    head = json.dumps(header).encode()
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.write(len(head).to_bytes(8, "little") + head)
        file.truncate(8 + len(head) + end)
    name = GOLDEN_TYPES[SIZES.index(size) % len(GOLDEN_TYPES)]
    said = dry_run(tmp_path, name)
    lines = re.finditer(r"INFO:\S*?:(\S+?),\s+torch\.\S+ --> (\S+), shape = \{([\d, ]+)\}", said)
    found = [(match[1], [int(number) for number in match[3].split(", ")], match[2]) for match in lines]
    column = 2 + GOLDEN_TYPES.index(name)
    assert found == [(row[0], row[1], row[column]) for row in golden("tower_plans.json.gz")[size]]


def dry_run(folder: Path, name: str) -> str:
    script, target = sdist.unpacked() / sdist.CONVERTER, folder / "none.gguf"
    flags = ["--outtype", name.lower(), "--outfile", str(target), "--mmproj", "--dry-run"]
    command = [sys.executable, str(script), str(folder), *flags]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stderr


@pytest.mark.parametrize("kind", media_checkpoints.KINDS)
def test_mtmd_sees_and_hears_with_our_file_what_transformers_does_with_the_checkpoint(
    kind: media_checkpoints.Kind, tmp_path: Path
) -> None:
    folder = media_checkpoints.write(tmp_path / "model", media_checkpoints.make(kind))
    model, towers, bare = (tmp_path / name for name in ("model.gguf", "towers.gguf", "bare.gguf"))
    for path, reproducible in ((bare, True), (towers, False)):
        options = convert.Options(mmproj=path, mmproj_type="F32", reproducible=reproducible)
        convert.convert(folder, model, "F32", silent, Event(), options)
    y, x = np.mgrid[0:384, 0:480]
    waves = (np.sin(x / 37), np.cos(y / 23), np.sin((x + y) / 51))
    image = np.stack([127 * (1 + wave) for wave in waves], -1).astype(np.uint8)
    noise = np.random.default_rng(3).standard_normal(32000)
    sound = (0.3 * np.sin(np.arange(32000) * 0.06) + 0.1 * noise).astype(np.float32)
    expected = of_transformers(folder, image, None if kind == "standard" else sound)
    errors = {}
    for sense, media in {"image": image, "sound": sound}.items():
        if sense in expected:
            errors[sense] = error(expected[sense], media_features.of_llama_cpp(towers, model, media, tmp_path))
    errors["image without clip.use_gelu"] = error(
        expected["image"], media_features.of_llama_cpp(bare, model, image, tmp_path)
    )
    told = ", ".join(f"{sense} {mean:.1e} (most {most:.1e})" for sense, (mean, most) in errors.items())
    print(f"\n{kind}: relative error of {told}")
    for sense in expected:
        assert errors[sense][0] <= MOST[kind]
    if kind != "unified":
        assert errors["image without clip.use_gelu"][0] > 10 * errors["image"][0]


def error(expected: Floats, found: Floats) -> tuple[float, float]:
    """Of the whole, by its length, and of the worst number, by the largest."""
    assert expected.shape == found.shape
    assert expected.std() > 0.01
    difference = np.abs(found - expected)
    whole = np.linalg.norm(difference) / np.linalg.norm(expected)
    return float(whole), float(difference.max() / np.abs(expected).max())


def of_transformers(folder: Path, image: NDArray[np.uint8], sound: Floats | None) -> dict[str, Floats]:
    """Features [tokens, width] in float32."""
    import torch
    from transformers import AutoModelForImageTextToText, Gemma4AudioFeatureExtractor

    model, told = AutoModelForImageTextToText.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    assert not told["missing_keys"]
    assert not told["unexpected_keys"]
    model.eval()
    unified = model.config.model_type == "gemma4_unified"
    side = 48 if unified else 16
    rows, columns = image.shape[0] // side, image.shape[1] // side
    pixels = torch.from_numpy(image.astype(np.float32) / 255).reshape(rows, side, columns, side, 3)
    patches = pixels.permute(0, 2, 1, 3, 4).reshape(1, rows * columns, -1)
    places = torch.stack(torch.meshgrid(torch.arange(columns), torch.arange(rows), indexing="xy"), -1)
    with torch.no_grad():
        seen = model.get_image_features(patches, places.reshape(1, -1, 2)).pooler_output
        features = {"image": torch.cat(list(seen)).numpy().reshape(-1, seen[0].shape[-1])}
        if sound is not None:
            if unified:
                heard, mask = torch.from_numpy(sound.reshape(1, -1, 640)), torch.ones(1, len(sound) // 640).bool()
            else:
                batch = Gemma4AudioFeatureExtractor()([sound], return_tensors="pt")
                heard, mask = batch["input_features"], batch["input_features_mask"]
            output = model.model.get_audio_features(heard, mask).pooler_output
            features["sound"] = output.numpy().reshape(-1, output.shape[-1])
    return features


@pytest.fixture
def sharing(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What transformers 5.23 gets wrong: a drafter shares all, and a model whose layers share nothing still lends."""
    from transformers import Gemma4TextConfig

    def modes(config: Any) -> list[str | None]:
        kinds, shared = config.layer_types, config.num_kv_shared_layers
        owning = kinds[: len(kinds) - shared]
        last = {kind: index for index, kind in enumerate(owning)}
        owned = ["store" if last[kind] == index else None for index, kind in enumerate(owning)]
        return [*owned, *["reuse"] * shared]

    monkeypatch.setattr(Gemma4TextConfig, "kv_sharing_modes", property(modes))
    yield


@pytest.mark.parametrize("kind", checkpoints.KINDS)
@pytest.mark.usefixtures("sharing")
def test_llama_cpp_drafts_with_our_file_what_transformers_drafts_with_the_checkpoint(
    kind: checkpoints.Kind, tmp_path: Path
) -> None:
    """The first drafts, before any is rejected, and in a window that holds all: transformers masks it otherwise."""
    import torch
    from transformers import Gemma4AssistantForCausalLM, Gemma4ForConditionalGeneration

    target = checkpoints.make(kind, sliding_window=512)
    drafter = media_checkpoints.make_drafter(target)
    drafter.config["use_ordered_embeddings"] = False
    del drafter.tensors["masked_embedding.centroids.weight"]
    folders = [checkpoints.write(tmp_path / name, each) for name, each in (("a", target), ("b", drafter))]
    files = [folder.with_suffix(".gguf") for folder in folders]
    for folder, file in zip(folders, files, strict=True):
        convert.convert(folder, file, "F32", silent, Event())
    settings = {"dtype": torch.float32, "attn_implementation": "eager"}
    model = Gemma4ForConditionalGeneration.from_pretrained(folders[0], **settings)
    helper = Gemma4AssistantForCausalLM.from_pretrained(folders[1], **settings)
    helper.generation_config.update(num_assistant_tokens=drafting.DRAFTS, assistant_confidence_threshold=0)
    drafts: list[int] = []
    helper.lm_head.register_forward_hook(lambda _, __, output: drafts.append(int(output.argmax())))
    prompt = torch.tensor([drafting.PROMPT])
    greedy = {"do_sample": False, "eos_token_id": None, "top_k": None, "top_p": None, "temperature": None}
    model.generate(prompt, attention_mask=torch.ones_like(prompt), assistant_model=helper, max_new_tokens=9, **greedy)
    found = drafting.of_llama_cpp(*files)
    assert found["drafted"] == found["plain"]
    assert found["drafts"][0] == drafts[: drafting.DRAFTS]
