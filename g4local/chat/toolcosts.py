"""What it costs to tell a model of its tools: tokens of each prompt, and with that of the context."""

from collections.abc import Callable, Sequence

from g4local.chat.declarations import declare
from g4local.core.errors import TooManyTools
from g4local.core.prompt import Segment
from g4local.tools.tool import Tool, declaration

Count = Callable[[list[Segment]], int]
"""Counts the tokens of segments."""

_MOST = 0.5
"""Of the context, that tools may take; what is left is for the conversation."""


def told(tool: Tool) -> list[Segment]:
    """What a model is told of a tool, as it stands in the prompt."""
    return [Segment("<|tool>", special=True), *declare(declaration(tool)), Segment("<tool|>", special=True)]


def cost(tool: Tool, count: Count) -> int:
    """The tokens of what a model is told of a tool."""
    return count(told(tool))


def check(tools: Sequence[Tool], context: int, count: Count) -> None:
    """TooManyTools where the tools leave less than half of a context of so many tokens."""
    total = count([segment for tool in tools for segment in told(tool)]) if tools else 0
    if total <= _MOST * context:
        return
    costs = {tool.name: cost(tool, count) for tool in tools}
    dearest = sorted(costs, key=lambda name: -costs[name])[:3]
    raise TooManyTools(
        f"The {len(tools)} tools take {total:,} of the context's {context:,} tokens "
        f"({', '.join(f'{name} {costs[name]:,}' for name in dearest)}{', ...' if len(tools) > len(dearest) else ''}).",
        "Offer fewer (--tool NAME, or /tools in a chat), or load the model with a larger context (--ctx).",
    )
