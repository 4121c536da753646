"""What the terminal and scripts make of a turn's events."""

import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from g4local.cli import output
from g4local.cli.output import Bar, human_bytes, printable
from g4local.cli.turns import Outcome, Screen, call_text, event_object, follow, print_stats, timing_object
from g4local.core.errors import ContextFull, EngineDied
from g4local.core.events import (
    Event,
    FinishReason,
    MalformedCall,
    TextDelta,
    ThoughtDelta,
    Timing,
    ToolFinished,
    ToolRequested,
    ToolResult,
    TurnFinished,
    TurnStarted,
    Usage,
    Warned,
)
from g4local.core.messages import ToolCall
from g4local.core.progress import Progress

CALL = ToolCall("calculate", {"expression": "2 + 2"}, "call_0")
TURN: list[Event] = [
    TurnStarted(),
    ThoughtDelta("I should "),
    ThoughtDelta("add."),
    ToolRequested(CALL),
    ToolFinished(CALL, ToolResult("4", ok=True)),
    Warned("old template"),
    TextDelta("It is "),
    TextDelta("4."),
    TurnFinished("stop", Usage(100, 40, 20, 5), Timing(0.5, 0.7, 2.0, 4.0), 7),
]


def finished(reason: FinishReason, *, context_full: bool = False, unsatisfied: bool = False) -> Outcome:
    return Outcome(finished=TurnFinished(reason, Usage(), Timing(), 1, context_full, unsatisfied))


def test_a_turn_is_gathered_whole() -> None:
    seen: list[Event] = []
    outcome = follow((event for event in TURN), seen.append)
    assert seen == TURN
    assert (outcome.text, outcome.thought) == ("It is 4.", "I should add.")
    assert outcome.tool_calls == [
        {"name": "calculate", "arguments": {"expression": "2 + 2"}, "result": "4", "ok": True}
    ]
    assert outcome.warnings == ["old template"]
    assert outcome.exit_code == 0


def test_an_error_keeps_what_came_before_it() -> None:
    def turn() -> Iterator[Event]:
        yield TextDelta("Half an ")
        raise EngineDied("It died.", signal=9, log=())

    outcome = follow(turn(), lambda event: None)
    assert outcome.text == "Half an "
    assert outcome.exit_code == 1


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (finished("stop"), 0),
        (finished("length"), 6),
        (finished("length", context_full=True), 5),
        (finished("length", context_full=True, unsatisfied=True), 6),
        (finished("stop", unsatisfied=True), 6),
        (finished("cancelled"), 130),
        (finished("tool_calls"), 1),
        (replace(finished("stop"), malformed=True), 1),
        (replace(finished("stop"), malformed=True, text="Here it is."), 0),
        (Outcome(error=ContextFull("full")), 5),
        (Outcome(), 1),
    ],
)
def test_the_end_of_a_turn_is_an_exit_code(outcome: Outcome, code: int) -> None:
    assert outcome.exit_code == code


def test_a_person_sees_the_answer_on_stdout_and_the_rest_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(Bar())
    for event in [*TURN[:-1], MalformedCall("call:x{"), TURN[-1]]:
        screen.show(event)
    out, err = capsys.readouterr()
    assert out == "It is 4.\n"
    assert err.splitlines() == [
        "I should add.",
        "",
        '→ calculate(expression="2 + 2")',
        "← 4",
        "warning: old template",
        "warning: The model wrote a tool call that can't be read: call:x{",
    ]


def test_the_stats_tell_drafts_where_there_were_any(capsys: pytest.CaptureFixture[str]) -> None:
    for usage, told in (
        (Usage(9, 0, 9, 0, 60, 45), "drafts       60 tokens, 45 of them right (75 %)"),
        (Usage(), None),
    ):
        print_stats(TurnFinished("stop", usage, Timing(), 7))
        lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("drafts")]
        assert lines == ([told] if told else [])


def test_a_long_result_is_shown_in_part_and_gathered_whole(capsys: pytest.CaptureFixture[str]) -> None:
    result = "\n".join(["x" * 1000, *map(str, range(99))])
    event = ToolFinished(CALL, ToolResult(result, ok=True))
    Screen(Bar()).show(event)
    shown = capsys.readouterr().err.splitlines()
    assert len(shown) == 9
    assert len(shown[0]) < 400
    assert shown[-1] == "… (92 more lines)"
    assert follow((each for each in [event]), lambda event: None).tool_calls == [
        {"name": "calculate", "arguments": CALL.arguments, "result": result, "ok": True}
    ]


def test_speeds_count_only_the_tokens_that_were_processed() -> None:
    event = TURN[-1]
    assert isinstance(event, TurnFinished)
    timing = timing_object(event)
    assert timing["prefill_tokens_per_second"] == 30.0
    assert timing["decode_tokens_per_second"] == 5.0


def test_what_is_not_known_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """A turn that was stopped before its first token."""
    stopped = TurnFinished("cancelled", Usage(), Timing(load=0.001), 7)
    print_stats(stopped)
    assert capsys.readouterr().err.splitlines() == ["seed         7"]
    timing = timing_object(stopped)
    assert timing["ttft_seconds"] is None
    assert timing["prefill_tokens_per_second"] is None and timing["decode_tokens_per_second"] is None


def test_a_thought_behind_an_answer_begins_a_line_and_leaves_stdout_as_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    screen = Screen(Bar())
    for event in (TextDelta("One."), ThoughtDelta("Hm."), ThoughtDelta(" So."), TextDelta(" Two.")):
        screen.show(event)
    told = capsys.readouterr()
    assert (told.out, told.err) == ("One. Two.", "\nHm. So.\n\n")


def test_a_dumb_terminal_gets_no_control_codes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for term, colours in (("xterm", True), ("dumb", False)):
        monkeypatch.setenv("TERM", term)
        monkeypatch.delenv("NO_COLOR", raising=False)
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
        monkeypatch.setattr(output, "_MOMENT", 0.0)
        with Bar() as bar:
            for done in range(3):
                bar.report(Progress("load", done, 3))
        output.warning("This.")
        assert ("\x1b" in capsys.readouterr().err) is colours


@pytest.mark.parametrize(
    ("columns", "unit", "dones", "total", "told"),
    [
        (120, "tokens", (0, 128), 3000, "128 of 3,000 tokens, 64 tokens/s, 0:45 left"),
        (120, "bytes", (0, 1_000_000), 3_000_000, "1.0 MB of 3.0 MB, 500.0 kB/s, 0:04 left"),
        (120, "tokens", (0,), 3000, "0 of 3,000 tokens"),
        (40, "tokens", (0, 128), 3000, "read   4% 0:45 left"),
    ],
)
def test_a_bar_tells_amount_rate_and_rest(
    columns: int,
    unit: str,
    dones: tuple[int, ...],
    total: int,
    told: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter(range(0, 100, 2))
    monkeypatch.setattr(output, "monotonic", lambda: next(clock))
    monkeypatch.setattr(output, "_MOMENT", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with Bar() as bar:
        for done in dones:
            bar.report(Progress("read", done, total, unit))
    assert f"{told}\n" in capsys.readouterr().err


def test_every_event_has_an_object_with_its_type() -> None:
    types = [event_object(event)["type"] for event in TURN]
    assert types == [
        "turn_started", "thought", "thought", "tool_requested", "tool_finished", "warning", "text", "text",
        "turn_finished",
    ]  # fmt: skip


def test_no_control_character_reaches_a_terminal() -> None:
    hostile = "".join(map(chr, range(0xA0))) + "\x1b]0;title\x07\x9b31m" + "\u202e\u202d\u2066\u2069"
    shown = printable(hostile)
    assert all(character in "\n\t" or character.isprintable() for character in shown)
    assert printable("naïve\ttext\n東京 😀") == "naïve\ttext\n東京 😀"


def test_a_call_is_shown_as_a_programmer_writes_it() -> None:
    assert call_text(ToolCall("f", {"a": "x\ny", "b": [1, None]})) == 'f(a="x\\ny", b=[1, null])'


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (3_420_000_000, "3.4 GB"), (10**13, "10000.0 GB")]
)
def test_sizes_are_told_in_decimal_units(count: int, text: str) -> None:
    assert human_bytes(count) == text
