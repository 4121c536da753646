"""What can go wrong, with the exit code that a script can rely on.

G4Error                      1   anything that went wrong and is told in one sentence
├── UsageError               2   the request itself makes no sense
├── ModelNotFound            3   no such model here
├── UnusableFile             4   not a usable model file
│   ├── BadCheckpoint            a Hugging Face folder that is missing, cut off or inconsistent
│   │   └── UnknownArchitecture  a folder of a model that the converter does not know
│   ├── BadGguf                  a GGUF that is cut off, damaged or of another model
│   └── BadImatrix               an importance matrix that is cut off, damaged or of another model
├── DoesNotFit               4   there is too little memory for a model
├── ContextFull              5   the conversation is longer than the context
│   └── TooManyTools             what the model is told of its tools leaves too little of the context
├── NetworkError             7   what was to be downloaded can't be had
├── Busy                     1   another process is at it
├── StoreError               1   the sessions on the disk can't be read or written
├── EngineError              1   llama.cpp refused or failed
│   └── EngineDied               the child process that runs it ended
└── Cancelled              130   the user stopped it
"""

import re
from typing import ClassVar

_LONGEST = 1000
"""Characters of a message; names and values in it come from files, and can be as long as these."""


_NUMBER = re.compile(r"^\[Errno -?\d+\] ")
"""What libraries put before the system's words."""

AGAIN = "Convert it or download it again."
"""What helps when a model's file is damaged."""


class G4Error(Exception):
    """One sentence for a person, and a hint what to do next."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "") -> None:
        if len(message) > _LONGEST:
            message = f"{message[: _LONGEST - 200]}…{message[-199:]}"
        super().__init__(message)
        self.message = message
        self.hint = hint


def reason(error: Exception) -> str:
    """Why it failed, in the system's words, without the number and name that Python puts around them, and full stop."""
    told = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return _NUMBER.sub("", told).removesuffix(".") or type(error).__name__


class UsageError(G4Error):
    """The request itself makes no sense, whatever the state of the machine."""

    exit_code = 2


class ModelNotFound(G4Error):
    """The name or path leads to no model on this machine."""

    exit_code = 3


class UnusableFile(G4Error):
    """A file or folder was found, but no model can be made of it."""

    exit_code = 4


class BadCheckpoint(UnusableFile):
    """A Hugging Face folder that is cut off, inconsistent or lacks a file."""


class UnknownArchitecture(BadCheckpoint):
    """A Hugging Face folder of a model that the converter does not know."""


class BadGguf(UnusableFile):
    """A GGUF that is cut off, damaged or of another model."""


class BadImatrix(UnusableFile):
    """An importance matrix that is cut off, damaged or of another model."""


class DoesNotFit(G4Error):
    """There is too little memory for a model, so it was not loaded."""

    exit_code = 4


class ContextFull(G4Error):
    """The conversation is longer than the context that the model was loaded with."""

    exit_code = 5


class TooManyTools(ContextFull):
    """What the model is told of its tools leaves too little of the context for a conversation."""


class NetworkError(G4Error):
    """What was to be downloaded can't be had: no connection, a refusal, or other bytes than were announced."""

    exit_code = 7


class Busy(G4Error):
    """Another process is doing the same just now."""


class StoreError(G4Error):
    """The sessions on the disk can't be read or written."""


class EngineError(G4Error):
    """llama.cpp refused or failed."""


class EngineDied(EngineError):
    """The child process that runs llama.cpp ended before it had answered."""

    def __init__(self, message: str, hint: str = "", *, signal: int | None, log: tuple[str, ...]) -> None:
        super().__init__(message, hint)
        self.signal = signal
        """The number of the signal that ended it; None when it exited by itself."""
        self.log = log
        """Its last log lines, oldest first."""


class Cancelled(G4Error):
    """The user stopped a job that leaves nothing behind (a load, a conversion)."""

    exit_code = 130
