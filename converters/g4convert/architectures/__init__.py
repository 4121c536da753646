"""The models that the converter knows, and how it tells them from those it does not."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from g4convert.architectures import gemma4, others
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


KNOWN = (
    Architecture(
        names=gemma4.NAMES,
        model_types=gemma4.MODEL_TYPES,
        read=gemma4.read,
        rules=gemma4.rules,
        prefixes=gemma4.PREFIXES,
        skips=gemma4.SKIPS,
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
