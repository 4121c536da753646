"""Markdown as a model says it, read so that nothing is hidden in it and nothing in it can steer a terminal.

HTML is text, the address of a link stands behind it, and so does that of an image.
"""

from collections.abc import Iterable, Sequence
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

from g4local.core.visible import in_one_line, printable


@cache
def parser() -> MarkdownIt:
    """GitHub's Markdown without HTML, and without references, whose definitions would not be shown."""
    markdown = MarkdownIt("gfm-like", {"html": False}).disable("reference")
    markdown.core.ruler.push("nothing_hidden", _nothing_hidden)
    return markdown


def code_blocks(text: str) -> list[str]:
    """The code of each block of code of a text, in order."""
    return [token.content for token in parser().parse(text) if token.type in ("fence", "code_block")]


def _nothing_hidden(state: StateCore) -> None:
    for token in state.tokens:
        token.info = in_one_line(token.info.strip())
        token.content = printable(token.content)
        if token.children:
            token.children = list(_shown(token.children))


def _shown(children: Sequence[Token]) -> Iterable[Token]:
    """The parts of a paragraph, with a text for each address that is not shown yet."""
    address, said = "", ""
    for child in children:
        child.content = printable(child.content)
        if child.type == "image":
            yield _text(f"[image: {child.content}] ({_address(child, 'src')})")
            continue
        if child.type == "link_open":
            address, said = _address(child, "href"), ""
        said += child.content
        yield child
        if child.type == "link_close" and said not in (address, *_without_scheme(address)):
            yield _text(f" ({address})")


def _without_scheme(address: str) -> tuple[str, ...]:
    return tuple(address.removeprefix(scheme) for scheme in ("http://", "mailto:"))


def _address(token: Token, attribute: str) -> str:
    return in_one_line(str(token.attrs.get(attribute, "")))


def _text(text: str) -> Token:
    return Token("text", "", 0, content=text)
