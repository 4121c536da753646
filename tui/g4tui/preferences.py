"""What a person prefers of the app, in `config.toml`: `theme`, and `[keys]` by their ids."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from g4local.core.errors import G4Error, UsageError
from g4local.core.files import write_whole
from g4tui.keys import KEYS, key_id

_THEME = re.compile(r"^theme[ \t]*=.*\n?", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Preferences:
    """What differs from the app's own."""

    theme: str = ""
    """Empty: the app's own."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """Keys as Textual names them, with commas between, by the id of what they do."""


def read(file: Path, themes: frozenset[str]) -> Preferences:
    """What the file says; UsageError, which names file and key, for what it can't say. `themes`: those there are."""
    known = _parsed(file, _text(file))
    theme, own = known.pop("theme", ""), known.pop("keys", {})
    if known:
        raise _wrong(file, next(iter(known)), "is not known", "It knows theme and [keys].")
    if not isinstance(theme, str) or (theme and theme not in themes):
        raise _wrong(file, "theme", "is none of the themes", ", ".join(sorted(themes)))
    if not isinstance(own, dict):
        raise _wrong(file, "keys", "is no table", "[keys]")
    return Preferences(theme, _keys(file, own))


def _keys(file: Path, own: Mapping[str, object]) -> dict[str, str]:
    ids = {key_id(scope, key) for scope in KEYS for key in KEYS[scope]}
    found: dict[str, str] = {}
    for name, value in own.items():
        if name not in ids:
            raise _wrong(
                file, f"keys.{name}", "is nothing that a key does", 'Put the id into quotes: "chat.new" = "f9".'
            )
        pressed = value.replace(" ", "") if isinstance(value, str) else ""
        if not all(pressed.split(",")):
            raise _wrong(file, f"keys.{name}", "is no key", 'Keys are written as "f9" or "ctrl+n,f9".')
        found[name] = pressed
    _refuse_clashes(file, found)
    return found


def _refuse_clashes(file: Path, own: Mapping[str, str]) -> None:
    """No key may do two things in one place."""
    for scope in KEYS:
        taken: dict[str, str] = {}
        for name in sorted((key_id(scope, key) for key in KEYS[scope]), key=own.__contains__):
            default = next(key.keys for key in KEYS[scope] if key_id(scope, key) == name)
            for pressed in own.get(name, default).split(","):
                if pressed in taken:
                    raise _wrong(
                        file, f"keys.{name}", f"is {pressed}, which {taken[pressed]} has", "Give it another key."
                    )
                taken[pressed] = name


def keep_theme(file: Path, theme: str) -> None:
    """Write the theme into the file, whose other lines stay; G4Error when that can't be."""
    text = f'theme = "{theme}"\n{_THEME.sub("", _text(file))}'
    if _parsed(file, text)["theme"] != theme:
        raise _wrong(file, "theme", "can't be changed here", "Change it in the file.")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, text)
    except OSError as error:
        raise G4Error(f"{file} can't be written: {error.strerror}.") from error


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} can't be read: {error}.") from error


def _parsed(file: Path, text: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{file} is no TOML: {error}.", "Mend it, or take it away.") from error


def _wrong(file: Path, key: str, says: str, hint: str) -> UsageError:
    return UsageError(f"{file}: {key} {says}.", hint)
