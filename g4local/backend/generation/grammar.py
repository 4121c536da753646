"""A constraint in words that llguidance understands, and what is wrong with one that it can't enforce.

llguidance is loaded when there is a constraint, not before. What it makes of a foreign grammar is tried in a throw-away
child first: a long chain of rules or references overflows its stack, which ends the process.
"""

import json
import re
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from g4local.backend.engine import Constraint
from g4local.backend.process.child import ended
from g4local.backend.process.launch import WORKER, finished
from g4local.core.errors import EngineError, UsageError

if TYPE_CHECKING:
    from llguidance import LLTokenizer

CHECK_SECONDS = 20
"""A constraint that takes longer to be understood is refused."""

_WHITESPACE = r" |\n[ \t]{0,40}"
"""What may stand between the parts of a JSON text: a blank, or a line's end and an indent, and no endless blanks."""

_NOUNS = {"schema": "schema", "regex": "regular expression", "lark": "grammar"}
_HINTS = {
    "schema": "What can be enforced: https://github.com/guidance-ai/llguidance/blob/main/docs/json_schema.md",
    "regex": "It is written as for Rust's regex crate, without look-around, and stands for the whole answer.",
    "lark": "How it is written: https://github.com/guidance-ai/llguidance/blob/main/docs/syntax.md",
}
_OVERFLOWS = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT)
"""Ends of a process whose stack was too small."""
_GBNF = re.compile(r"^\s*root\s*::=", re.MULTILINE)
_LONGEST = 300
"""Characters of a complaint that are shown."""


def lark(text: str) -> Constraint:
    """The constraint that a grammar is, in llguidance's dialect of Lark or in llama.cpp's GBNF; UsageError.

    llguidance's own converter is used, which raises no class of errors of its own.
    """
    if not _GBNF.search(text):
        return Constraint("lark", text)
    from llguidance.gbnf_to_lark import gbnf_to_lark

    try:
        return Constraint("lark", gbnf_to_lark(text))
    except Exception as error:
        raise UsageError(
            f"The GBNF grammar can't be translated to Lark: {str(error).splitlines()[0]}.", _HINTS["lark"]
        ) from error


def check(constraint: Constraint, command: Sequence[str] = WORKER) -> None:
    """UsageError for a constraint that can't be enforced, EngineError when the throw-away child can't look at it.

    `command` is the child's program.
    """
    try:
        answer = finished((*command, "--constraint"), CHECK_SECONDS, json.dumps(asdict(constraint)))
        if answer.returncode and -answer.returncode not in _OVERFLOWS:
            raise EngineError(f"The {_NOUNS[constraint.kind]} can't be checked: a process {ended(answer.returncode)}.")
        wrong = answer.stdout if answer.returncode == 0 else "it is too deeply nested"
    except subprocess.TimeoutExpired:
        wrong = f"it is not understood within {CHECK_SECONDS} seconds"
    if wrong:
        raise refusal(constraint, wrong)


def refusal(constraint: Constraint, wrong: str) -> UsageError:
    """The error that says what is wrong with a constraint."""
    return UsageError(f"The {_NOUNS[constraint.kind]} can't be enforced: {wrong}.", _HINTS[constraint.kind])


def complaint(constraint: Constraint, tokenizer: "LLTokenizer | None" = None) -> str:
    """What is wrong with a constraint, in words; empty when nothing is.

    Without a tokenizer, the special tokens of a grammar are believed to exist.
    """
    from llguidance import LLMatcher

    try:
        grammar = written(constraint)
    except ValueError as error:
        return _in_words(str(error), constraint)
    is_wrong, messages = LLMatcher.validate_grammar_with_warnings(grammar, tokenizer)
    return _in_words(messages[0], constraint) if is_wrong else ""


def written(constraint: Constraint) -> str:
    """The constraint in llguidance's own form; the text of a schema must be JSON."""
    from llguidance import LLMatcher

    match constraint.kind:
        case "schema":
            return LLMatcher.grammar_from_json_schema(constraint.text, defaults={"whitespace_pattern": _WHITESPACE})
        case "regex":
            return LLMatcher.grammar_from_regex(constraint.text)
        case "lark":
            return LLMatcher.grammar_from_lark(constraint.text)


def _in_words(message: str, constraint: Constraint) -> str:
    """llguidance's complaint as the end of a sentence."""
    telling = re.search(r"^error: (.+)", message, re.MULTILINE)
    words = telling[1] if telling else message.strip().split("\n")[0]
    if constraint.kind == "lark":
        words = re.sub(r"^(?:at )?(\d+)\((\d+)\): ", r"line \1, column \2: ", words)
    else:
        words = re.sub(r"^(?:at )?\d+\(\d+\): (?:invalid regex .*\(in regex\): )?", "", words)
    for pattern, replacement in _REWORDED:
        words = re.sub(pattern, replacement, words)
    return (words if len(words) <= _LONGEST else f"{words[:_LONGEST]}…").rstrip(".")


_REWORDED = (
    (r"^Unimplemented keys: \[(.*)\]$", r"it has \1"),
    (r"^Resource '(.*)' is not present in a registry.*", r"it refers to \1, and nothing is fetched"),
    (r"^oneOf constraints are not supported.*", "the choices of a oneOf overlap, or may do so"),
    (r"^recursion limit exceeded.*", "it is too deeply nested"),
    (r"^initial lexer configuration \(grammar\) too big.*", "it is too large"),
)
"""Complaints that llguidance words for programmers."""
