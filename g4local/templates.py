"""How old the chat template in a GGUF is. It is never used: what g4local renders itself is Google's of July 2026."""

from typing import Literal

_SIGN_OF_JULY = "preserve_thinking"
"""A variable that Google's templates have since 2026-07-09; llama.cpp's sign of age, a comment on OpenAI's chat
completions, is in those of April 2026 already."""
_SIGN_OF_GEMMA_4 = "<|tool_call>call:"
"""What calls of tools begin with, in all of Google's templates for Gemma 4; those before July are of April 2026."""


Age = Literal["July", "April", "foreign", "none"]
"""Of which of Google's releases a template is, if it is Google's."""


def age(template: str) -> Age:
    """How old a template is."""
    if not template.strip():
        return "none"
    if _SIGN_OF_JULY in template:
        return "July"
    return "April" if _SIGN_OF_GEMMA_4 in template else "foreign"


def told(template: str) -> str:
    """What a person should know of a file's template; nothing where it is as new as the built-in one, or missing."""
    old = age(template)
    if old in ("none", "July"):
        return ""
    whose = "the April template" if old == "April" else "a template that is not Google's"
    return f"carries {whose}; the built-in July one is used"
