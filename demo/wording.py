"""From a template to what a person may type: alternatives, frames, prefixes, typing errors, capitals."""

import re
import string
from random import Random

from demo.phrases.talk import NAMES, NOUNS, PLACES

FRAMES = (
    "how do i [T]",
    "how can i [T]",
    "how to [T]",
    "how do you [T]",
    "how does one [T]",
    "how would you [T]",
    "what do i {type|do|have to do|need} to [T]",
    "what is the {command|way|best way} to [T]",
    "which command do i {need|use} to [T]",
    "{show|tell} me how to [T]",
    "{can|could} you {show me|tell me|explain} how to [T]",
    "explain how to [T]",
    "i want to [T]",
    "i would like to [T]",
    "i need to [T]",
    "can i [T]",
    "is it possible to [T]",
    "what must i do to [T]",
    "let me [T]",
    "help me [T]",
    "[T]",
    "where do i [T]",
    "i don't know how to [T]",
    "i can't [T]",
    "is there {any|some} way to [T]",
    "{any|some} idea how to [T]",
    "do you {know|have an idea} how {to|i could|i can} [T]",
    "i am {going|about} to [T]",
    "i {try|wish|have|plan|hope} to [T]",
    "i'd like to [T]",
    "trying to [T]",
    "what {steps|things} {do i need|must i take} to [T]",
    "the {steps|way|command} to [T]",
    "could you help me [T]",
    "can you help me to [T]",
    "{please|would you} help me to [T]",
    "how would i [T]",
    "how should i [T]",
    "what if i want to [T]",
    "{suppose|let's say} i want to [T]",
    "my friend wants to [T]",
    "{teach|explain} me to [T]",
    "when i want to [T], what do i do",
    "which option is there to [T]",
)
UNSEEN_FRAMES = (
    "is there a way to [T]",
    "any idea how i could [T]",
    "i am trying to [T]",
    "what are the steps to [T]",
    "could you help me to [T]",
)
LEAD_INS = (
    "i have a question: ",
    "another question: ",
    "tell me, ",
    "do you know: ",
    "one more thing, ",
    "i was wondering, ",
    "my friend asks: ",
    "next: ",
    "can you tell me, ",
    "actually, ",
    "right, ",
    "yes, but ",
    "good morning, ",
    "great, ",
    "look, ",
    "dear model, ",
)
PREFIXES = (
    *LEAD_INS,
    "hey, ",
    "please ",
    "hello, ",
    "hi! ",
    "ok, ",
    "so ",
    "quick question: ",
    "sorry, ",
    "um, ",
    "and ",
    "hi ",
    "please, ",
    "now ",
    "one question: ",
    "thanks. ",
)
SUFFIXES = (
    " please",
    ", please",
    " thanks",
    " now",
    " with g4local",
    " in g4local",
    " here",
    " again",
    ", thanks",
    " g4local",
)
UNSEEN_PREFIXES = ("excuse me, ", "well, ", "listen, ", "good. ")

_ALTERNATIVES = re.compile(r"\{([^{}]*)\}")
_WILDCARD = re.compile(r"\b(NOUN|PLACE|NAME|NUMBER|GIBBERISH)\b")
_WORDS = re.compile(r"[^\s.,!?]+")
_TYPING = re.compile(r"(?<![\w\[\-/_.])[a-z]{4,}(?![\w\]\-/_.])")


def expanded(template: str, random: Random) -> str:
    """One of the texts that a template stands for."""
    while match := _ALTERNATIVES.search(template):
        if "|" not in match.group(1):
            return template
        choice = random.choice(match.group(1).split("|"))
        template = template[: match.start()] + choice + template[match.end() :]
    return " ".join(template.split(" ")).strip(" ").replace("  ", " ")


def filled(template: str, random: Random) -> str:
    """The template with NOUN, PLACE, NAME, NUMBER and GIBBERISH replaced."""
    makers = {
        "NOUN": lambda: random.choice(NOUNS),
        "PLACE": lambda: random.choice(PLACES),
        "NAME": lambda: random.choice(NAMES),
        "NUMBER": lambda: str(random.randrange(1, 10 ** random.randint(1, 4))),
        "GIBBERISH": lambda: gibberish(random),
    }
    return _WILDCARD.sub(lambda match: makers[match.group(1)](), template)


def gibberish(random: Random) -> str:
    """A word that is none."""
    if random.random() < 0.3:
        return "".join(random.choices(string.ascii_lowercase, k=random.randint(3, 8)))
    syllables = random.randint(1, 3)
    return "".join(
        random.choice("bdfgklmnprstvwz") + random.choice("aeiou") + random.choice(["", "", "n", "r", "s"])
        for _ in range(syllables)
    )


def spoken(text: str, random: Random, prefixes: tuple[str, ...] = PREFIXES) -> str:
    """The text as somebody types it; names in [brackets], paths and flags stay as they are."""
    if random.random() < 0.15:
        text = random.choice(prefixes) + text
    if random.random() < 0.06:
        text += random.choice(SUFFIXES)
    if random.random() < 0.12:
        text = _mistyped(text, random)
    style = random.random()
    if style < 0.5:
        text = re.sub(r"\bi\b", "I", text)
    if style < 0.6:
        text = text[0].upper() + text[1:] if not text.startswith(("[", "--", "ls ", "cat ")) else text
    end = random.random()
    return text + ("?" if end < 0.5 else "." if end < 0.57 else "!" if end < 0.6 else " ?" if end < 0.61 else "")


def plain(text: str) -> str:
    """The words of a text without capitals and punctuation: what makes two questions the same."""
    return " ".join(_WORDS.findall(text.lower()))


def pattern(template: str) -> re.Pattern[str]:
    """What matches every text of a template before typing errors: for the proof that a wording is unseen."""
    escaped = re.escape(template).replace(r"\{", "(?:").replace(r"\}", ")").replace(r"\|", "|")
    return re.compile(_WILDCARD.sub(r"[\\w ]+", escaped).replace(r"\ ", " *"))


def _mistyped(text: str, random: Random) -> str:
    words = list(_TYPING.finditer(text))
    if not words:
        return text
    word = random.choice(words)
    letters = list(word.group())
    place = random.randrange(1, len(letters) - 1)
    match random.randrange(3):
        case 0:
            letters[place], letters[place + 1] = letters[place + 1], letters[place]
        case 1:
            del letters[place]
        case _:
            letters.insert(place, letters[place])
    return text[: word.start()] + "".join(letters) + text[word.end() :]
