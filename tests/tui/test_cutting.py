"""Long answers are cut into parts that show what the whole text shows."""

import re
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from g4tui.widgets.cutting import MOST, PART, Cutter, Fragment
from g4tui.widgets.markdown import parser

WORDS = "word " * 30

BLOCKS = st.sampled_from(
    [
        f"{WORDS}\n\n",
        f"# {WORDS[:20]}\n\n",
        f"- {WORDS}\n- {WORDS}\n\n",
        f"1. {WORDS}\n2. {WORDS}\n   more of it\n3. {WORDS}\n\n",
        f"1. {WORDS}\n\n   ```py\n   x = 1\n\n   y = 2\n   ```\n\n2. {WORDS}\n\n",
        "```python\n" + "x = 1\n\n" * 20 + "```\n",
        "~~~\n# no heading\n~~~\n\n",
        "| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * 10 + "\n",
        f"> {WORDS}\n> {WORDS}\n\n",
        f"{WORDS}\n***\n",
    ]
)


def parts(text: str, *cuts: int) -> list[Fragment]:
    """The parts of a text that comes in pieces."""
    cutter, found = Cutter(), []
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    for begin, end in pairwise(edges):
        found += cutter.feed(text[begin:end])
    whole: list[Fragment] = []
    for each in [*found, *cutter.rest()]:
        if whole and each.begins is None:
            before = whole[-1]
            whole[-1] = Fragment(before.said + each.said, before.text + each.text, before.begins)
        else:
            whole.append(each)
    return whole


def shape(text: str) -> list[tuple[str, str]]:
    """The blocks of a text without those that only hold others together, and their words."""
    kept = ("inline", "fence", "code_block", "hr")
    return [(token.type, token.content) for token in parser().parse(text) if token.type in kept]


@given(st.lists(BLOCKS, max_size=40), st.lists(st.integers(0, 12_000), max_size=30))
@settings(max_examples=60, deadline=None)
def test_the_parts_are_the_same_however_a_text_comes_and_hold_all_of_it(blocks: list[str], cuts: list[int]) -> None:
    text = "".join(blocks)
    assert parts(text, *cuts) == parts(text)
    assert "".join(part.said for part in parts(text)) == text


@given(st.lists(BLOCKS, max_size=40))
@settings(max_examples=60, deadline=None)
def test_the_parts_show_the_blocks_of_the_whole_text(blocks: list[str]) -> None:
    text = "".join(blocks)
    shown = [each for part in parts(text) for each in shape(part.text)]
    assert shown == shape(text)


@given(st.text(alphabet="ab `#-*1.|\n>~ \t", max_size=3000), st.lists(st.integers(0, 3000), max_size=20))
@settings(max_examples=100, deadline=None)
def test_no_text_is_lost_whatever_it_is(text: str, cuts: list[int]) -> None:
    text = text * 5
    found = parts(text, *cuts)
    assert found == parts(text)
    assert "".join(part.said for part in found) == text
    assert all(len(part.text) <= 2 * MOST + PART for part in found)


def test_a_part_ends_with_its_block_and_is_not_much_longer_than_it_has_to_be() -> None:
    found = parts(f"{WORDS}\n\n" * 100)
    assert all(PART <= len(part.text) < PART + len(WORDS) + 4 for part in found[:-1])
    assert all(part.begins == "block" for part in found[1:])


def test_code_without_an_end_goes_on_in_a_fence_of_its_own() -> None:
    code = "".join(f"line_{number} = {number}\n" for number in range(1000))
    found = parts(f"```python\n{code}")
    assert len(found) > 3
    assert all(part.begins == "fence" and part.text.startswith("```python\n") for part in found[1:])
    assert "".join(content for part in found for _, content in shape(part.text)) == code


def test_code_in_a_list_goes_on_without_the_list_s_indent() -> None:
    code = "".join(f"line_{number} = {number}\n" for number in range(500))
    indented = "".join(f"   {line}\n" for line in code.splitlines())
    found = parts(f"1. Look:\n   ```py\n{indented}   ```\n2. And then\n")
    assert len(found) > 1
    blocks = [each for part in found for each in shape(part.text)]
    assert "".join(content for kind, content in blocks if kind == "fence") == code
    assert blocks[-1] == ("inline", "And then")


def test_the_numbers_of_a_list_go_on_in_the_next_part() -> None:
    items = "".join(f"1. {WORDS}\n" for _ in range(40))
    begins = [int(re.match(r"\d+", part.text)[0]) for part in parts(items)]  # type: ignore[index]
    counts = [part.text.count(WORDS) for part in parts(items)]
    assert len(begins) > 2
    assert begins == [1 + sum(counts[:number]) for number in range(len(counts))]


def test_a_long_table_has_its_headings_again_in_each_part() -> None:
    head = "| number | square |\n|---|---|\n"
    found = parts(head + "".join(f"| {number} | {number**2} |\n" for number in range(800)))
    assert len(found) > 1
    assert all(part.text.startswith(head) for part in found)


def test_a_line_without_an_end_is_cut_too() -> None:
    found = parts("na" * 20_000)
    assert [part.begins for part in found] == [None, *["line"] * (len(found) - 1)]
    assert max(len(part.text) for part in found) <= 2 * MOST
