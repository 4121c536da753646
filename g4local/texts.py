"""Text files that a model reads for measuring."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from g4local.core.errors import UsageError


@dataclass(frozen=True, slots=True)
class Texts:
    """What some files hold, one after the other with nothing between them."""

    names: tuple[str, ...]
    """The files as they were given."""
    content: str = field(repr=False)

    @property
    def sha256(self) -> str:
        """The hash of the content in hex; that of the file where there is only one."""
        return sha256(self.content.encode()).hexdigest()


def read(paths: Sequence[Path]) -> Texts:
    """Read files of text in UTF-8; UsageError when one can't be read or is none."""
    return Texts(tuple(map(str, paths)), "".join(map(_read, paths)))


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}.", "Give files of plain text.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no text in UTF-8.", "Give files of plain text.") from error
