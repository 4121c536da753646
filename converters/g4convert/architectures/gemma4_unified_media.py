"""The 12B's way to see and hear: patches of pixels and pieces of a wave go into the language model through a matrix.

What llama.cpp's graphs have built in (tools/mtmd/models/gemma4uv.cpp, gemma4ua.cpp) is refused here where a config.json
says otherwise.
"""

from functools import partial

from g4convert.architectures.numbers import Numbers
from g4convert.media import TowerSpec
from g4convert.plan import Rule
from g4convert.transforms import axes_first, channels_first

MODEL_TYPES = ("gemma4_unified_vision",)
SEEING, HEARING = ("vision_embedder.", "embed_vision."), ("embed_audio.",)
"""Beginnings of the names, without prefix, of the tensors for images and for sound."""

_VISION_ONLY = {"pooling_kernel_size": 3, "rms_norm_eps": 1e-6}
_AUDIO_ONLY = {"audio_embed_dim": 640, "audio_samples_per_token": 640, "rms_norm_eps": 1e-6}
_SAMPLES = 640
_BANDS = 128
"""Written as for the other sizes; llama.cpp takes samples instead."""


def vision(numbers: Numbers, text_width: int) -> tuple[TowerSpec, list[Rule]]:
    """What images go through, from vision_config, and what becomes of its tensors; BadCheckpoint names a bad key."""
    for key, value in _VISION_ONLY.items():
        numbers.expect(key, value)
    patch = numbers.count("patch_size", 16)
    side = 3 * patch
    numbers.expect("model_patch_size", side)
    width, positions = numbers.count("mm_embed_dim", 3840), numbers.count("mm_posemb_size", 1120)
    pixels, values = partial(channels_first, side), 3 * side * side
    rules = [
        Rule(
            "vision_embedder.pos_embedding",
            "v.position_embd.weight",
            (2, positions, width),
            "exact",
            source_shape=(positions, 2, width),
            transform=partial(axes_first, positions),
        ),
        Rule(
            "vision_embedder.patch_dense.weight",
            "v.patch_embd.weight",
            (width, values),
            "patches",
            transform=pixels,
        ),
        Rule("vision_embedder.patch_dense.bias", "v.patch_embd.bias", (width,), "exact"),
        Rule("embed_vision.embedding_projection.weight", "mm.input_projection.weight", (text_width, width), "linear"),
    ]
    for kind in ("weight", "bias"):
        first = Rule(
            f"vision_embedder.patch_ln1.{kind}", f"v.patch_norm.1.{kind}", (values,), "exact", transform=pixels
        )
        second = Rule(f"vision_embedder.patch_ln2.{kind}", f"v.patch_norm.2.{kind}", (width,), "exact")
        third = Rule(f"vision_embedder.pos_norm.{kind}", f"v.patch_norm.3.{kind}", (width,), "exact")
        rules += [first, second, third]
    return TowerSpec("gemma4uv", width, 0, 0, 0, patch=patch), rules


def audio(numbers: Numbers, text_width: int) -> tuple[TowerSpec, list[Rule]]:
    """What sound goes through, from audio_config, and what becomes of its tensor; BadCheckpoint names a bad key."""
    for key, value in _AUDIO_ONLY.items():
        numbers.expect(key, value)
    shape = (text_width, _SAMPLES)
    rule = Rule("embed_audio.embedding_projection.weight", "mm.a.input_projection.weight", shape, "linear")
    return TowerSpec("gemma4ua", _SAMPLES, 0, 0, 0, bands=_BANDS), [rule]
