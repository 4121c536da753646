"""The models that the converter knows, and how it tells them from those it does not."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from g4convert.architectures import gemma4, gemma4_assistant, gemma4_media, gemma4_unified_media, others
from g4convert.architectures.numbers import Numbers
from g4convert.media import TowerSpec
from g4convert.plan import Rule
from g4convert.spec import ModelSpec


@dataclass(frozen=True, slots=True)
class Architecture:
    """One family of checkpoints."""

    names: tuple[str, ...]
    """What `architectures` in config.json may say."""
    model_types: tuple[str, ...]
    """What `model_type` in config.json may say, where `architectures` is missing."""
    read: Callable[[Mapping[str, Any]], ModelSpec]
    """The model's numbers from config.json."""
    rules: Callable[[ModelSpec], list[Rule]]
    """What becomes of each tensor."""
    prefixes: tuple[str, ...]
    """What may stand before a tensor's name, the longest first."""
    skips: tuple[str, ...]
    """Beginnings of the names, without prefix, of tensors that a text model does not need."""


@dataclass(frozen=True, slots=True)
class Towers:
    """What one family of checkpoints sees and hears with."""

    model_types: tuple[str, ...]
    """What `model_type` in config.json's vision_config may say."""
    vision: Callable[[Numbers, int], tuple[TowerSpec, list[Rule]]]
    """The tower's numbers from vision_config and the language model's width, and what becomes of each tensor."""
    audio: Callable[[Numbers, int], tuple[TowerSpec, list[Rule]]]
    """The same from audio_config."""
    seeing: tuple[str, ...]
    """Beginnings of the names, without `model.`, of the tensors for images."""
    hearing: tuple[str, ...]
    """The same for sound."""


KNOWN = (
    Architecture(
        names=gemma4.NAMES,
        model_types=gemma4.MODEL_TYPES,
        read=gemma4.read,
        rules=gemma4.rules,
        prefixes=gemma4.PREFIXES,
        skips=gemma4.SKIPS,
    ),
    Architecture(
        names=gemma4_assistant.NAMES,
        model_types=gemma4_assistant.MODEL_TYPES,
        read=gemma4_assistant.read,
        rules=gemma4_assistant.rules,
        prefixes=gemma4_assistant.PREFIXES,
        skips=gemma4_assistant.SKIPS,
    ),
)

TOWERS = (
    Towers(
        model_types=gemma4_media.MODEL_TYPES,
        vision=gemma4_media.vision,
        audio=gemma4_media.audio,
        seeing=gemma4_media.SEEING,
        hearing=gemma4_media.HEARING,
    ),
    Towers(
        model_types=gemma4_unified_media.MODEL_TYPES,
        vision=gemma4_unified_media.vision,
        audio=gemma4_unified_media.audio,
        seeing=gemma4_unified_media.SEEING,
        hearing=gemma4_unified_media.HEARING,
    ),
)


def find(config: Mapping[str, Any]) -> Architecture:
    """The architecture of a config.json; UnknownArchitecture, which says what it is instead, when it is another.

    BadCheckpoint when its weights are quantized already.
    """
    named = config.get("architectures")
    name = str(named[0]) if isinstance(named, list) and named else ""
    model_type = str(config.get("model_type", ""))
    for architecture in KNOWN:
        if name in architecture.names or (not name and model_type in architecture.model_types):
            others.expect_unquantized(config)
            return architecture
    raise others.refused(name or model_type, ", ".join(known for entry in KNOWN for known in entry.names))


def is_drafter(config: Mapping[str, Any]) -> bool:
    """Whether a config.json is that of an assistant; the errors of `find`."""
    return find(config).names == gemma4_assistant.NAMES


def towers(config: Mapping[str, Any]) -> Towers | None:
    """What a config.json says that the model sees and hears with; None for a model of text alone.

    BadCheckpoint when it says something that is not known.
    """
    vision = Numbers(config).table("vision_config", {})
    if not vision.values:
        return None
    kind = vision.get("model_type") or f"{config.get('model_type')}_vision"
    found = next((entry for entry in TOWERS if kind in entry.model_types), None)
    if found is None:
        known = ", ".join(name for entry in TOWERS for name in entry.model_types)
        raise vision.bad("model_type", f"is {kind!r}, but only {known} are known")
    return found
