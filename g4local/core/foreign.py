"""Files and folders that hold something other than a Gemma 4 to talk to, and what to do with them."""

from pathlib import Path

from g4local.core.errors import BadCheckpoint, BadGguf

TOWERS = "clip"
DRAFTER = "gemma4-assistant"
"""`general.architecture` of GGUFs that belong to another one: what it sees and hears with, and what drafts for it."""

_BESIDE = "Give the GGUF that it belongs to."


def refused(path: Path, architecture: object, kind: object) -> BadGguf:
    """The error for a GGUF of this `general.architecture` and this `general.type`."""
    if kind == "imatrix":
        return BadGguf(
            f"{path} is an importance matrix, and no model.", "`convert` and `quantize` take it as --imatrix."
        )
    if architecture == TOWERS:
        return BadGguf(
            f"{path} is the part of a model that sees and hears (architecture {TOWERS!r}).",
            f"{_BESIDE} `g4local convert` makes smaller ones, with --mmproj-type.",
        )
    if architecture == DRAFTER:
        return BadGguf(
            f"{path} is a drafter, which only guesses for a larger model (architecture {DRAFTER!r}).", _BESIDE
        )
    return BadGguf(
        f"{path} holds a model of the architecture {architecture!r}, not Gemma 4.", "g4local is for Gemma 4."
    )


def drafter(folder: Path) -> BadCheckpoint:
    """The error for an assistant's folder where a model is wanted."""
    return BadCheckpoint(
        f"{folder} holds a drafter, which only guesses for a larger model.",
        "Run the model that it belongs to, with --draft-model and this folder.",
    )
