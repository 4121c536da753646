"""What stands for something else in an mcp.json: `${NAME}`, `${NAME:-default}`, `${env:NAME}`, and names of folders.

Claude Code, VS Code, Cursor and others write them so, mostly to keep tokens out of the file.
"""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from g4local.core.errors import UsageError, reason

_PLACEHOLDER = re.compile(r"\$\{([^${}]*)\}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLACES: dict[str, Callable[[], str]] = {
    "userHome": lambda: str(Path.home()),
    "workspaceFolder": lambda: str(Path.cwd()),
    "workspaceFolderBasename": lambda: Path.cwd().name,
    "cwd": lambda: str(Path.cwd()),
    "pathSeparator": lambda: os.sep,
    "/": lambda: os.sep,
}


def filled(text: str, environ: Mapping[str, str], where: str) -> str:
    """The text with what its placeholders stand for; UsageError, which says where, for one that stands for nothing.

    What is no placeholder that is known stays as it is: a shell may want it.
    """

    def value(found: re.Match[str]) -> str:
        word = found[1]
        if word in _PLACES:
            try:
                return _PLACES[word]()
            except (OSError, RuntimeError) as error:
                raise UsageError(f"{where} needs {found[0]}: {reason(error)}.", "Write the folder itself.") from error
        if word.startswith("input:"):
            raise UsageError(f"{where} wants to ask for {found[0]}.", "Write ${env:NAME}, and set that variable.")
        name, has_default, default = word.removeprefix("env:").partition(":-")
        if not _VARIABLE.fullmatch(name):
            return found[0]
        known = environ.get(name)
        if known or (known is not None and not has_default):
            return known
        if not has_default:
            raise UsageError(f"{where} needs the variable {name}, which is not set.", f"export {name}=...")
        return default

    return _PLACEHOLDER.sub(value, text)
