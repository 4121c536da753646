"""Messages and tools as the prompt that Gemma 4 was trained on.

Joined, the segments are byte for byte what Google's chat templates of 2026-07-09 render: `large` is the one of 12B,
26B-A4B and 31B, `edge` the one of E2B and E4B. Special segments are only what the template itself writes; markup that
a user, a file, a tool or an earlier reply spells out stays text.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from g4local.backend.engine import EngineInfo
from g4local.chat.declarations import declare
from g4local.chat.toolcalls import write, write_pairs, write_value
from g4local.core.errors import UsageError
from g4local.core.messages import Media, Message, Role, Text, ToolResponse
from g4local.core.prompt import Segment, joined

Variant = Literal["large", "edge"]

_TURN = Segment("<|turn>", special=True)
_TURN_END = Segment("<turn|>", special=True)
_CHANNEL = Segment("<|channel>", special=True)
_CHANNEL_END = Segment("<channel|>", special=True)
_TOOL_CALL = Segment("<|tool_call>", special=True)
_TOOL_CALL_END = Segment("<tool_call|>", special=True)
_TOOL_RESPONSE = Segment("<|tool_response>", special=True)
_TOOL_RESPONSE_END = Segment("<tool_response|>", special=True)


def render(
    messages: Sequence[Message],
    *,
    tools: Sequence[Mapping[str, Any]] = (),
    variant: Variant,
    enable_thinking: bool = False,
    preserve_thinking: bool = False,
    add_generation_prompt: bool = True,
) -> list[Segment]:
    """The prompt for the next reply; UsageError where a message or a tool can't be told to the model.

    Thoughts of earlier turns are dropped; `preserve_thinking` keeps those that led to tool calls. The start of the
    running model turn is marked restorable, since the next turn's prompt parts from this one there; so is that of the
    last question.
    """
    instructed = bool(messages) and messages[0].role in ("system", "developer")
    turns = messages[1:] if instructed else messages
    segments = [Segment("<bos>", special=True)]
    if enable_thinking or tools or instructed:
        segments += _system_turn(messages[0] if instructed else None, tools, enable_thinking)
    last_question = max((i for i, message in enumerate(turns) if message.role == "user"), default=-1)
    for index, message in enumerate(turns):
        if message.role != "tool":
            keep_thought = index > last_question or (preserve_thinking and bool(message.tool_calls))
            segments += _message(turns, index, keep_thought)
    if add_generation_prompt:
        segments += _generation_prompt(turns, variant, enable_thinking)
    return _restorable(_merged(segments))


def before_last_turn(segments: Sequence[Segment]) -> list[Segment]:
    """A prompt without its last turn."""
    last = max((i for i, segment in enumerate(segments) if segment.special and segment.text == _TURN.text), default=0)
    return list(segments[:last])


def markup(text: str, special_tokens: Collection[str]) -> list[Segment]:
    """A raw prompt, split at the special tokens that it spells out."""
    if not special_tokens:
        return _merged([Segment(text)])
    names = sorted(special_tokens, key=len, reverse=True)
    pieces = re.split(f"({'|'.join(map(re.escape, names))})", text)
    return _merged(Segment(piece, special=index % 2 == 1) for index, piece in enumerate(pieces))


def variant_of(info: EngineInfo) -> Variant:
    """The template that a loaded model was trained with."""
    return "edge" if info.per_layer_embeddings else "large"


def _system_turn(
    message: Message | None, tools: Sequence[Mapping[str, Any]], enable_thinking: bool
) -> Iterable[Segment]:
    yield from (_TURN, Segment("system\n"))
    if enable_thinking:
        yield from (Segment("<|think|>", special=True), Segment("\n"))
    if message is not None:
        yield Segment(_instructions(message))
    for tool in tools:
        yield from (Segment("<|tool>", special=True), *declare(tool), Segment("<tool|>", special=True))
    yield from (_TURN_END, Segment("\n"))


def _instructions(message: Message) -> str:
    if isinstance(message.content, str):
        return message.content.strip()
    if any(isinstance(part, Media) for part in message.content):
        raise UsageError("A system message holds an image, a sound or a film.", "Put it into the user's message.")
    return "".join(f"{part.text.strip()} " for part in message.content if isinstance(part, Text))


def _message(turns: Sequence[Message], index: int, keep_thought: bool) -> list[Segment]:
    message = turns[index]
    segments: list[Segment] = []
    if not (message.role == "assistant" and _neighbour(turns, index, -1) == "assistant"):
        segments += [_TURN, Segment("model\n" if message.role == "assistant" else f"{message.role}\n")]
    if message.thought and keep_thought:
        segments += [_CHANNEL, Segment(f"thought\n{message.thought}\n"), _CHANNEL_END]
    for call in message.tool_calls:
        segments += [_TOOL_CALL, *write(call), _TOOL_CALL_END]
    results = _results(turns, index)
    content = _content(message)
    return [*segments, *results, *content, *_closing(turns, index, bool(results), bool(joined(content).strip()))]


def _neighbour(turns: Sequence[Message], index: int, step: Literal[-1, 1]) -> Role | None:
    """The role of the next message in that direction that is no tool's."""
    index += step
    while 0 <= index < len(turns):
        if turns[index].role != "tool":
            return turns[index].role
        index += step
    return None


def _results(turns: Sequence[Message], index: int) -> list[Segment]:
    """What the tools answered: kept inside the message, or in the tool messages right after it."""
    message = turns[index]
    if message.tool_responses:
        return [segment for answer in message.tool_responses for segment in _response(answer)]
    segments: list[Segment] = []
    if message.tool_calls:
        for answer in turns[index + 1 :]:
            if answer.role != "tool":
                break
            names = [call.name for call in message.tool_calls if call.id == answer.tool_call_id]
            segments += _response(ToolResponse(names[-1] if names else answer.name, answer.text))
            segments += _media(answer)
    return segments


def _response(answer: ToolResponse) -> list[Segment]:
    value = answer.response
    pairs = write_pairs(value) if isinstance(value, Mapping) else [Segment("value:"), *write_value(value)]
    return [_TOOL_RESPONSE, Segment(f"response:{answer.name or 'unknown'}{{"), *pairs, Segment("}"), _TOOL_RESPONSE_END]


def _media(message: Message) -> list[Segment]:
    parts = () if isinstance(message.content, str) else message.content
    return [Segment(f"<|{part.kind}|>", special=True) for part in parts if isinstance(part, Media)]


def _content(message: Message) -> list[Segment]:
    parts = (Text(message.content),) if isinstance(message.content, str) else message.content
    return [
        Segment(f"<|{part.kind}|>", special=True)
        if isinstance(part, Media)
        else Segment(_without_thoughts(part.text) if message.role == "assistant" else part.text.strip())
        for part in parts
    ]


def _without_thoughts(text: str) -> str:
    return "".join(part.split(_CHANNEL.text)[0] for part in text.split(_CHANNEL_END.text)).strip()


def _closing(turns: Sequence[Message], index: int, has_results: bool, has_content: bool) -> list[Segment]:
    """The end of the turn, unless the model goes on in it."""
    message = turns[index]
    following = _neighbour(turns, index, 1)
    if message.tool_calls and not has_results:
        return [_TOOL_RESPONSE]
    if message.role == "assistant" and following == "assistant":
        return []
    if has_results and not has_content and following is None:
        return []
    return [_TURN_END, Segment("\n")]


def _generation_prompt(turns: Sequence[Message], variant: Variant, enable_thinking: bool) -> list[Segment]:
    last = next((i for i in reversed(range(len(turns))) if turns[i].role != "tool"), None)
    if last is not None and _results(turns, last):
        return [_CHANNEL, Segment("thought\n")] if enable_thinking else []
    if last is not None and turns[last].tool_calls:
        return []
    opening = [_TURN, Segment("model\n")]
    if variant == "large" and not enable_thinking:
        opening += [_CHANNEL, Segment("thought\n"), _CHANNEL_END]
    return opening


def _merged(segments: Iterable[Segment]) -> list[Segment]:
    """Neighbouring texts as one, so that they are tokenized together; empty ones left out."""
    merged: list[Segment] = []
    for segment in segments:
        if merged and not segment.special and not merged[-1].special:
            merged[-1] = Segment(merged[-1].text + segment.text)
        elif segment.special or segment.text:
            merged.append(segment)
    return merged


def _restorable(segments: list[Segment]) -> list[Segment]:
    """Marks the end of the last `<|turn>model` line, where no text follows it that had to be tokenized with it.

    And the beginning of the last question, which may be edited, or follow what other conversations begin with too.
    """
    last = _last_turn(segments, "")
    if last is not None and segments[last + 1] == Segment("model\n"):
        segments[last + 1] = replace(segments[last + 1], restorable=True)
    question = _last_turn(segments, "user\n")
    if question is not None:
        segments[question] = replace(segments[question], restorable=True)
    return segments


def _last_turn(segments: Sequence[Segment], beginning: str) -> int | None:
    """Where the last turn opens whose text begins so."""
    return next(
        (
            i
            for i in reversed(range(len(segments) - 1))
            if segments[i] == _TURN and segments[i + 1].text.startswith(beginning)
        ),
        None,
    )
