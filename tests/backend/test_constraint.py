"""Answers that follow a schema, an expression or a grammar: real tokens of the built-in model, sampled hot."""

import json
import re
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from threading import Event

import pytest
from jsonschema import Draft202012Validator

from g4local.backend.engine import Completion, Constraint, Guidance, Piece, Sampling
from g4local.backend.generation import grammar
from g4local.backend.generation.constraint import Grammars
from g4local.backend.generation.grammar import check
from g4local.backend.llama import LlamaEngine
from g4local.backend.model.vocabulary import Vocabulary
from g4local.chat.conversation import Conversation, ConversationOptions
from g4local.cli.turns import EXIT_LENGTH, follow
from g4local.core.errors import EngineError, UsageError
from g4local.core.progress import silent
from g4local.core.prompt import Segment
from tests import schemas
from tests.backend.conftest import Loader, WorkerLoader
from tests.backend.inprocess import InProcess
from tests.backend.prompts import GREEDY, chat, completion, special, text

HOT = Sampling(temperature=1.5, seed=1)
Said = tuple[str, Completion]


@pytest.fixture
def engine(demo: Path, load: Loader) -> LlamaEngine:
    return load(demo, context=2048)


def said(engine: LlamaEngine, guidance: Guidance, sampling: Sampling = HOT, most: int = 200) -> Said:
    """A reply's text and its end."""
    *pieces, end = engine.generate(chat("hello"), sampling, most, silent, guidance)
    assert isinstance(end, Completion)
    return "".join(piece.text for piece in pieces if isinstance(piece, Piece)), end


def constrained(kind: str, text: str) -> Guidance:
    return Guidance(answer=Constraint(kind, text))  # type: ignore[arg-type]


def hold_to_schemas(engine: LlamaEngine, seeds: range) -> Counter[int]:
    """How often a script gets which exit code: 0 for an answer that is valid, 6 for one that is not at its end."""
    codes: Counter[int] = Counter()
    for seed in seeds:
        schema = schemas.json_schema(seed)
        options = ConversationOptions(
            constraint=Constraint("schema", json.dumps(schema)),
            sampling=Sampling(temperature=1.5, seed=seed),
            max_tokens=200,
            thinking=seed % 2 == 1,
        )
        talk = Conversation(InProcess(engine), options=options)
        outcome = follow(talk.say("hello", report=silent, cancel=Event()), lambda event: None)
        codes[outcome.exit_code] += 1
        if outcome.exit_code == 0:
            Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(
                json.loads(outcome.text)
            )
        else:
            assert outcome.finished and outcome.finished.reason == "length" and outcome.warnings, (seed, outcome)
    return codes


def test_answers_are_valid_by_their_schemas(engine: LlamaEngine) -> None:
    codes = hold_to_schemas(engine, range(12))
    assert codes.keys() <= {0, EXIT_LENGTH} and codes[0] >= 6


@pytest.mark.reference
def test_two_hundred_answers_are_valid_by_their_schemas(engine: LlamaEngine) -> None:
    codes = hold_to_schemas(engine, range(200))
    assert codes[0] + codes[EXIT_LENGTH] == 200 and codes[0] >= 100


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("pattern", ["(yes|no), [0-9]{3}", "[a-f]{5,9}", "x*y", r"\$\d+\.\d\d"])
def test_an_answer_is_what_its_expression_matches(engine: LlamaEngine, pattern: str, seed: int) -> None:
    text, end = said(engine, constrained("regex", pattern), Sampling(temperature=1.5, seed=seed))
    assert end.reason == "length" or re.fullmatch(pattern, text)


def test_a_greedy_answer_is_what_its_expression_matches(engine: LlamaEngine) -> None:
    text, end = said(engine, constrained("regex", "(true|false) because [a-z ]{10}"), GREEDY)
    assert end.reason == "stop" and re.fullmatch("(true|false) because [a-z ]{10}", text)


def test_an_answer_is_in_the_language_of_its_grammar(engine: LlamaEngine) -> None:
    text, end = said(engine, constrained("lark", 'start: "[" item ("," item){2} "]"\nitem: /[a-z]{1,3}/ | "7"'))
    assert end.reason == "stop" and re.fullmatch(r"\[([a-z]{1,3}|7)(,([a-z]{1,3}|7)){2}\]", text)


def test_a_repeat_penalty_changes_nothing_about_what_is_allowed(engine: LlamaEngine) -> None:
    text, end = said(engine, constrained("regex", "(ab){9}"), Sampling(repeat_penalty=1.9, seed=3))
    assert (end.reason, text) == ("stop", "ab" * 9)


def test_what_is_allowed_anyway_comes_as_without_constraint(engine: LlamaEngine) -> None:
    free, end = said(engine, Guidance(), Sampling(seed=4))
    assert end.reason == "stop" and free
    assert said(engine, constrained("regex", "(?s:.*)"), Sampling(seed=4))[0] == free


def test_a_grammar_that_nothing_fits_is_an_error_and_not_an_endless_wait(engine: LlamaEngine) -> None:
    with pytest.raises(EngineError, match="nothing fits"):
        said(engine, constrained("lark", "start: start"))


def test_a_grammar_with_a_token_that_the_model_lacks_is_refused_before_anything_is_said(
    demo: Path, worker: WorkerLoader
) -> None:
    child, guidance = worker(demo), constrained("lark", "start: <|unheard_of|>")
    with pytest.raises(UsageError, match=r"grammar can't be enforced.*unheard_of"):
        next(child.generate(chat("hello"), GREEDY, 5, silent, Event(), guidance))
    pieces = child.generate(chat("hello"), GREEDY, 5, silent, Event(), constrained("regex", "[0-9]{2}"))
    assert re.fullmatch("[0-9]{2}", "".join(piece.text for piece in pieces if isinstance(piece, Piece)))


def thinking(text: str) -> list[Segment]:
    """A prompt that asks for a thought."""
    segments = chat(text)
    system = [special("<|turn>"), Segment("system\n"), special("<|think|>"), Segment("\n"), special("<turn|>")]
    return [segments[0], *system, Segment("\n"), *segments[1:]]


def parts(engine: LlamaEngine, pieces: Iterable[Piece | Completion]) -> tuple[list[int], str, Completion]:
    """The tokens between the first `<|channel>` and `<channel|>`, the text after them, and the end."""
    *said, end = pieces
    assert isinstance(end, Completion)
    tokens = [piece.token for piece in said if isinstance(piece, Piece)]
    names = engine.info.special_tokens
    if names["<|channel>"] not in tokens:
        return [], text(said), end
    assert tokens[0] == names["<|channel>"]
    close = tokens.index(names["<channel|>"])
    return tokens[1:close], text(said[close + 1 :]), end


@pytest.mark.parametrize("seed", range(6))
def test_thoughts_are_free_and_the_answer_after_them_is_not(engine: LlamaEngine, seed: int) -> None:
    guidance = Guidance(answer=Constraint("regex", "[0-9]{2}"), thinking=True)
    said = engine.generate(thinking("Who are you?"), Sampling(temperature=1.2, seed=seed), 300, silent, guidance)
    thought, answer, end = parts(engine, said)
    assert end.reason == "stop" and re.fullmatch("[0-9]{2}", answer)
    assert thought and not end.thought_cut


def test_no_thought_comes_where_none_is_wanted(engine: LlamaEngine) -> None:
    said = engine.generate(thinking("Who are you?"), GREEDY, 300, silent, constrained("regex", "[0-9]{2}"))
    assert parts(engine, said)[:1] == ([],)


def test_a_thought_that_the_prompt_has_opened_goes_on_free(engine: LlamaEngine) -> None:
    prompt = [*thinking("Who are you?"), special("<|channel>"), Segment("thought\n")]
    guidance = Guidance(answer=Constraint("regex", "[0-9]{2}"), thinking=True, in_thought=True)
    *said, _ = engine.generate(prompt, GREEDY, 300, silent, guidance)
    tokens = [piece.token for piece in said if isinstance(piece, Piece)]
    close = tokens.index(engine.info.special_tokens["<channel|>"])
    assert close > 2 and re.fullmatch("[0-9]{2}", text(said[close + 1 :]))


@pytest.mark.parametrize("budget", [1, 3, 7])
@pytest.mark.parametrize("answer", [None, Constraint("regex", "[0-9]{2}")])
def test_a_thought_ends_at_its_budget(engine: LlamaEngine, budget: int, answer: Constraint | None) -> None:
    guidance = Guidance(answer=answer, thinking=True, think_budget=budget)
    thought, rest, end = parts(engine, engine.generate(thinking("Who are you?"), GREEDY, 300, silent, guidance))
    assert end.thought_cut and end.reason == "stop"
    assert len(thought) <= max(budget, len(engine.tokenize([Segment("thought\n")])))
    assert rest


def test_a_thought_within_its_budget_is_left_alone(engine: LlamaEngine) -> None:
    prompt = thinking("Who are you?")
    free = text(engine.generate(prompt, GREEDY, 300, silent))
    said = list(engine.generate(prompt, GREEDY, 300, silent, Guidance(thinking=True, think_budget=100)))
    assert text(said) == free and not completion(said).thought_cut


def test_a_model_without_the_tokens_of_channels_and_calls_can_be_constrained(demo: Path, load: Loader) -> None:
    engine = load(demo)
    ends = ("<bos>", "<eos>", "<turn|>", "<|turn>")
    engine._vocabulary.special = {name: engine._vocabulary.special[name] for name in ends}
    guidance = Guidance(Constraint("regex", "[0-9]{2}"), thinking=True, think_budget=2)
    said = list(engine.generate(chat("hello"), GREEDY, 20, silent, guidance))
    assert completion(said).reason == "stop" and re.fullmatch("[0-9]{2}", text(said))


@pytest.mark.parametrize(("kind", "form"), [("regex", "(ab){600}"), ("lark", 'start: "ab"{600}')])
def test_a_form_that_repeats_itself_is_said_to_its_end(engine: LlamaEngine, kind: str, form: str) -> None:
    asked, end = said(engine, constrained(kind, form), most=1500)
    assert (end.reason, asked) == ("stop", "ab" * 600)


def test_what_the_model_repeats_in_a_form_without_end_is_a_loop(engine: LlamaEngine) -> None:
    banned = set(range(engine.info.vocab_size)) - {engine.tokenize([Segment(each)])[0] for each in "a,x"}
    engine._vocabulary.suppressed = lambda: banned  # type: ignore[method-assign]
    repeated, end = said(engine, constrained("regex", "([ab],xx){1000,}"), GREEDY, most=1900)
    assert end.reason == "loop" and len(repeated) < 1800
    repeated, end = said(engine, constrained("regex", "(a,xx){1000,}"), GREEDY, most=600)
    assert end.reason == "length"


def test_a_grammar_of_llama_cpp_is_understood() -> None:
    assert grammar.lark('start: "a"\n') == Constraint("lark", 'start: "a"\n')
    translated = grammar.lark('root ::= item ", " item\nitem ::= "a" | "b"\n')
    assert "::=" not in translated.text and "start: " in translated.text
    check(translated)
    for bad in ("root ::= (((\n", "root ::= nothing\n"):
        with pytest.raises(UsageError, match="GBNF"):
            grammar.lark(bad)


def test_media_tokens_are_never_said_even_where_a_grammar_would_take_them(engine: LlamaEngine) -> None:
    with pytest.raises(EngineError, match="nothing fits"):
        said(engine, constrained("lark", "start: <|image|>"))


@pytest.mark.parametrize(
    ("kind", "text", "told"),
    [
        ("regex", "(", "regular expression.*unclosed group"),
        ("regex", "(?=a)b", "look-around"),
        ("lark", "start: foo", 'grammar.*line 1, column 8: unknown name: "foo"'),
        ("lark", "", "Empty grammar"),
        ("lark", "start: r0\n" + "\n".join(f'r{i}: "a" r{i + 1}' for i in range(20000)) + '\nr20000: "b"', "nested"),
        ("lark", "start: " + "(" * 5000 + '"a"' + ")" * 5000, "nested"),
        ("schema", '{"uniqueItems": true, "type": "array"}', 'schema.*"uniqueItems"'),
        ("schema", '{"not": {}, "if": {}}', '"if", "not"|"not", "if"'),
        ("schema", '{"type": "string", "format": "postcode"}', "postcode"),
        ("schema", '{"oneOf": [{"type": "integer"}, {"type": "number"}]}', "oneOf"),
        ("schema", '{"$ref": "http://localhost:1/schema.json"}', "localhost:1.*nothing is fetched"),
        ("schema", json.dumps({"enum": [str(i) for i in range(200_000)]}), "too large"),
        ("schema", '{"properties":{"a":' * 200 + "{}" + "}}" * 200, "nested"),
        ("schema", '{"minLength": 5, "maxLength": 3, "type": "string"}', "greater than maxLength"),
    ],
)
def test_what_cannot_be_enforced_is_refused_in_a_sentence(kind: str, text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told) as refused:
        check(Constraint(kind, text))  # type: ignore[arg-type]
    assert "\n" not in refused.value.message and len(refused.value.message) < 400
    assert refused.value.hint


def test_a_constraint_that_takes_for_ever_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grammar, "CHECK_SECONDS", 0.2)
    with pytest.raises(UsageError, match=r"within 0\.2 seconds"):
        check(Constraint("regex", "a"), (sys.executable, "-c", "import time; time.sleep(60)"))


def test_a_child_that_fails_for_reasons_of_its_own_blames_no_constraint() -> None:
    with pytest.raises(EngineError, match="can't be checked: a process ended with exit code 3"):
        check(Constraint("regex", "a"), (sys.executable, "-c", "raise SystemExit(3)"))


@pytest.mark.parametrize("kind", ["schema", "regex", "lark"])
def test_what_can_be_enforced_is_accepted(kind: str) -> None:
    texts = {"schema": json.dumps(schemas.json_schema(1)), "regex": "a+", "lark": "start: <|tool_call> /[a-z]+/"}
    check(Constraint(kind, texts[kind]))  # type: ignore[arg-type]


def test_the_real_vocabulary_is_checked_token_by_token(real: Vocabulary) -> None:
    grammars = Grammars(real)
    matcher = grammars.matcher(Constraint("schema", json.dumps({"type": "object", "required": ["größe"]})))
    for token in real.tokenize([Segment('{"größe": [1.5, "<table>\\n", null]}')])[0]:
        assert matcher.allows(token) and matcher.allowed()[token] and not matcher.is_complete
        matcher.take(token)
    assert matcher.is_complete and not matcher.allows(real.special["<|tool_call>"])
    grammars.close()
