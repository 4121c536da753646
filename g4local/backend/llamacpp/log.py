"""llama.cpp's log: passed on to file descriptor 2, and its complaints kept for the sentences of errors."""

import ctypes
import os
import re
from collections import deque
from functools import cache

import llama_cpp.llama_cpp as llama

_CONTINUED = 5
"""GGML_LOG_LEVEL_CONT: more of the last line."""
_ERROR = 4
"""GGML_LOG_LEVEL_ERROR."""
_DEBUG = 1
"""GGML_LOG_LEVEL_DEBUG."""


class LlamaLog:
    """What llama.cpp says while it is installed."""

    def __init__(self) -> None:
        self._errors: deque[str] = deque(maxlen=8)
        self._level = 0
        self._callback = llama.llama_log_callback(self._take)
        llama.llama_log_set(self._callback, ctypes.c_void_p(None))

    def complaint(self) -> str:
        """The most telling of the errors since the last `forget`, without the names of functions; empty for none.

        One line, whatever the names in a damaged file are.
        """
        told = [re.sub(r"^\w+: ", "", line) for line in self._errors]
        first = next((re.sub(r"^error loading model: ", "", line) for line in told), "")
        return "".join(each if each.isprintable() else "\ufffd" for each in first)

    def forget(self) -> None:
        """Drop the errors so far."""
        self._errors.clear()

    def _take(self, level: int, text: bytes | None, user_data: int | None) -> None:
        if level != _CONTINUED:
            self._level = level
        line = (text or b"").decode("utf-8", "replace")
        if self._level == _ERROR and line.strip():
            self._errors.append(line.strip())
        if self._level != _DEBUG:
            os.write(2, line.encode("utf-8", "replace"))


@cache
def listen() -> LlamaLog:
    """The process's log, installed with the first call: llama.cpp has one handler, which must live as long as it does.

    The handler that the package llama_cpp installs prints to Python's stderr and mistakes the levels.
    """
    return LlamaLog()
