"""The person's own editor, for a question that is longer than a prompt is good for."""

import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from g4local.core.errors import G4Error, UsageError, reason

_EDITORS = ("VISUAL", "EDITOR")
"""Variables that name it, the first one that is set."""
_OTHERWISE = "vi"


def edited(text: str, environ: Mapping[str, str]) -> str:
    """The text as the person leaves it; G4Error when the editor can't be run or fails. The terminal must be free."""
    command = next((environ[name] for name in _EDITORS if environ.get(name)), _OTHERWISE)
    with TemporaryDirectory(prefix="g4local-") as folder:
        file = Path(folder) / "question.md"
        file.write_text(text, encoding="utf-8")
        try:
            code = subprocess.run([*shlex.split(command), os.fspath(file)], check=False).returncode
            changed = file.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise UsageError(f"The editor {command!r} can't be used: {reason(error)}.", "Set EDITOR.") from error
    if code:
        raise G4Error(f"The editor {command!r} ended with {code}; the question is as it was.")
    return changed.removesuffix("\n")
