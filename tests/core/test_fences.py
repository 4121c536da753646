"""Blocks of code, read by a parser of Markdown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from g4local.core.fences import fenced


@given(st.text(alphabet="`~ab \n", max_size=40))
def test_no_text_closes_its_own_fence(text: str) -> None:
    [block] = MarkdownIt().parse(fenced(text, "md"))
    assert (block.type, block.info, block.content) == ("fence", "md", f"{text}\n")


@pytest.mark.parametrize(("text", "fence"), [("a", "```"), ("`a` ```python", "````"), ("`````", "``````")])
def test_a_fence_is_as_long_as_it_must_be(text: str, fence: str) -> None:
    assert fenced(text) == f"{fence}\n{text}\n{fence}"
