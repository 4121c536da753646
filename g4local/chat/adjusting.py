"""How a person changes by words how the model is asked, between two turns."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from g4local.backend.engine import RANGES
from g4local.chat.conversation import ConversationOptions
from g4local.core.errors import UsageError

NONE = "none"
"""The word that clears a setting."""

_MOST_TOKENS = 2**31 - 1
_COUNTS = ("max_tokens", "think_budget")
"""Settings that are numbers of tokens."""
_WHOLE = ("top_k", "seed")
"""Fields of Sampling that are whole numbers."""


def settings(options: ConversationOptions) -> Mapping[str, object]:
    """What can be changed, by name, and what it is now."""
    return {
        "system": options.system,
        **{name: getattr(options, name) for name in _COUNTS},
        **{name: getattr(options.sampling, name) for name in RANGES},
    }


def adjusted(options: ConversationOptions, name: str, value: str) -> ConversationOptions:
    """The options with one setting as the words say; UsageError for a value that it can't have."""
    if name not in settings(options):
        raise UsageError(f"There is no setting {name!r}.", f"Settings: {', '.join(settings(options))}.")
    if name == "system":
        return replace(options, system="" if value == NONE else value)
    if name in _COUNTS:
        count: dict[str, Any] = {name: int(_number(name, value, 0, _MOST_TOKENS, whole=True))}
        return replace(options, **count)
    low, high = RANGES[name]
    is_drawn = name == "seed" and value == NONE
    changed: dict[str, Any] = {name: None if is_drawn else _number(name, value, low, high, name in _WHOLE)}
    return replace(options, sampling=replace(options.sampling, **changed))


def switch(word: str, now: bool) -> bool:
    """What on, off or nothing makes of a switch."""
    if word and word not in ("on", "off"):
        raise UsageError(f"{word!r} is neither on nor off.", "Say on or off, or nothing to switch over.")
    return word == "on" if word else not now


def _number(name: str, word: str, low: float, high: float, whole: bool) -> float:
    try:
        number = int(word) if whole else float(word)
    except ValueError:
        number = float("nan")
    if not low <= number <= high:
        kind = "whole number" if whole else "number"
        raise UsageError(f"{name} can't be {word!r}.", f"It is a {kind} from {low:,} to {high:,}.")
    return number
