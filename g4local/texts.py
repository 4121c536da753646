"""Text files that a model reads for measuring."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from g4local.core.errors import UsageError

_MOST_BYTES = 100_000_000
"""Of one text, some 50,000 chunks: days of reading for a large model."""


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


def read(paths: Sequence[Path], fewest_tokens: int = 0) -> Texts:
    """Read files of text in UTF-8; UsageError when one can't be read or is none.

    Also when all are too short to be `fewest_tokens` in any vocabulary: a token has a byte at least.
    """
    texts = Texts(tuple(map(str, paths)), "".join(map(_read, paths)))
    nbytes = len(texts.content.encode())
    if fewest_tokens and not nbytes:
        raise UsageError(f"{', '.join(texts.names)} is empty.", "Give files of plain text.")
    if nbytes + 1 < fewest_tokens:
        raise UsageError(
            f"A text of {nbytes} bytes is too short: a chunk has {fewest_tokens} tokens.", "Give more text."
        )
    return texts


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise UsageError(f"{path} has more than {_MOST_BYTES / 1e6:.0f} MB.", "Give a smaller text.")
        return content.decode()
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}.", "Give files of plain text.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no text in UTF-8.", "Give files of plain text.") from error
