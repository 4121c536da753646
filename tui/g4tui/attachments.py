"""Files that are asked about: what can be read to the model, and how its question looks with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from mimetypes import guess_type
from pathlib import Path
from shlex import split
from urllib.parse import unquote, urlsplit

from g4local.core.errors import UsageError, reason
from g4local.core.fences import fenced
from g4local.core.units import human_bytes

MOST_BYTES = 1_000_000
"""Of a file; a question of this length fills the largest context."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file whose text goes with a question."""

    path: Path
    text: str


def attached(path: Path) -> Attachment:
    """The file at a path; UsageError for one whose text can't be read to a model."""
    kind = (guess_type(path.name)[0] or "").partition("/")[0]
    if kind in ("image", "audio", "video"):
        raise UsageError(f"{path.name} can't be shown to a model: this g4local reads texts only.", "Give a text file.")
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise UsageError(
                f"{path.name} has {human_bytes(size)}; {human_bytes(MOST_BYTES)} is the most.", "Give a part of it."
            )
        return Attachment(path, path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path.name} can't be read as a text: {reason(error)}.", "Give a UTF-8 file.") from error


def question(text: str, attachments: Sequence[Attachment]) -> str:
    """What is asked, with the files behind it, each in a fence that nothing in it closes."""
    return "\n\n".join(
        [text, *(f"{each.path.name}:\n{fenced(each.text.rstrip(), each.path.suffix[1:])}" for each in attachments)]
    )


def given(text: str) -> Path | None:
    """The file that a pasted or dropped text is the path of, as terminals write it; None where it is none."""
    text = text.strip()
    if not text or "\n" in text:
        return None
    if text.startswith("file://"):
        text = unquote(urlsplit(text).path)
    else:
        try:
            [text] = split(text)
        except ValueError:
            return None
    try:
        path = Path(text).expanduser()
        return path if path.is_absolute() and path.is_file() else None
    except (OSError, RuntimeError, ValueError):
        return None
