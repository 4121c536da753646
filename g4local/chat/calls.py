"""From a tool call to its result, and which calls of a history still wait for one."""

import json
import re
from collections.abc import Callable, Sequence
from threading import Event as Wish

from g4local.core.events import ToolResult
from g4local.core.messages import Json, Message, ToolCall
from g4local.tools.tool import Tool, ToolError, validate

Approve = Callable[[ToolCall], bool]
"""Asks whether a tool may run; a ToolError gives another reason why not than the user's no."""

_NUMBER = re.compile(r"[0-9]{1,15}")

WRONG_ARGUMENTS = "the arguments of {} are wrong: "
"""How a call's failure begins whose arguments its schema forbids."""

CANCELLED = ToolResult("cancelled by the user", ok=False)
NOT_RUN = ToolResult("not run", ok=False)


def refuse(call: ToolCall) -> bool:
    """Let no tool run."""
    return False


def unanswered(messages: Sequence[Message]) -> list[ToolCall]:
    """The calls at the end of a history that have no result yet, in order."""
    answers: list[str] = []
    for message in reversed(messages):
        if message.role == "tool":
            answers.append(message.tool_call_id)
            continue
        calls = [] if message.tool_responses else list(message.tool_calls)
        for answer in answers:
            answered = next((call for call in calls if call.id == answer), None)
            if answered:
                calls.remove(answered)
        return calls
    return []


def spoken(messages: Sequence[Message]) -> list[Message]:
    """A history without the replies at its end that said nothing: a thought that was cut off is no answer yet."""
    last = len(messages)
    while last and _is_silent(messages[last - 1]):
        last -= 1
    return list(messages[:last])


def _is_silent(message: Message) -> bool:
    said = message.text or message.tool_calls or message.tool_responses
    return message.role == "assistant" and not said


def next_number(messages: Sequence[Message]) -> int:
    """The number of the next call, above those of all calls so far; some of these may have been taken out."""
    ids = [call.id.removeprefix("call_") for message in messages for call in message.tool_calls]
    return max([len(ids), *(int(number) + 1 for number in ids if _NUMBER.fullmatch(number))])


def answer(call: ToolCall, result: ToolResult) -> Message:
    """A call's result as the message that tells the model."""
    value = result.value if isinstance(result.value, str) else json.dumps(result.value, ensure_ascii=False, default=str)
    return Message("tool", value if result.ok else f"error: {value}", tool_call_id=call.id, name=call.name)


def outcome(call: ToolCall, tools: Sequence[Tool], approve: Approve, cancel: Wish) -> ToolResult:
    """Run a call, if it can and may be run; whatever goes wrong is a result."""
    tool = next((each for each in tools if each.name == call.name), None)
    if tool is None:
        return _failure(
            f"there is no tool {call.name!r}; there are: {', '.join(each.name for each in tools) or 'none'}"
        )
    complaint = validate(tool, call.arguments)
    if complaint is not None:
        return _failure(WRONG_ARGUMENTS.format(call.name) + complaint)
    try:
        approved = approve(call)
        if cancel.is_set():
            return CANCELLED
        if not approved:
            return _failure("refused by the user")
        return ToolResult(_plain(tool.run(call.arguments, cancel)), ok=True)
    except ToolError as error:
        return _failure(error.message)
    except Exception as error:  # a tool is somebody else's code: its failure is told to the model and ends no turn
        return _failure(f"{type(error).__name__}: {error}")


def _plain(value: Json) -> Json:
    """What a tool gave, as JSON whatever it is; ValueError or RecursionError for what holds itself."""
    if isinstance(value, str):
        return value
    plain: Json = json.loads(json.dumps(value, default=str), parse_constant=str)
    return plain


def _failure(message: str) -> ToolResult:
    return ToolResult(message, ok=False)
