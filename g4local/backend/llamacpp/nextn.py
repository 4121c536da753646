"""llama.cpp's functions for the state that an assistant drafts from: the last hidden one of each row with logits.

They are not public: llama-cpp-python finds them by their C++ names, which tell the parameters, too.
"""

from functools import cache
from types import ModuleType

_NEEDED = ("llama_set_embeddings_nextn", "llama_get_embeddings_nextn_ith")


@cache
def functions() -> ModuleType | None:
    """The functions; None in a build where they can't be found."""
    try:
        from llama_cpp import llama_cpp_ext
    except (ImportError, AttributeError):
        return None
    return llama_cpp_ext if all(hasattr(llama_cpp_ext, name) for name in _NEEDED) else None


def tell_states(context: int, wanted: bool) -> None:
    """Let a context keep the states of rows with logits, or only spare its last layer all other rows.

    Unless it is told so, llama.cpp computes Gemma 4's last layer for each token of a prompt, though nobody reads it.
    """
    if api := functions():
        api.llama_set_embeddings_nextn(context, wanted, True)
