from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, repeat
from threading import Event as Wish
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from g4local.chat.calls import spoken, unanswered
from g4local.chat.conversation import Conversation, ConversationOptions
from g4local.core.errors import G4Error
from g4local.core.events import Event, ThoughtDelta, TurnFinished
from g4local.core.messages import Message
from g4local.core.progress import silent
from g4local.core.prompt import Segment
from tests.chat.talk import ADD, TOOLS, call, text_of
from tests.fakes import INFO, Reply, ScriptedEngine

TEXTS = (
    "",
    "One two.",
    "<|channel>thought\nHm.<channel|>Yes.",
    "<|channel>thought\nStill thinking",
    "<channel|>Yes.",
    ADD,
    ADD + call("add{left:4}"),
    "Let me see. " + ADD,
    "<|channel>thought\nHm.<channel|>Well. " + ADD + ADD,
    ADD + "What now?",
    call("nothing{}"),
    call('add{left:<|"|>x<|"|>}'),
    call('fail{how:<|"|>loudly<|"|>}'),
    call("add(1)"),
    "Sure. " + call("add(1)") + ADD,
)


@dataclass(frozen=True)
class Act:
    """Something that a user does, and what comes of it."""

    kind: Literal["say", "resume", "retry", "rewind"]
    replies: tuple[Reply, ...]
    approvals: tuple[bool | None, ...]
    """What is answered when a tool wants to run; None cancels."""
    listens_to: int
    """Events after which the front end stops listening."""


SELDOM = st.sampled_from([None] * 60 + list(range(20)))
"""After how many pieces something happens that mostly doesn't."""

REPLIES = st.builds(
    Reply,
    st.sampled_from(TEXTS),
    st.sampled_from(["stop"] * 8 + ["length", "context"]),  # type: ignore[arg-type]
    dies_after=SELDOM,
    cancels_after=SELDOM,
    no_room=st.sampled_from([False] * 9 + [True]),
)
ACTS = st.builds(
    Act,
    st.sampled_from(["say", "say", "say", "resume", "retry", "rewind"]),  # type: ignore[arg-type]
    st.lists(REPLIES, max_size=4).map(tuple),
    st.lists(st.sampled_from([True, True, True, False, None]), max_size=4).map(tuple),
    st.sampled_from([2, 5, *[1000] * 10]),
)


@settings(max_examples=300)
@given(st.lists(ACTS, min_size=1, max_size=6), st.booleans(), st.integers(1, 4))
def test_whatever_happens_the_history_is_valid_and_the_next_question_is_answered(
    acts: list[Act], thinking: bool, max_rounds: int
) -> None:
    engine = ScriptedEngine([])
    approvals: list[Iterator[bool | None]] = []
    cancels: list[Wish] = []

    def approve(_: object) -> bool:
        answer = next(approvals[-1])
        if answer is None:
            cancels[-1].set()
        return bool(answer)

    options = ConversationOptions(thinking=thinking, max_rounds=max_rounds)
    chat = Conversation(engine, tools=TOOLS, approve=approve, options=options)
    for act in acts:
        engine.replies = [*act.replies, *["Enough."] * 10]
        approvals.append(chain(act.approvals, repeat(True)))
        cancels.append(Wish())
        length_before = len(spoken(chat.messages) if act.kind == "resume" else chat.messages)
        with suppress(G4Error):
            events = list(listened(did(chat, act, cancels[-1]), act.listens_to))
            if events and isinstance(events[-1], TurnFinished):
                start = last_question(chat.messages) if act.kind == "retry" else length_before
                assert_kept_as_shown(events, chat.messages[start:])
        assert_valid(chat.messages)
    engine.replies = ["At your service."]
    assert text_of(list(chat.say("Still there?", report=silent, cancel=Wish()))) == "At your service."
    assert chat.messages[-2:] == [Message("user", "Still there?"), Message("assistant", "At your service.")]
    assert not unanswered(chat.messages)
    for prompt in engine.prompt_segments:
        assert_asks_the_model(prompt, thinking=thinking)
    assert chat.prompt(INFO)


def did(chat: Conversation, act: Act, cancel: Wish) -> Iterator[Event]:
    match act.kind:
        case "say":
            return chat.say("A question", report=silent, cancel=cancel)
        case "resume":
            return chat.resume(report=silent, cancel=cancel)
        case "retry":
            return chat.retry(report=silent, cancel=cancel)
        case "rewind":
            questions = [index for index, message in enumerate(chat.messages) if message.role == "user"]
            chat.rewind(questions[-1] if questions else 0)
            return iter(())


def listened(events: Iterator[Event], count: int) -> Iterator[Event]:
    for number, event in enumerate(events):
        if number == count:
            events.close()  # type: ignore[attr-defined]
            return
        yield event


def assert_kept_as_shown(events: list[Event], kept: list[Message]) -> None:
    """The deltas of a turn add up to what its messages say."""
    said = [message for message in kept if message.role == "assistant"]
    assert "".join(message.text for message in said) == text_of(events)
    thoughts = [event.text for event in events if isinstance(event, ThoughtDelta)]
    assert "".join(message.thought for message in said) == "".join(thoughts)


def last_question(messages: Sequence[Message]) -> int:
    return max(index for index, message in enumerate(messages) if message.role == "user")


def assert_valid(messages: list[Message]) -> None:
    """Calls are answered once each, in the place where the template looks; only the last ones may wait."""
    ids = [each.id for message in messages for each in message.tool_calls]
    assert len(ids) == len(set(ids))
    open_ids: set[str] = set()
    previous: Message | None = None
    for message in messages:
        if message.role == "tool":
            open_ids.remove(message.tool_call_id)
            continue
        assert not open_ids
        assert message.role in ("user", "assistant")
        assert message.role == "user" or previous is not None
        if message.role == "assistant" and previous and previous.role == "assistant":
            assert previous.tool_calls or message.tool_calls
        open_ids = {each.id for each in message.tool_calls}
        previous = message
    assert open_ids == {each.id for each in unanswered(messages)}


def assert_asks_the_model(prompt: list[Segment], *, thinking: bool) -> None:
    """Each turn but the last is closed, each call has its result, and the last turn is the model's, still open."""
    specials = [segment.text for segment in prompt if segment.special]
    assert specials.count("<|tool_call>") == specials.count("<tool_call|>")
    assert specials.count("<|tool_call>") == specials.count("<|tool_response>") == specials.count("<tool_response|>")
    assert specials.count("<|turn>") == specials.count("<turn|>") + 1
    start = max(index for index, segment in enumerate(prompt) if segment == Segment("<|turn>", special=True))
    assert prompt[start + 1].text.startswith("model\n")
    assert Segment("<turn|>", special=True) not in prompt[start:]
    last_special = specials[-1]
    after_results = "<|tool_response>" in [segment.text for segment in prompt[start:] if segment.special]
    if after_results:
        assert last_special == ("<|channel>" if thinking else "<tool_response|>")
    else:
        assert last_special == ("<|turn>" if thinking else "<channel|>")
