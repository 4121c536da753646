"""The theme that was chosen is there again, keys can be others, and what the file can't say is refused."""

from os import environ
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from g4local.core.errors import UsageError
from g4local.opening.request import Request
from g4local.settings import paths
from g4tui.app import G4App
from g4tui.preferences import Preferences, keep_theme, read
from g4tui.screens.help import HelpScreen
from tests.tui.pilots import drive, until

THEMES = frozenset({"nord", "ansi-dark"})


def test_a_theme_is_kept_and_the_rest_of_the_file_stays(tmp_path: Path) -> None:
    file = tmp_path / "new" / "config.toml"
    assert read(file, THEMES) == Preferences()
    keep_theme(file, "nord")
    rest = '# mine\n[keys]\n"app.help" = "f9"\n'
    file.write_text(file.read_text() + rest)
    keep_theme(file, "ansi-dark")
    assert read(file, THEMES) == Preferences("ansi-dark", {"app.help": "f9"})
    assert file.read_text().endswith(rest)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("theme = 3", "theme"),
        ("theme = 'none such'", "theme"),
        ("color = 1", "color"),
        ("keys = 1", "keys"),
        ("[keys]\n'chat.nothing' = 'f9'", "keys.chat.nothing"),
        ("[keys]\n'chat.new' = 9", "keys.chat.new"),
        ("[keys]\n'chat.new' = ' '", "keys.chat.new"),
        ("[keys]\n'chat.new' = 'ctrl+t'", "keys.chat.new"),
        ("[keys]\n'chat.new' = 'f9'\n'chat.retry' = 'f9'", "f9"),
        ("[keys]\n'chat.new' = 'f9,,'", "keys.chat.new"),
        ("theme", "no TOML"),
        ("\xff", "config.toml"),
    ],
)
def test_what_it_cannot_say_is_refused(tmp_path: Path, text: str, key: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text, encoding="latin-1")
    with pytest.raises(UsageError) as refused:
        read(file, THEMES)
    assert str(file) in refused.value.message and key in refused.value.message


def test_the_app_has_the_theme_and_the_keys_and_keeps_another_theme() -> None:
    file = paths(environ).config
    keep_theme(file, "nord")
    file.write_text(file.read_text() + '[keys]\n"app.help" = "f9"\n')

    async def steps(pilot: Pilot[None]) -> None:
        assert isinstance(pilot.app, G4App)
        assert pilot.app.theme == "nord"
        await until(pilot, lambda: "f9" in pilot.app.screen.active_bindings)
        assert "f1" not in pilot.app.screen.active_bindings
        await pilot.press("f9")
        await until(pilot, lambda: isinstance(pilot.app.screen, HelpScreen))
        lines = str(pilot.app.screen.query_one("#help Static", Static).content).splitlines()
        assert any(line.split() == ["F9", "Help"] for line in lines)
        pilot.app.put_on("ansi-dark")
        assert pilot.app.theme == "ansi-dark"

    drive(G4App(Request("")), steps)
    assert 'theme = "ansi-dark"' in file.read_text()
