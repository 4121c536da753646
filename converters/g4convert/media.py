"""The numbers of the towers that see and hear, and the GGUF keys (`clip.*`) that hold them."""

from collections.abc import Mapping
from dataclasses import dataclass

from g4convert.gguf import Value, boolean, f32, f32s, string, u32

ARCHITECTURE = "clip"
"""llama.cpp's name for a file of towers, whatever they are."""

_IMAGE_SIZE = 224
"""Written because llama.cpp wants a size; Gemma 4 takes images of any."""
_NORM_EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class TowerSpec:
    """The numbers of one tower; 0 where it has no layers."""

    projector: str
    """llama.cpp's name for what it is."""
    width: int
    ffn: int
    layers: int
    heads: int
    patch: int = 0
    """Pixels of a patch's side; 0: it hears."""
    bands: int = 0
    """Bands of a spectrum; 0: it sees."""


@dataclass(frozen=True, slots=True)
class MediaSpec:
    """The towers of a checkpoint."""

    text_width: int
    """Of the language model, whose embeddings the towers make."""
    vision: TowerSpec
    audio: TowerSpec | None
    mean: tuple[float, ...]
    """Is taken from the red, green and blue of a pixel."""
    deviation: tuple[float, ...]
    """Divides what is left then."""


def keys(spec: MediaSpec, file_type: int) -> dict[str, Value]:
    """The keys of the towers, in the order of llama.cpp's converter; `file_type` is the number of llama_ftype."""
    vision, audio = spec.vision, spec.audio
    entries: dict[str, Value] = {
        "general.file_type": u32(file_type),
        "clip.has_vision_encoder": boolean(True),
        "clip.vision.projection_dim": u32(spec.text_width),
        "clip.vision.image_size": u32(_IMAGE_SIZE),
        "clip.vision.patch_size": u32(vision.patch),
        **_sizes("clip.vision", vision),
        "clip.vision.image_mean": f32s(spec.mean),
        "clip.vision.image_std": f32s(spec.deviation),
    }
    if audio:
        entries |= {
            "clip.has_audio_encoder": boolean(True),
            "clip.audio.projection_dim": u32(spec.text_width),
            **_sizes("clip.audio", audio),
        }
    entries |= {
        "clip.vision.projector_type": string(vision.projector),
        "clip.vision.attention.layer_norm_epsilon": f32(_NORM_EPSILON),
    }
    if audio:
        entries |= {
            "clip.audio.projector_type": string(audio.projector),
            "clip.audio.num_mel_bins": u32(audio.bands),
            "clip.audio.attention.layer_norm_epsilon": f32(_NORM_EPSILON),
        }
    return entries


def activation(spec: MediaSpec) -> dict[str, Value]:
    """The key that llama.cpp's converter leaves out for Gemma 4: that the tower for images has GELUs.

    Without it llama.cpp takes a coarser function, x / (1 + e^(-1.702 x)), and sees otherwise than transformers does.
    """
    return {"clip.use_gelu": boolean(True)} if spec.vision.layers else {}


def _sizes(prefix: str, tower: TowerSpec) -> Mapping[str, Value]:
    return {
        f"{prefix}.embedding_length": u32(tower.width),
        f"{prefix}.feed_forward_length": u32(tower.ffn),
        f"{prefix}.block_count": u32(tower.layers),
        f"{prefix}.attention.head_count": u32(tower.heads),
    }
