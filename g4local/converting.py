"""`convert` before anything is written: which folder is meant, where its GGUFs go, and what is to be known of them."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from g4local import library
from g4local.core.errors import ModelNotFound, UsageError
from g4local.settings import Paths

if TYPE_CHECKING:
    from g4convert.mmproj import Senses

_SENSES = {"vision": "images", "audio": "sound"}


def expect_folder(folder: Path) -> None:
    """UsageError for a file, ModelNotFound for nothing, or what can't be looked at."""
    try:
        is_file, is_folder = folder.is_file(), folder.is_dir()
    except OSError as error:
        raise ModelNotFound(
            f"{folder} can't be read: {error.strerror}.", "Check its name, and your rights there."
        ) from error
    if is_file:
        raise UsageError(
            f"{folder} is a file.", "`convert` takes the folder that holds config.json; `quantize` takes a GGUF."
        )
    if not is_folder:
        raise ModelNotFound(
            f"There is no folder {folder}.",
            "Give a folder that holds config.json and *.safetensors; `g4local pull --from-checkpoint` downloads one.",
        )


def missing(senses: "Senses") -> tuple[str, ...]:
    """What is to be known of a checkpoint that lacks what its config.json announces."""
    if not senses.missing:
        return ()
    names = " and ".join(_SENSES[sense] for sense in senses.missing)
    left = "text and images" if senses.sees else "text"
    return (f"config.json announces {names}, but the checkpoint has no tensors for that: only {left} will work.",)


def place(name: str, recipe: str, paths: Paths) -> Path:
    """Where the GGUF goes that is made of something with this name, if nobody says where; makes the models folder."""
    return library.models_folder(paths) / f"{name}-{recipe}.gguf"


def expect_free(target: Path, force: bool) -> None:
    """UsageError when something has this name and was not to be written over, or is no GGUF that could be made anew."""
    from g4convert.gguf import MAGIC

    with suppress(OSError):  # one that can't be a name at all is told when it is written
        if target.is_dir():
            raise UsageError(f"{target} is a folder.", "Give the name of a file with -o.")
        if target.exists() and not force:
            raise UsageError(f"{target} is there already.", "Give another name with -o, or --force to write over it.")
        if target.is_file() and target.stat().st_size:
            with target.open("rb") as file:
                if file.read(len(MAGIC)) != MAGIC:
                    raise UsageError(
                        f"{target} is there already, and is no GGUF.", "Give another name with -o, or delete it first."
                    )
