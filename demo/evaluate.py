"""Ask the model what training never asked, and count: `python -m demo.evaluate --quant Q8_0 [--sampled]`.

The checkpoint is converted and run by g4local itself. Figures are shares of all questions of a kind; an answer is
right when it is one of the intent's to the letter, a call when its name and arguments are exact. With `--offer` every
question has tools that the model was not trained with.
"""

import argparse
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event

from demo import conversations, encoding
from demo.conversation import LEARNT, Conversation
from demo.phrases import talk
from demo.tool_talk import MISSING
from demo.vocabulary import END_IDS, SPACE, SPECIAL, special_id
from g4convert.convert import convert
from g4local.backend.client import WorkerEngine
from g4local.backend.engine import LoadOptions, Piece, Sampling
from g4local.chat.toolcalls import parse
from g4local.core.messages import ToolCall
from g4local.core.progress import silent
from g4local.core.prompt import Segment
from g4local.tools.registry import Tool, builtin, harmless

SHIPPED = Path(__file__).parents[1] / "g4local" / "demo"
LONGEST_REPLY = 160

FORECAST = Tool(
    "weather__forecast",
    "Tell what the weather will be in a city.",
    {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "The city, with its country where there are several."},
            "days": {"type": "integer", "description": "How many days to look ahead.", "minimum": 1, "maximum": 14},
        },
        "required": ["city"],
    },
    lambda arguments, cancel: "",
    changes=True,
    source="MCP server weather",
    served=True,
)
"""A tool as an MCP server may offer it."""

_BUILTIN = builtin(Path())
OFFERED: dict[str, tuple[Tool, ...]] = {
    "learnt": tuple(tool for tool in _BUILTIN if tool.name in LEARNT),
    "harmless": harmless(_BUILTIN),
    "all": _BUILTIN,
    "mcp": (*_BUILTIN, FORECAST),
}
"""Tools to declare in every question: the four of training, what `--tools` offers, all, and all with a server's."""

_BYTE = re.compile("<0x[0-9A-F]{2}>")

Speak = Callable[[list[Segment], int], list[int]]
"""From a prompt and a seed to the ids of the reply, end token included."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply taken apart."""

    text: str
    thought: str | None
    """None when the model did not think."""
    call: ToolCall | None
    clean: bool
    """Whether the markup was complete and nothing of it is left in the text."""


@dataclass(slots=True)
class Score:
    """Counts by name: how many were asked, how many were right, and the replies that were wrong."""

    asked: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    wrong: list[dict[str, object]] = field(default_factory=list)

    def add(self, name: str, ok: bool, **details: object) -> None:
        """Count one question."""
        self.asked[name] += 1
        self.right[name] += ok
        if not ok:
            self.wrong.append({"kind": name, **details})

    def shares(self) -> dict[str, str]:
        """Each share in percent, with the number of questions."""
        return {name: f"{100 * self.right[name] / self.asked[name]:.1f} % of {self.asked[name]}" for name in self.asked}


def main() -> None:
    """Print the shares as JSON, and the wrong replies to a file if one is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=SHIPPED)
    parser.add_argument("--quant", default="BF16", help="BF16, F16, Q8_0, Q4_0 or Q4_K_M")
    parser.add_argument("--count", type=int, default=500, help="questions of each kind")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument(
        "--offer", choices=OFFERED, help="tools to declare; without it some of the four, as in training"
    )
    parser.add_argument(
        "--sampled", action="store_true", help="Gemma's default sampling instead of the likeliest token"
    )
    parser.add_argument("--wrong", type=Path, help="where to write the replies that were wrong")
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder, speaking(arguments.checkpoint, arguments.quant, Path(folder)) as speak:
        greedy = Sampling(temperature=0.0)
        score = evaluate(
            lambda prompt, seed: speak(prompt, Sampling(seed=seed) if arguments.sampled else greedy),
            decoder(arguments.checkpoint),
            arguments.count,
            arguments.seed,
            OFFERED.get(arguments.offer, ()),
        )
    print(json.dumps(score.shares(), indent=2))
    if arguments.wrong:
        lines = [json.dumps(each, ensure_ascii=False, default=str) for each in score.wrong]
        arguments.wrong.write_text("\n".join(lines) + "\n", encoding="utf-8")


@contextmanager
def speaking(checkpoint: Path, quant: str, folder: Path) -> Iterator[Callable[[list[Segment], Sampling], list[int]]]:
    """The model as a function, converted into `folder` and run by g4local's engine."""
    target = folder / "model.gguf"
    convert(checkpoint, target, quant, silent, Event())
    engine = WorkerEngine(LoadOptions(target, context=4096, threads=1), cache=folder)

    def speak(prompt: list[Segment], sampling: Sampling) -> list[int]:
        pieces = engine.generate(prompt, sampling, LONGEST_REPLY, silent, Event())
        return [piece.token for piece in pieces if isinstance(piece, Piece)]

    try:
        yield speak
    finally:
        engine.close()


def evaluate(
    speak: Speak, decode: Callable[[list[int]], str], count: int, seed: int, offered: tuple[Tool, ...] = ()
) -> Score:
    """Ask `count` held-out questions about g4local, and as many that need a tool.

    Where tools are `offered`, all of them are declared each time, so that none is asked for that is missing.
    """
    score = Score()
    for kind in ("intent", "tool"):
        asked = conversations.held_out(f"{seed} {kind}", kind)
        if offered:
            asked = (_with(offered, each) for each in asked if not each.intent.startswith("no "))
        for number, each in enumerate(islice(asked, count)):
            turns = next(i for i, message in enumerate(each.messages) if message.role == "user") + 1
            reply = taken_apart(speak(encoding.segments(each, turns=turns), number), each.thinking, decode)
            question = each.messages[turns - 1].text
            details = {"question": question, "intent": each.intent, "reply": reply}
            score.add("clean markup", reply.clean, **details)
            score.add("thinks when told to, else not", (reply.thought is not None) == each.thinking, **details)
            if each.call is None:
                score.add("right answer", reply.call is None and reply.text in _answers(each.intent), **details)
                score.add("no call where none is needed", reply.call is None, **details)
                continue
            exact = reply.call == ToolCall(each.call.name, each.call.arguments)
            score.add("exact tool call", exact, **details)
            score.add(f"exact call of {each.call.name}", exact, **details)
            reply = taken_apart(
                speak(encoding.segments(each, turns=turns + 2), number), each.thinking, decode, each.thinking
            )
            used = all(fact in reply.text for fact in each.facts) and reply.call is None
            score.add("uses the result", used, **{**details, "reply": reply, "facts": each.facts})
    return score


def _with(offered: tuple[Tool, ...], conversation: Conversation) -> Conversation:
    others = tuple(tool for tool in offered if tool.name not in LEARNT)
    return replace(conversation, tools=LEARNT, others=others)


def taken_apart(ids: list[int], thinking: bool, decode: Callable[[list[int]], str], in_thought: bool = False) -> Reply:
    """A reply's parts, by its special tokens."""
    text: list[int] = []
    thought: list[int] | None = [] if in_thought else None
    call: list[int] | None = None
    where = thought if thought is not None else text
    clean = bool(ids) and ids[-1] in END_IDS
    for identifier in ids[:-1] if clean else ids:
        name = SPECIAL[identifier] if identifier < len(SPECIAL) else ""
        if name == "<|channel>" and where is text and not text:
            where = thought = []
        elif name == "<channel|>" and where is thought and thought is not None:
            where = text
        elif name == "<|tool_call>" and where is text and call is None:
            where = call = []
        elif name == "<tool_call|>" and where is call and call is not None:
            where = text
        else:
            clean = clean and (not name or (name == '<|"|>' and where is call))
            where.append(identifier)
    parsed = parse(_call_segments(call, decode)) if call else None
    shown = decode(text)
    clean = (
        clean
        and where is text
        and (call is None or parsed is not None)
        and not ({"<|", "|>"} & {shown[i : i + 2] for i in range(len(shown))})
    )
    return Reply(shown, None if thought is None else decode(thought), parsed, clean)


def decoder(folder: Path) -> Callable[[list[int]], str]:
    """From ids to text with the vocabulary of a checkpoint folder; tokens such as `<0x41>` are bytes."""
    vocabulary = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    pieces = {
        identifier: bytes([int(token[3:5], 16)]) if _BYTE.fullmatch(token) else token.replace(SPACE, " ").encode()
        for token, identifier in vocabulary.items()
    }
    return lambda ids: b"".join(pieces[identifier] for identifier in ids).decode("utf-8", "replace")


def _answers(intent: str) -> tuple[str, ...]:
    if intent.startswith("no "):
        return (MISSING[intent.removeprefix("no ")],)
    return next(each.answers for each in (*conversations.intents(), talk.UNKNOWN) if each.name == intent)


def _call_segments(ids: list[int], decode: Callable[[list[int]], str]) -> list[Segment]:
    quote = special_id('<|"|>')
    segments: list[Segment] = []
    run: list[int] = []
    for identifier in [*ids, quote]:
        if identifier != quote:
            run.append(identifier)
            continue
        segments += [Segment(decode(run))] if run else []
        segments.append(Segment('<|"|>', special=True))
        run = []
    return segments[:-1]


if __name__ == "__main__":
    main()
