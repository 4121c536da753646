"""The synthetic conversations that the built-in model learns from: the same seed gives the same conversations."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from random import Random

from demo import tool_talk
from demo.conversation import Conversation, question, reply, some_tools
from demo.phrases import about, inside, machine, more, options, system, talk, use
from demo.phrases.intent import Intent
from demo.wording import FRAMES, UNSEEN_FRAMES, UNSEEN_PREFIXES, expanded, filled, plain, spoken
from g4local.core.messages import Message


@cache
def intents() -> tuple[Intent, ...]:
    """Everything that can be asked without a tool, except what the model can't know."""
    tables = (about.INTENTS, use.INTENTS, options.INTENTS, inside.INTENTS, machine.INTENTS, talk.INTENTS)
    return tuple(
        replace(intent, questions=intent.questions + more.MORE[intent.name]) for table in tables for intent in table
    )


@cache
def reserved() -> frozenset[str]:
    """The words of the questions that are for the evaluation only; a training question that hits one is drawn again."""
    return frozenset(plain(question) for intent in (*intents(), talk.UNKNOWN) for question in intent.unseen)


def training(seed: str) -> Iterator[Conversation]:
    """Endless conversations in the wordings of the training set."""
    random = Random(seed)
    while True:
        yield _several_turns(random)


def held_out(seed: str, kind: str) -> Iterator[Conversation]:
    """Endless one-turn conversations in wordings that `training` never uses; kind is "intent" or "tool"."""
    random = Random(seed)
    while True:
        made = _intent_turn(random, unseen=True) if kind == "intent" else tool_talk.conversation(random, unseen=True)
        if kind == "intent" and random.random() < 0.5:
            made.tools = some_tools(random)
        made = _thinking(made, random.random() < 0.25)
        if random.random() < 0.25:
            made.messages.insert(0, Message("system", random.choice(system.UNSEEN_SYSTEM)))
        yield made


def _several_turns(random: Random) -> Conversation:
    whole = _turn(random)
    thinking = random.random() < 0.2
    more = random.choices(range(6), (80, 15, 5, 0, 0, 0) if thinking else (20, 20, 20, 20, 12, 8))[0]
    for _ in range(more):
        following = tool_talk.follow_up(random, whole) if random.random() < 0.3 else None
        following = following or _turn(random, declared=whole.tools)
        whole = replace(following, messages=whole.messages + following.messages, tools=whole.tools)
    whole = _thinking(whole, thinking)
    if random.random() < 0.2:
        whole.messages.insert(0, Message("system", filled(random.choice(system.SYSTEM), random)))
    return whole


def _thinking(conversation: Conversation, thinking: bool) -> Conversation:
    """The conversation with its thoughts, or without them."""
    if thinking:
        return replace(conversation, thinking=True)
    return replace(conversation, messages=[replace(message, thought="") for message in conversation.messages])


def _turn(random: Random, declared: tuple[str, ...] | None = None) -> Conversation:
    """One turn; in a conversation that goes on, tools are those `declared` at its beginning."""
    if random.random() < 0.5:
        made = tool_talk.conversation(random, unseen=False)
        if declared is None or (made.call is not None and made.call.name in declared):
            return made
        if made.intent.startswith("no ") and made.intent[3:] not in declared:
            return made
    made = _unknown_turn(random) if random.random() < 0.13 else _intent_turn(random, unseen=False)
    made.tools = some_tools(random) if random.random() < 0.45 else ()
    return made


def _intent_turn(random: Random, unseen: bool) -> Conversation:
    known = intents()
    intent = random.choice((*known, talk.UNKNOWN) if unseen else known)
    if not unseen:
        return _answered(intent, _fresh(lambda: _question(intent, random, False), random), random)
    return _answered(intent, spoken(_question(intent, random, True), random, UNSEEN_PREFIXES), random)


def _fresh(question: Callable[[], str], random: Random) -> str:
    """A question as somebody types it, drawn again while it is reserved."""
    while True:
        asked = question()
        said = spoken(asked, random)
        if not reserved() & {plain(asked), plain(said)}:
            return said


def _question(intent: Intent, random: Random, unseen: bool) -> str:
    if intent.tasks and random.random() < (0.5 if unseen else min(0.5, len(intent.tasks) / 10 + 0.1)):
        frames = UNSEEN_FRAMES if unseen else FRAMES
        frame = "[T]" if not unseen and random.random() < 0.08 else expanded(random.choice(frames), random)
        return frame.replace("[T]", expanded(random.choice(intent.tasks), random))
    templates = intent.unseen if unseen else intent.questions or intent.tasks
    return expanded(random.choice(templates), random)


def _unknown_turn(random: Random) -> Conversation:
    templates = (*talk.UNKNOWN.questions, *more.UNKNOWN)
    said = _fresh(lambda: filled(expanded(random.choice(templates), random), random), random)
    if random.random() < 0.1:
        said = f"{random.choice(talk.TASKS_WITH_TEXT)}\n\n{tool_talk.some_lines(random, random.randint(1, 6))}"
    return _answered(talk.UNKNOWN, said, random)


def _answered(intent: Intent, said: str, random: Random) -> Conversation:
    ending = "I say so." if intent is talk.UNKNOWN else "I know that."
    thought = f"This is about {intent.about}. {ending}"
    return Conversation([question(said), reply(random.choice(intent.answers), thought)], intent=intent.name)
