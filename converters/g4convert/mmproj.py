"""The file beside the model (`mmproj`) that holds the towers, and what a checkpoint has of them.

llama.cpp's converter writes it in one step, Q8_0 too: in the checkpoint's order, and not by way of BF16.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from g4convert import architectures, ggml, media, metadata, recipes
from g4convert import plan as planning
from g4convert.architectures.numbers import Numbers
from g4convert.checkpoint import Checkpoint, read_json
from g4convert.gguf import Value, u32
from g4convert.media import MediaSpec
from g4convert.plan import Plan
from g4local.core.errors import UsageError

TYPES: Sequence[str] = ("BF16", "F16", "Q8_0", "F32")
"""What a file of towers can be converted to."""

_PREFIXES = ("model.",)
_TEXT = ("language_model.", "lm_head.")
"""Beginnings of the names, without prefix, of tensors of the language model."""
_BLACK, _WHITE = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
"""Colours stay as they are where a checkpoint has no settings for them, as in transformers."""


@dataclass(frozen=True, slots=True)
class Senses:
    """What a model sees and hears with."""

    sees: bool
    hears: bool
    missing: tuple[str, ...]
    """What config.json announces, but the checkpoint has no tensors for."""


def senses(source: Checkpoint) -> Senses:
    """What is there of the towers; a tower for sound counts only beside one for images, as in the whole family."""
    towers = architectures.towers(source.config)
    if towers is None:
        return Senses(False, False, ())
    names = [name.removeprefix(_PREFIXES[0]) for name in source.tensors]
    hears_too = bool(Numbers(source.config).table("audio_config", {}).values)
    sees = any(name.startswith(towers.seeing) for name in names)
    hears = hears_too and any(name.startswith(towers.hearing) for name in names)
    missing = [*(["vision"] if not sees else []), *(["audio"] if hears_too and not hears else [])]
    return Senses(sees, sees and hears, tuple(missing))


def planned(source: Checkpoint, name: str) -> tuple[MediaSpec, Plan]:
    """The towers' numbers, and the plan for a file of the type named.

    UsageError for another type, and for a checkpoint without towers; BadCheckpoint names what is wrong with it.
    """
    if name not in TYPES:
        raise UsageError(f"There is no type {name!r} for a file of towers.", f"Types: {', '.join(TYPES)}.")
    there, towers = senses(source), architectures.towers(source.config)
    if towers is None or not there.sees:
        raise UsageError(f"{source.folder} holds text only, and no towers that see or hear.", "Leave out --mmproj.")
    config = Numbers(source.config)
    text = config.table("text_config", {})
    width = (text if text.get("hidden_size") is not None else config).count("hidden_size")
    vision, rules = towers.vision(config.table("vision_config"), width)
    audio, more = towers.audio(config.table("audio_config"), width) if there.hears else (None, [])
    pixels, file = _pixels(source.folder)
    image = Numbers(pixels, file=file)
    spec = MediaSpec(width, vision, audio, image.reals("image_mean", _BLACK), image.reals("image_std", _WHITE))
    skips = _TEXT if there.hears else (*_TEXT, *towers.hearing)
    matched = planning.match([*rules, *more], source.tensors, _PREFIXES, skips)
    return spec, planning.make_unquantized(matched, recipes.RECIPES[name])


def keys(source: Checkpoint, spec: MediaSpec, plan: Plan) -> dict[str, Value]:
    """The keys of the file, in the order of llama.cpp's converter."""
    return {
        **metadata.keys(source.folder, media.ARCHITECTURE, "mmproj"),
        **media.keys(spec, plan.recipe.file_type),
        "general.quantization_version": u32(ggml.QUANTIZATION_VERSION),
    }


def _pixels(folder: Path) -> tuple[Mapping[str, Any], str]:
    """How pixels are prepared, and the file that says so; what the newer of two spellings says counts."""
    pixels: dict[str, Any] = {}
    file = "processor_config.json"
    for name in ("preprocessor_config.json", "processor_config.json"):
        if (folder / name).is_file():
            content = read_json(folder / name)
            image = content.get("image_processor")
            pixels |= {**content, **image} if isinstance(image, dict) else content
            file = name
    return pixels, file
