"""Where lines end that are shown at a terminal, and what is never touched."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from g4local.cli.wrapping import Wrapper, wrapped

PROSE = "The quick brown fox jumps over the lazy dog, and then it sleeps until noon."
WORDS = st.text("ab-,.`é東京、。「」👩😀 \t\n|~", max_size=120)


def shown(*pieces: str, width: int | None) -> str:
    wrapper = Wrapper()
    return "".join(wrapper.feed(piece, width) for piece in pieces) + wrapper.rest(width)


def test_lines_end_between_words() -> None:
    lines = shown(PROSE, width=20).split("\n")
    assert lines == ["The quick brown fox", "jumps over the lazy", "dog, and then it", "sleeps until noon."]
    assert wrapped(PROSE, 20) == "\n".join(lines)
    assert shown("12345 789 and", width=9) == "12345 789\nand"


@given(WORDS, st.lists(st.integers(0, 120)), st.one_of(st.none(), st.integers(1, 30)))
def test_it_does_not_matter_how_a_text_is_cut_into_pieces(text: str, cuts: list[int], width: int | None) -> None:
    ends = sorted(min(cut, len(text)) for cut in cuts)
    pieces = [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True)]
    assert shown(*pieces, width=width) == shown(text, width=width)


@given(WORDS, st.integers(1, 30))
def test_nothing_is_lost_and_no_space_is_gained(text: str, width: int) -> None:
    wrapped = shown(text, width=width)
    assert "".join(wrapped.split()) == "".join(text.split())
    for space in " \t":
        assert wrapped.count(space) <= text.count(space)


@given(st.lists(st.text("abcé東京😀", min_size=1, max_size=9), max_size=30), st.integers(18, 40))
def test_no_line_is_longer_than_the_screen(words: list[str], width: int) -> None:
    assert all(cell_len(line) <= width for line in shown(" ".join(words), width=width).split("\n"))


@given(WORDS)
def test_what_is_no_terminal_gets_every_character_at_once(text: str) -> None:
    assert Wrapper().feed(text, None) == text


@pytest.mark.parametrize(
    "text",
    [
        "https://example.org/" + "path/" * 20,
        "```python\nif this and that: print('a line that is longer than the screen')\n```",
        "~~~~\na fence ``` within a fence\n~~~\nand a line that is still code\n~~~~",
        "| a row | of a table | that is wide |\n|---|---|---|",
        "  > ```\n  > quoted code which is longer than this\n  > ```",
    ],
)
def test_links_code_and_tables_stay_whole(text: str) -> None:
    assert shown(text, width=20) == text
    assert shown(*text, width=20) == text
    assert shown(f"{text}\n{PROSE}", width=20) == f"{text}\n{shown(PROSE, width=20)}"


def test_a_long_word_begins_a_line_of_its_own() -> None:
    link = "https://example.org/" + "path/" * 20
    assert shown(f"See {link} for more", width=20) == f"See\n{link}\nfor more"


def test_code_within_a_line_stays_whole() -> None:
    assert shown("Type `a b c d` to see", width=12) == "Type\n`a b c d` to\nsee"
    assert shown("Type `a b c d e f` to see", width=12) == "Type\n`a b c d e f`\nto see"
    assert shown("A stray ` in it\nand words here", width=8) == "A stray\n` in it\nand\nwords\nhere"


def test_code_between_words_is_no_block() -> None:
    assert "\n" in shown("```one``` and then some more words", width=20)


def test_wide_characters_count_double_and_may_begin_a_line_but_stops_may_not() -> None:
    assert shown("東京都 京都府", width=6) == "東京都\n京都府"
    assert shown("東京都京都府", width=7) == "東京都\n京都府"
    assert shown("東京都。京都", width=6) == "東京\n都。京\n都"
    assert shown("ab 👩\u200d💻👩\u200d💻", width=5) == "ab 👩\u200d💻\n👩\u200d💻"


def test_spaces_at_the_beginning_of_a_line_stay() -> None:
    assert shown("- one\n    - two and three and four", width=20) == "- one\n    - two and three\nand four"
    assert shown("\tsome words here", width=16) == "\tsome\nwords here"


def test_a_word_is_shown_as_soon_as_it_has_ended() -> None:
    wrapper = Wrapper()
    assert [wrapper.feed(piece, 20) for piece in ("Hel", "lo", " wor", "ld", ".\n")] == [
        "",
        "",
        "Hello",
        "",
        " world.\n",
    ]
    assert wrapper.feed("x" * 30, 20) == "x" * 30
    assert wrapper.feed("yy", 20) == "yy"
