"""Questions that a tool must answer: the question, the call, a result as the real tool writes it, and the answer."""

import re
from datetime import datetime, timedelta, timezone
from functools import cache
from random import Random
from threading import Event

from demo.conversation import Conversation, builtin_tools, call_and_result, question, reply, some_tools
from demo.phrases import about, inside, machine, options, talk, use
from demo.phrases import more_tools as more
from demo.phrases import tools as phrases
from demo.phrases.more import MORE
from demo.phrases.talk import NAMES, NOUNS
from demo.wording import PREFIXES, UNSEEN_PREFIXES, expanded, filled, gibberish, spoken
from g4local.core.messages import Json, Message, ToolCall
from g4local.tools.clock import told
from g4local.tools.registry import ToolError

MISSING = {
    "calculate": "I have no calculator here. Start with --tools (or --tool calculate) and I will work it out.",
    "clock": "I have no clock here. Start with --tools (or --tool clock) and I will look.",
    "list_files": "I can't see files here. Start with --tools (or --tool list_files) and I will look.",
    "read_file": "I can't read files here. Start with --tools (or --tool read_file) and I will read it.",
}
_ASKED = (50, 20, 12, 18)
"""How often the evaluation asks for a calculation, the time, a folder and a file."""
_TAUGHT = (38, 20, 18, 24)
"""How often training does: more names of files and folders, which are the hardest to copy."""
_MOST_NAMES = 6
_LETTERS = re.compile("[A-Za-z]+")
_REFUSED = "error: refused by the user"


def conversation(random: Random, unseen: bool) -> Conversation:
    """A question for a tool, with the tool declared or (sometimes) not."""
    maker = random.choices((_calculate, _clock, _list, _read), _ASKED if unseen else _TAUGHT)[0]
    made = maker(random, unseen)
    assert made.call is not None
    if random.random() < 0.12:
        name = made.call.name
        others = some_tools(random) if random.random() < 0.5 else ()
        made.tools = tuple(tool for tool in others if tool != name)
        thought = f"The user needs {name}, but I don't have it. I say so."
        made.messages = [made.messages[0], reply(MISSING[name], thought)]
        made.intent, made.call, made.facts = f"no {name}", None, ()
    else:
        made.tools = some_tools(random, made.call.name)
    return made


def follow_up(random: Random, previous: Conversation) -> Conversation | None:
    """A question that goes on with the result of the last calculation."""
    if previous.call is None or previous.call.name != "calculate" or previous.messages[-2].text.startswith("error"):
        return None
    first = previous.messages[-2].text
    if len(first) > 7:
        return None
    sign = random.choice("+-*/")
    second = str(number(random, False))
    said = _said(random, phrases.FOLLOW_UP[sign], {"B": second}, False)
    return _calculation(said, f"{first} {sign} {second}", random)


def number(random: Random, unseen: bool) -> int:
    """A number of 1 to 4 digits: for the evaluation one above 99 that leaves 5 when divided by 13, else any other."""
    while True:
        value = random.randrange(1, 10 ** random.choices((1, 2, 3, 4), (15, 40, 30, 15))[0])
        if unseen == (value > 99 and value % 13 == 5):
            return value


def _calculate(random: Random, unseen: bool) -> Conversation:
    kind = random.random()
    if kind < 0.68:
        sign = random.choice("+-*/")
        first, second = str(number(random, unseen)), str(number(random, unseen))
        if not unseen and random.random() < 0.06:
            first, second = str(random.randrange(13)), str(random.randrange(13))
        if not unseen and random.random() < 0.05:
            first += f".{random.randrange(1, 10)}"
        templates = phrases.UNSEEN_BINARY[sign] if unseen else phrases.BINARY[sign] + more.BINARY[sign]
        heard = _in_words((first, second)) if random.random() < 0.1 else (first, second)
        said = _said(random, templates, {"A": heard[0], "B": heard[1]}, unseen)
        return _calculation(said, f"{first} {sign} {second}", random)
    if kind < 0.9 or unseen:
        expression = _expression(random, unseen)
        shown = expression if random.random() < 0.75 else expression.replace(" ", "")
        templates = phrases.UNSEEN_EXPRESSION if unseen else phrases.EXPRESSION + more.EXPRESSION
        return _calculation(_said(random, templates, {"E": shown}, unseen), expression, random)
    first, second = str(random.randrange(1, 100)), str(number(random, unseen))
    if kind < 0.95:
        return _calculation(
            _said(random, phrases.PERCENT, {"A": first, "B": second}, unseen), f"{second} * {first} / 100", random
        )
    return _calculation(_said(random, phrases.SQUARE, {"A": second}, unseen), f"{second} ** 2", random)


def _in_words(numbers: tuple[str, str]) -> tuple[str, ...]:
    """Small numbers as words."""
    words = phrases.NUMBER_WORDS
    return tuple(words[int(n)] if n.isdigit() and int(n) < len(words) else n for n in numbers)


def _expression(random: Random, unseen: bool) -> str:
    first, second, third = (str(number(random, unseen)) for _ in range(3))
    one, two = random.choice("+-*/"), random.choice("+-*/")
    return random.choice(
        (
            f"{first} {one} {second}",
            f"{first} {one} {second} {two} {third}",
            f"({first} {one} {second}) {two} {third}",
            f"{first} {one} ({second} {two} {third})",
        )
    )


def _calculation(said: str, expression: str, random: Random) -> Conversation:
    try:
        result = str(_run("calculate", {"expression": expression}))
        answer = f"{expression} = {result}"
        facts = (result,)
    except ToolError as error:
        result = f"error: {error.message}"
        answer, facts = f"That did not work: {error.message}", (error.message,)
    return _answered(
        said,
        ToolCall("calculate", {"expression": expression}),
        result,
        (f"The user wants {expression}. I call calculate.", answer, facts),
        random,
    )


def _clock(random: Random, unseen: bool) -> Conversation:
    moment = datetime(2024, 1, 1) + timedelta(minutes=random.randrange(6 * 366 * 24 * 60))
    offset = timedelta(minutes=15 * random.randint(-40, 48) if random.random() < 0.3 else 60 * random.randint(-11, 13))
    result = told(moment.replace(tzinfo=timezone(offset)))
    day, time, _ = result.rsplit(", ", 2)
    if random.random() < 0.3:
        said = _said(random, phrases.UNSEEN_TIME if unseen else phrases.TIME + more.TIME, {}, unseen)
        return _answered(
            said,
            ToolCall("clock", {}),
            result,
            ("The user wants the time. I call clock.", f"It is {time} on {day}.", (time,)),
            random,
        )
    if random.random() < 0.35:
        said = _said(random, phrases.UNSEEN_DATE if unseen else phrases.DATE + more.DATE, {}, unseen)
        return _answered(
            said,
            ToolCall("clock", {}),
            result,
            ("The user wants the date. I call clock.", f"Today is {day}.", (day,)),
            random,
        )
    zone = random.choice(tuple(phrases.CITIES))
    place = zone if random.random() < 0.12 else random.choice(phrases.CITIES[zone].split("|"))
    shown = place.lower() if random.random() < 0.25 and "/" not in place else place
    said = _said(random, phrases.UNSEEN_TIME_IN if unseen else phrases.TIME_IN + more.TIME_IN, {"C": shown}, unseen)
    thought = f"The user wants the time in {place}. I call clock."
    return _answered(
        said,
        ToolCall("clock", {"zone": zone}),
        result,
        (thought, f"In {place} it is {time} on {day}.", (time,)),
        random,
    )


def _list(random: Random, unseen: bool) -> Conversation:
    names = sorted(
        {
            file_name(random, False) if random.random() < 0.8 else f"{_folder(random, False)}/"
            for _ in range(random.randint(0, 10) if random.random() < 0.93 else random.randint(11, 30))
        }
    )
    arguments, where = {}, ""
    if random.random() < 0.5:
        folder = _folder(random, unseen)
        arguments, where = {"folder": folder}, f" in {folder}"
        said = _said(
            random, phrases.UNSEEN_LIST_IN if unseen else phrases.LIST_IN + more.LIST_IN, {"D": folder}, unseen
        )
    else:
        said = _said(random, phrases.UNSEEN_LIST if unseen else phrases.LIST + more.LIST, {}, unseen)
    thought = f"The user wants the files{where}. I call list_files."
    call = ToolCall("list_files", arguments)
    if where and random.random() < 0.15:
        return _failed(said, call, f"There is no {folder!r} in the working folder.", thought, random)
    if not names:
        return _answered(said, call, "[the folder is empty]", (thought, "The folder is empty.", ("empty",)), random)
    shown = ", ".join(names[:_MOST_NAMES]) + (" and more" if len(names) > _MOST_NAMES else "")
    return _answered(said, call, "\n".join(names), (thought, f"I see {shown}.", tuple(names[:_MOST_NAMES])), random)


def _read(random: Random, unseen: bool) -> Conversation:
    path = random.choice(phrases.UNSEEN_FILES) if unseen else file_name(random, True)
    said = _said(random, phrases.UNSEEN_READ if unseen else phrases.READ + more.READ, {"F": path}, unseen)
    thought = f"The user wants to know what is in {path}. I call read_file."
    call = ToolCall("read_file", {"path": path})
    if random.random() < 0.15:
        problem = random.choice(
            (f"There is no {path!r} in the working folder.", f"{path!r} is a folder.", f"{path!r} is a binary file.")
        )
        return _failed(said, call, problem, thought, random)
    count = random.choices((0, 1, 2, 3, 5, 12, 40), (4, 30, 25, 20, 15, 4, 2))[0]
    text = some_lines(random, count)
    if not text:
        return _answered(said, call, "", (thought, f"{path} is empty.", ("empty",)), random)
    verb = "says" if count == 1 else "begins"
    first = text.partition("\n")[0]
    text += "\n" if random.random() < 0.7 else ""
    return _answered(said, call, text, (thought, f'{path} {verb}: "{first}"', (first,)), random)


def some_lines(random: Random, count: int) -> str:
    """The text of a made-up file."""
    return "\n".join(filled(random.choice(phrases.LINES), random) for _ in range(count))


def file_name(random: Random, with_folder: bool) -> str:
    """A made-up file name."""
    stem = _stem(random, phrases.FILE_STEMS)
    if random.random() < 0.25:
        stem += random.choice("-_") + _stem(random, phrases.FILE_STEMS)
    if random.random() < 0.2:
        stem += str(random.randrange(1, 10 ** random.randint(1, 4)))
    name = stem + (random.choice(phrases.EXTENSIONS) if random.random() < 0.95 else "")
    name = name.upper() if random.random() < 0.03 else name
    return f"{_folder(random, False)}/{name}" if with_folder and random.random() < 0.15 else name


def _folder(random: Random, unseen: bool) -> str:
    if unseen:
        return random.choice(phrases.UNSEEN_FOLDERS)
    name = _stem(random, phrases.FOLDERS)
    if random.random() < 0.2:
        name += random.choice("-_/") + _stem(random, phrases.FOLDERS)
    return name


def _stem(random: Random, usual: tuple[str, ...]) -> str:
    """What a name is made of: a usual word, any word, a person, or none at all."""
    kind = random.random()
    if kind < 0.25:
        return random.choice(usual)
    if kind < 0.7:
        return random.choice(_words())
    return random.choice(NAMES) if kind < 0.75 else gibberish(random)


@cache
def _words() -> tuple[str, ...]:
    """All words that people and the model say, except those that name a file or folder of the evaluation."""
    tables = (about, use, options, inside, machine, talk)
    said = [text for table in tables for intent in table.INTENTS for text in (*intent.questions, *intent.answers)]
    said += [text for texts in MORE.values() for text in texts] + list(NOUNS)
    reserved = {stem for name in (*phrases.UNSEEN_FILES, *phrases.UNSEEN_FOLDERS) for stem in _LETTERS.findall(name)}
    return tuple(sorted({word for text in said for word in _LETTERS.findall(text) if len(word) > 2} - reserved))


def _said(random: Random, templates: tuple[str, ...], slots: dict[str, str], unseen: bool) -> str:
    text = spoken(expanded(random.choice(templates), random), random, UNSEEN_PREFIXES if unseen else PREFIXES)
    for name, value in slots.items():
        text = text.replace(f"[{name}]", value)
    return text


def _failed(said: str, call: ToolCall, problem: str, thought: str, random: Random) -> Conversation:
    return _answered(said, call, f"error: {problem}", (thought, f"That did not work: {problem}", (problem,)), random)


def _answered(
    said: str, call: ToolCall, result: str, words: tuple[str, str, tuple[str, ...]], random: Random
) -> Conversation:
    """The whole turn; `words` are the thought before the call, the answer, and what the answer must contain."""
    thought, answer, facts = words
    if random.random() < 0.04:
        result, answer, facts = _REFUSED, f"You did not allow {call.name}, so I can't say.", ("not allow",)
    afterwards = "It did not work. I say so." if result.startswith("error") else "I have the result. I tell it."
    messages: list[Message] = [
        question(said),
        *call_and_result(call.name, dict(call.arguments), result, thought),
        reply(answer, afterwards),
    ]
    return Conversation(messages, intent=call.name, call=call, facts=facts)


def _run(name: str, arguments: dict[str, Json]) -> Json:
    return next(tool.run(arguments, Event()) for tool in builtin_tools() if tool.name == name)
