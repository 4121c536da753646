"""Names of a GGUF in several files, as llama-gguf-split gives them: STEM-00001-of-00003.gguf."""

import re
from dataclasses import dataclass

_NAME = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.gguf")


@dataclass(frozen=True, slots=True)
class Part:
    """What such a name says."""

    stem: str
    number: int
    """Which of the files it is, from 1 on."""
    count: int

    def name(self, number: int) -> str:
        """The name of another of the files."""
        return f"{self.stem}-{number:05}-of-{self.count:05}.gguf"


def part(name: str) -> Part | None:
    """What a file's name or path says; None for that of a GGUF in one file."""
    found = _NAME.fullmatch(name)
    return Part(found[1], int(found[2]), int(found[3])) if found else None
