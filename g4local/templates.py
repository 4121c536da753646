"""How old the chat template in a GGUF is. It is never used: what g4local renders itself is Google's of July 2026."""

_SIGN_OF_JULY = "preserve_thinking"
"""A variable that Google's templates have since 2026-07-09; llama.cpp's sign of age, a comment on OpenAI's chat
completions, is in those of April 2026 already."""
_SIGN_OF_GEMMA_4 = "<|tool_call>call:"
"""What calls of tools begin with, in all of Google's templates for Gemma 4; those before July are of April 2026."""


def told(template: str) -> str:
    """What a person should know of a file's template; nothing where it is as new as the built-in one, or missing."""
    if not template.strip() or _SIGN_OF_JULY in template:
        return ""
    whose = "the April template" if _SIGN_OF_GEMMA_4 in template else "a template that is not Google's"
    return f"carries {whose}; the built-in July one is used"
