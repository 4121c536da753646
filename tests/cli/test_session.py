"""What can be typed in `g4local chat`."""

from pathlib import Path
from threading import Event

import pytest

from g4local.chat import toolcosts
from g4local.chat.conversation import Conversation
from g4local.cli.output import Bar
from g4local.cli.session import Session
from g4local.opening.request import Request
from tests.fakes import Reply, ScriptedEngine


def opened(tmp_path: Path, *replies: str | Reply, stats: bool = False) -> tuple[Session, Conversation, ScriptedEngine]:
    engine = ScriptedEngine(list(replies))
    talk = Conversation(engine)
    return Session(talk, Request("demo", folder=tmp_path, stats=stats), Bar(), Event()), talk, engine


def test_a_question_is_answered_on_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session, _, _ = opened(tmp_path, "Hello there.")
    session.take("hi")
    assert capsys.readouterr().out == "Hello there.\n"


def test_a_blank_line_asks_nothing(tmp_path: Path) -> None:
    session, talk, _ = opened(tmp_path)
    session.take("   ")
    assert talk.messages == []


def test_the_chat_goes_on_after_the_engine_died(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session, talk, engine = opened(tmp_path, Reply("One two three", dies_after=1), "Back.")
    session.take("count")
    session.take("again")
    out, err = capsys.readouterr()
    assert out.endswith("Back.\n")
    assert "error: The engine died." in err
    assert "hint: Ask again." in err
    assert engine.starts == 2
    assert [message.role for message in talk.messages] == ["user", "assistant", "user", "assistant"]


@pytest.mark.parametrize("word", ["/bye", "/exit", "/quit"])
def test_leaving(tmp_path: Path, word: str) -> None:
    session, _, _ = opened(tmp_path)
    session.take(word)
    assert not session.open


@pytest.mark.parametrize("line", ["/set temperature 0.5", "/set parameter temperature 0.5"])
def test_sampling_is_set(tmp_path: Path, line: str) -> None:
    session, talk, engine = opened(tmp_path, "Yes.")
    session.take(line)
    session.take("hi")
    assert talk.options.sampling.temperature == 0.5
    assert engine.requests[0][0].temperature == 0.5


def test_settings_go_by_the_names_of_flags_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session, talk, _ = opened(tmp_path)
    for line in ("/set temp 0.5", "/set --max-tokens 7", "/set think on", "/system Be brief."):
        session.take(line)
    assert "error" not in capsys.readouterr().err
    options = talk.options
    assert (options.sampling.temperature, options.max_tokens, options.thinking) == (0.5, 7, True)
    assert options.system == "Be brief."
    session.take("/system")
    assert capsys.readouterr().err.split() == ["system", "Be", "brief."]


def test_the_way_out_of_a_limit_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session, _, _ = opened(tmp_path, Reply("One two three", reason="length"))
    session.take("/set max_tokens 2")
    session.take("count")
    assert "/set max_tokens 0 and /retry ask again without that limit." in capsys.readouterr().err


def test_top_k_stays_a_whole_number(tmp_path: Path) -> None:
    session, talk, _ = opened(tmp_path)
    session.take("/set top-k 5")
    assert talk.options.sampling.top_k == 5
    assert isinstance(talk.options.sampling.top_k, int)


@pytest.mark.parametrize(
    "line", ["/set top_p 2", "/set temperature nan", "/set top_k many", "/set wings 2", "/think maybe", "/fly", "/undo"]
)
def test_nonsense_is_one_sentence_and_a_hint_and_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    session, talk, _ = opened(tmp_path)
    options = talk.options
    session.take(line)
    err = capsys.readouterr().err.splitlines()
    assert [text.split(":")[0] for text in err] == ["error", "hint"]
    assert talk.options == options
    assert session.open


def test_the_system_prompt_and_thinking_are_in_the_next_prompt(tmp_path: Path) -> None:
    session, _, engine = opened(tmp_path, "Aye.")
    session.take("/set system Talk like a pirate.")
    session.take("/think on")
    session.take("hi")
    assert engine.prompts[0].startswith("<bos><|turn>system\n<|think|>\nTalk like a pirate.<turn|>\n")


def test_a_setting_is_shown_by_its_name_and_taken_back_by_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session, talk, _ = opened(tmp_path)
    session.take("/set seed 7")
    session.take("/set system Be brief.")
    assert (talk.options.sampling.seed, talk.options.system) == (7, "Be brief.")
    capsys.readouterr()
    session.take("/set seed")
    assert capsys.readouterr().err.split() == ["seed", "7"]
    session.take("/set seed none")
    session.take("/set system none")
    assert (talk.options.sampling.seed, talk.options.system) == (None, "")
    capsys.readouterr()
    session.take("/set")
    assert {line.split()[0] for line in capsys.readouterr().err.splitlines()} >= {"system", "seed", "stats", "top_k"}


def test_tools_are_chosen_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session, talk, engine = opened(tmp_path)
    session.take("/tools clock calculate")
    assert {tool.name for tool in talk.tools} == {"clock", "calculate"}
    session.take("/tools off")
    assert talk.tools == ()
    session.take("/tools on")
    assert {tool.name for tool in talk.tools} >= {"clock", "calculate", "list_files", "read_file"}
    capsys.readouterr()
    session.take("/tools calculate")
    lines = [line.split() for line in capsys.readouterr().err.splitlines()]
    costs = {name: (state, int(tokens.replace(",", ""))) for state, name, tokens, *_ in lines[:-1]}
    assert {name for name, (state, _) in costs.items() if state == "on"} == {"calculate"}
    [calculate] = talk.tools
    told = toolcosts.told(calculate)
    assert costs["calculate"][1] == len(engine.tokenize(told, Event())) > 10
    assert " ".join(lines[-1]).startswith(f"Those that are on take {costs['calculate'][1]:,} of the context's")
    session.take("/tools nothing")
    assert "no tool 'nothing'" in capsys.readouterr().err


def test_undo_and_clear_take_questions_back(tmp_path: Path) -> None:
    session, talk, _ = opened(tmp_path, "One.", "Two.")
    session.take("first")
    session.take("second")
    session.take("/undo")
    assert [message.text for message in talk.messages] == ["first", "One."]
    session.take("/clear")
    assert talk.messages == []


def test_retry_asks_the_last_question_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session, talk, _ = opened(tmp_path, "One.", "Better.")
    session.take("first")
    session.take("/retry")
    assert [message.text for message in talk.messages] == ["first", "Better."]
    assert capsys.readouterr().out == "One.\nBetter.\n"


def test_a_turn_that_broke_off_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session, talk, _ = opened(tmp_path, Reply("One", dies_after=0), "Here I am.")
    session.take("first")
    session.take("/continue")
    assert [message.text for message in talk.messages] == ["first", "Here I am."]
    session.take("/continue")
    assert "no unfinished turn" in capsys.readouterr().err


def test_help_names_every_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session, _, _ = opened(tmp_path)
    session.take("/?")
    err = capsys.readouterr().err
    assert all(
        f"/{name}" in err
        for name in ("set", "think", "tools", "retry", "continue", "undo", "clear", "help", "bye", "exit")
    )


def test_stats_are_told_when_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session, _, _ = opened(tmp_path, "One.", "Two.", stats=True)
    session.take("hi")
    assert "first token" in capsys.readouterr().err
    session.take("/set stats off")
    session.take("hi")
    assert "first token" not in capsys.readouterr().err
