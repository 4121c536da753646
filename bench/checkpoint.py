"""Checkpoints of the real sizes with random weights, streamed to safetensors without torch.

Configs and shapes are those of Google's checkpoints (`tests/golden/family`), without the towers. Weights are pieces of
one table of normal numbers, so that gigabytes are made as fast as the disk takes them. The tokenizer is made up: of the
real number of tokens and about the real number of merges, which is what a converter's time depends on.
"""

import gzip
import json
import struct
from collections.abc import Iterator, Mapping
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests import checkpoints

_FAMILY = Path(__file__).parents[1] / "tests" / "golden" / "family"
_LEFT_OUT = ("model.vision_tower.", "model.audio_tower.", "model.embed_vision.", "model.embed_audio.")
_LAYERS = "model.language_model.layers."
_SHARD = 5_000_000_000
"""Bytes of a file, if a tensor is not larger."""
_TABLE = 1 << 24
"""Random numbers; every piece of a tensor begins somewhere in the first half of them."""
_LETTERS = "\u2581abcdefghijklmnopqrstuvwxyz"

Shapes = Mapping[str, tuple[int, ...]]


def write(folder: Path, size: str, layers: int | None = None) -> Path:
    """Write one of the family's sizes, with its last `layers` layers only if that is given; files that are there stay.

    A tensor's values depend on its name alone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config, shapes = _cut(*real(size), layers)
    checkpoints.write_json(folder / "config.json", config)
    checkpoints.write_json(folder / "generation_config.json", {"eos_token_id": [1, 16], "top_k": 64, "top_p": 0.95})
    _write_tokenizer(folder, config["text_config"]["vocab_size"])
    shards = list(_shards(shapes))
    places = {}
    for number, shard in enumerate(shards, 1):
        path = folder / f"model-{number:05}-of-{len(shards):05}.safetensors"
        if not path.exists():
            _write_shard(path, shard)
        places |= dict.fromkeys(shard, path.name)
    checkpoints.write_json(folder / "model.safetensors.index.json", {"metadata": {}, "weight_map": places})
    return folder


def real(size: str) -> tuple[dict[str, Any], Shapes]:
    """The config and the text tensors of one of the family's sizes, as Google has them."""
    config = json.loads((_FAMILY / f"{size}.json").read_text(encoding="utf-8"))
    config |= {"vision_config": None, "audio_config": None}
    shapes = json.loads(gzip.decompress((_FAMILY / "checkpoints.json.gz").read_bytes()))[size]
    return config, {name: tuple(shape) for name, shape in shapes.items() if not name.startswith(_LEFT_OUT)}


def _cut(config: dict[str, Any], shapes: Shapes, layers: int | None) -> tuple[dict[str, Any], Shapes]:
    """Keep the last layers, which end with a full one as every Gemma 4 does."""
    text = config["text_config"]
    first = 0 if layers is None else text["num_hidden_layers"] - layers
    text["num_hidden_layers"] -= first
    text["layer_types"] = text["layer_types"][first:]
    kept = {}
    for name, shape in shapes.items():
        if name.startswith(_LAYERS):
            index, rest = name.removeprefix(_LAYERS).split(".", 1)
            if int(index) < first:
                continue
            name = f"{_LAYERS}{int(index) - first}.{rest}"
        kept[name] = shape
    return config, kept


def _shards(shapes: Shapes) -> Iterator[Shapes]:
    shard: dict[str, tuple[int, ...]] = {}
    for name, shape in shapes.items():
        if shard and 2 * sum(map(prod, (*shard.values(), shape))) > _SHARD:
            yield shard
            shard = {}
        shard[name] = shape
    yield shard


def _write_shard(path: Path, shapes: Shapes) -> None:
    header, offset = {}, 0
    for name, shape in shapes.items():
        end = offset + 2 * prod(shape)
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    head = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    part = path.with_suffix(".part")
    normal = np.random.default_rng(0).standard_normal(_TABLE, np.float32)
    with part.open("wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        for name, shape in shapes.items():
            for piece in _values(name, shape, normal):
                file.write(piece.data)
    part.rename(path)


def _values(name: str, shape: tuple[int, ...], normal: NDArray[np.float32]) -> Iterator[NDArray[np.uint16]]:
    """The BF16 bits of a tensor, in pieces; norms and scales are near one."""
    rng = np.random.default_rng(list(name.encode()))
    if len(shape) < 2:
        yield _bf16(rng.uniform(0.8, 1.2, shape).astype(np.float32))
        return
    scale, left = np.float32(0.02 if "embed" in name else shape[-1] ** -0.5), prod(shape)
    while left:
        piece = normal[int(rng.integers(_TABLE // 2)) :][:left]
        left -= piece.size
        yield _bf16(piece * scale)


def _bf16(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    return (values.view(np.uint32) >> 16).astype(np.uint16)


def _write_tokenizer(folder: Path, size: int) -> None:
    """A tokenizer of `size` tokens: tests' own, and then strings of letters, each with one merge or two."""
    checkpoints.write_tokenizer(folder)
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text(encoding="utf-8"))
    vocabulary = tokenizer["model"]["vocab"]
    fresh = (word for word in _words() if word not in vocabulary)
    vocabulary |= {word: number for number, word in enumerate(islice(fresh, size - len(vocabulary)), len(vocabulary))}
    tokenizer["model"]["merges"] = [
        pair
        for word in vocabulary
        if len(word) > 1 and set(word) <= set(_LETTERS)
        for pair in ([word[:-1], word[-1]], [word[0], word[1:]])[: len(word) - 1]
        if pair[0] in vocabulary and pair[1] in vocabulary
    ]
    checkpoints.write_json(path, tokenizer)


def _words() -> Iterator[str]:
    """All strings of two letters, of three, and so on."""
    words = list(_LETTERS)
    while True:
        words = [word + letter for word in words for letter in _LETTERS]
        yield from words
