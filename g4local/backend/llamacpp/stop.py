"""A wish to stop that llama.cpp reads by itself, without Python's lock."""

import ctypes

import llama_cpp.llama_cpp as llama


class StopFlag:
    """Raised by one thread, seen by llama.cpp in another one between two nodes of its graph.

    A Python function as the abort callback would take the interpreter's lock at each of some thousand nodes a token.
    C's strlen takes none: over a buffer of two bytes it gives 0 or 1, which is the callback's answer.
    """

    def __init__(self) -> None:
        self._buffer = ctypes.create_string_buffer(2)
        self._callback = ctypes.cast(ctypes.CDLL(None).strlen, llama.ggml_abort_callback)

    def set(self) -> None:
        """Wish to stop."""
        self._buffer[0] = b"\x01"

    def clear(self) -> None:
        """Take the wish back."""
        self._buffer[0] = b"\x00"

    def is_set(self) -> bool:
        """Whether there is a wish to stop."""
        return bool(self._buffer[0] != b"\x00")

    def watch(self, context: int) -> None:
        """Let this context's computations end when the flag is set; the flag must outlive the context."""
        llama.llama_set_abort_callback(context, self._callback, ctypes.cast(self._buffer, ctypes.c_void_p))
