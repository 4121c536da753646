"""Drafts by an assistant: the same answers as without, and files that can't draft are told."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import gguf as oracle
import llama_cpp.llama_cpp as llama
import pytest

from g4convert.convert import Options, convert
from g4local import library
from g4local.backend.draft import drafting, drafts, mtp
from g4local.backend.draft.drafts import Cost
from g4local.backend.draft.mtp import Mtp
from g4local.backend.draft.ngram import Ngrams
from g4local.backend.engine import MOST_DRAFTS, Guidance, LoadOptions, Sampling
from g4local.backend.fit.fitting import Resources
from g4local.backend.llama import LlamaEngine
from g4local.backend.llamacpp import nextn
from g4local.backend.model import assistant, header, loading
from g4local.core.errors import BadCheckpoint, BadGguf, DoesNotFit, EngineError, G4Error, ModelNotFound, UsageError
from g4local.core.progress import silent
from g4local.settings import paths
from tests import checkpoints, media_checkpoints
from tests.backend.conftest import Loader, Pair
from tests.backend.prompts import chat, completion, ids, words
from tests.backend.test_exactness import assert_same_tokens
from tests.conftest import Tiny

GREEDY = Sampling(temperature=0, seed=2)
SAMPLINGS = (GREEDY, Sampling(seed=3, temperature=1.5), Sampling(seed=4, temperature=30.0, top_p=1.0))
ENDLESS = Guidance(loop_guard=False, endless=True)


def converted(source: Path, target: Path) -> Path:
    convert(source, target, "F32", silent, Event(), Options(threads=1))
    return target


@pytest.fixture(scope="session")
def drafter(tmp_path_factory: pytest.TempPathFactory) -> Callable[[checkpoints.Kind], Path]:
    """Assistants for the tiny models."""
    folder = tmp_path_factory.mktemp("assistants")

    def made(kind: checkpoints.Kind) -> Path:
        drafter = media_checkpoints.make_drafter(checkpoints.make(kind, max_position_embeddings=4096))
        target = folder / f"{kind}.gguf"
        return target if target.exists() else converted(checkpoints.write(folder / kind, drafter), target)

    return made


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drafts cost nothing, so that they are made though they are wrong."""
    monkeypatch.setattr(drafting, "cost", lambda choice, model, repacked: Cost(0.0, 0.0))
    monkeypatch.setattr(drafts, "_LENGTHS", (MOST_DRAFTS,))


@pytest.mark.usefixtures("eager")
def test_an_answer_is_the_same_with_an_assistant(
    demo_pair: Pair, load: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(loading._GGML_TYPES, "f16", llama.GGML_TYPE_F32)
    plain, drafted = load(demo_pair[0], draft="off"), load(demo_pair[0], draft="mtp", drafter=demo_pair[1])
    assert isinstance(drafted._drafter, Mtp)
    seen = told(drafted)
    for sampling in SAMPLINGS:
        for prompt in (chat("hello"), chat("hello", "Yes?", words(1, 40))):
            said = [list(engine.generate(prompt, sampling, 40, silent, ENDLESS)) for engine in (plain, drafted)]
            assert ids(said[0]) == ids(said[1])
            assert completion(said[1]).drafted_tokens >= 60
            assert plain._cache.tokens == drafted._cache.tokens
    assert len(set(seen)) > 100, "drafts that are all alike would prove nothing"


def told(engine: LlamaEngine) -> list[int]:
    """All drafts that an engine will make."""
    seen: list[int] = []
    drafter = engine._drafter
    assert isinstance(drafter, Mtp)
    draft = drafter.draft

    def listened(row: int, most: int) -> list[int]:
        found = draft(row, most)
        seen.extend(found)
        return found

    drafter.draft = listened  # type: ignore[method-assign]
    return seen


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("kv_type", ["f16", "q8_0"])
@pytest.mark.parametrize("kind", checkpoints.KINDS)
def test_so_it_is_with_every_build_of_the_family(
    kind: checkpoints.Kind, kv_type: str, tiny: Tiny, drafter: Callable[..., Path], load: Loader
) -> None:
    plain = load(tiny(kind, "F32"), draft="off", kv_type=kv_type)
    drafted = load(tiny(kind, "F32"), draft="mtp", drafter=drafter(kind), kv_type=kv_type)
    tokens = plain.tokenize(chat(words(1, 85)))
    for engine in (plain, drafted):
        engine._vocabulary.end_tokens = frozenset()
    said = list(drafted.extend(tokens, set(), GREEDY, 60, silent))
    assert completion(said).drafted_tokens > 100
    assert_same_tokens(plain, tokens, ids(said), rounding=0.02 if kv_type == "f16" else 0.5)


@pytest.mark.usefixtures("eager")
def test_an_assistant_reads_the_models_own_state(demo_pair: Pair, load: Loader) -> None:
    """Its drafts hang on the prompt, not on the last token alone."""
    engine = load(demo_pair[0], draft="mtp", drafter=demo_pair[1])
    drafted = []
    for prompt in (chat("hello"), chat(words(5, 50)), chat("hello")):
        seen = told(engine)
        engine._cache.clear()
        list(engine.generate(prompt, GREEDY, 9, silent, ENDLESS))
        drafted.append(seen[: mtp.MOST])
    assert drafted[0] == drafted[2] != drafted[1]


def test_an_assistant_whose_guesses_are_wrong_is_hardly_asked(demo_pair: Pair, load: Loader) -> None:
    engine = load(demo_pair[0], draft="mtp", drafter=demo_pair[1])
    end = completion(list(engine.generate(chat("hello"), SAMPLINGS[2], 200, silent, ENDLESS)))
    assert (
        0 < end.drafted_tokens <= (drafts._CREDIT + drafts._RISK * 200) / drafts.MIXTURE.row + end.accepted_tokens * 5
    )


def test_files_that_can_not_draft_are_told(
    demo_pair: Pair, tiny: Tiny, drafter: Callable[..., Path], load: Loader, tmp_path: Path
) -> None:
    def refused(path: Path) -> G4Error:
        with pytest.raises(G4Error) as error:
            load(tiny("dense"), draft="mtp", drafter=path)
        assert error.value.message.endswith(".") and error.value.hint
        return error.value

    assert isinstance(refused(tmp_path / "none.gguf"), ModelNotFound)
    assert "drafts for another model" in refused(demo_pair[1]).message
    assert "'gemma4', not 'gemma4-assistant'" in refused(tiny("dense")).message
    whole = drafter("dense").read_bytes()
    for length in (0, 3, 500, len(whole) - 1):
        (tmp_path / "cut.gguf").write_bytes(whole[:length])
        assert isinstance(refused(tmp_path / "cut.gguf"), BadGguf)


WRONG: tuple[tuple[str, Any, int], ...] = (
    ("block_count", 0, 0),
    ("block_count", 600, 0),
    ("nextn_predict_layers", 1, 0),
    ("attention.shared_kv_layers", 1, 0),
    ("attention.head_count", 0, 0),
    ("attention.head_count", 3, 0),
    ("attention.head_count_kv", 3, 0),
    ("attention.head_count_kv", 0, 2),
    ("attention.key_length", 32, 0),
    ("attention.value_length", 32, 0),
    ("attention.key_length_swa", 64, 0),
    ("rope.dimension_count", 512, 0),
    ("attention.sliding_window", 0, 0),
    ("attention.layer_norm_rms_epsilon", float("nan"), 0),
    ("context_length", 0, 0),
    ("embedding_length_out", 64, 0),
    ("attention.sliding_window_pattern", 1, 2),
    ("attention.sliding_window_pattern", 0, 0),
)


@pytest.mark.parametrize(("key", "value", "item"), WRONG, ids=str)
def test_a_wrong_number_is_told_before_llama_cpp_sees_it(
    key: str, value: Any, item: int, tiny: Tiny, drafter: Callable[..., Path], tmp_path: Path
) -> None:
    path = tmp_path / "wrong.gguf"
    path.write_bytes(drafter("dense").read_bytes())
    field = oracle.GGUFReader(path, "r+").fields[f"gemma4-assistant.{key}"]
    field.parts[field.data[item]][0] = value
    shape = header.read(tiny("dense")).model.shape
    assistant.read(drafter("dense"), shape)
    with pytest.raises(BadGguf, match=r"contradicts itself|drafts for another model"):
        assistant.read(path, shape)


def test_an_assistant_that_was_only_found_and_can_not_be_used_is_a_warning(
    demo_pair: Pair, tiny: Tiny, load: Loader
) -> None:
    engine = load(tiny("dense"), drafter=demo_pair[1])
    [warning] = engine.info.warnings
    assert warning.startswith("The assistant beside the model is not used: ") and "another model" in warning
    assert isinstance(engine._drafter, Ngrams)


def test_a_llama_cpp_without_the_functions_drafts_with_ngrams_and_says_so_or_refuses(
    demo_pair: Pair, load: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nextn, "functions", lambda: None)
    engine = load(demo_pair[0], drafter=demo_pair[1])
    assert isinstance(engine._drafter, Ngrams)
    assert "This llama.cpp has no functions for assistants" in engine.info.warnings[0]
    with pytest.raises(EngineError, match="no functions for assistants"):
        load(demo_pair[0], draft="mtp", drafter=demo_pair[1])


def test_an_assistant_that_llama_cpp_refuses_is_a_warning_unless_it_was_asked_for(
    demo_pair: Pair, load: Loader, tmp_path: Path
) -> None:
    broken = tmp_path / "assistant.gguf"
    data = demo_pair[1].read_bytes()
    assert data.count(b"output_norm.weight") == 1
    broken.write_bytes(data.replace(b"output_norm.weight", b"output_nork.weight"))
    engine = load(demo_pair[0], drafter=broken)
    assert isinstance(engine._drafter, Ngrams)
    assert engine.info.warnings[0].startswith("The assistant beside the model is not used: ")
    with pytest.raises(G4Error):
        load(demo_pair[0], draft="mtp", drafter=broken)


def test_an_assistant_that_was_asked_for_and_is_not_there_is_an_error(demo_pair: Pair, load: Loader) -> None:
    with pytest.raises(UsageError, match="No assistant for demo lies beside it") as error:
        load(demo_pair[0], draft="mtp")
    assert "g4local convert" in error.value.hint


def test_what_is_asked_for_is_what_drafts(demo_pair: Pair, load: Loader) -> None:
    kinds = {"off": type(None), "ngram": Ngrams, "mtp": Mtp, "auto": Mtp}
    for draft, kind in kinds.items():
        assert isinstance(load(demo_pair[0], draft=draft, drafter=demo_pair[1])._drafter, kind)
    assert isinstance(load(demo_pair[0])._drafter, Ngrams)


def test_its_memory_is_reckoned_and_too_little_of_it_is_told_or_a_warning(demo_pair: Pair) -> None:
    model = header.read(demo_pair[0]).model
    options = LoadOptions(demo_pair[0], draft="mtp", drafter=demo_pair[1])
    plenty = Resources(10**9)
    choice, fit = drafting.settle(options, model, plenty)
    _, without = drafting.settle(replace(options, draft="ngram"), model, plenty)
    assert choice.assistant is not None
    assert fit.need.total - without.need.total == fit.need.drafter > choice.assistant.nbytes
    assert choice.assistant.nbytes == sum(tensor.n_bytes for tensor in oracle.GGUFReader(demo_pair[1]).tensors)
    tight = Resources(without.need.host + 100_000)
    with pytest.raises(DoesNotFit):
        drafting.settle(options, model, tight)
    choice, fit = drafting.settle(replace(options, draft="auto"), model, tight)
    assert choice.assistant is None and "too little memory" in choice.warning and fit.need.drafter == 0


def test_a_draft_costs_its_row_and_the_assistants_weights(demo_pair: Pair) -> None:
    model = header.read(demo_pair[0]).model
    choice, _ = drafting.settle(LoadOptions(demo_pair[0], drafter=demo_pair[1]), model, Resources(None))
    assert drafting.cost(drafting.Choice(), model, repacked=True) == drafts.MIXTURE
    assert drafting.cost(choice, model, repacked=True).of(1) > drafts.MIXTURE.of(1)


# Which file is the assistant.


def test_the_smallest_assistant_for_the_model_is_found_beside_it(
    demo_pair: Pair, tiny: Tiny, drafter: Callable[..., Path], tmp_path: Path
) -> None:
    def put(name: str, source: Path, more: int = 0) -> Path:
        target = tmp_path / name
        target.write_bytes(source.read_bytes() + bytes(more))
        return target

    warnings: list[str] = []

    def found() -> Path | None:
        warnings.clear()
        return library.drafter(model, warnings.append)

    model = put("model.gguf", tiny("dense"))
    assert found() is None and not warnings
    foreign = put("model-assistant.gguf", demo_pair[1])
    (tmp_path / "folder.gguf").mkdir()
    assert found() is None, "a name does not make an assistant"
    assert warnings == ["The assistant beside the model is not used: model-assistant.gguf is made for another one."]
    other = put("other.gguf", tiny("dense"))
    assert found() is None and not warnings, "it may be that one's"
    other.unlink()
    foreign.unlink()
    (tmp_path / "broken.gguf").write_bytes(drafter("dense").read_bytes()[:900])
    assert found() is None
    assert len(warnings) == 1 and "broken.gguf" in warnings[0] and warnings[0].count(".gguf") == 1
    large, small = put("a.gguf", drafter("dense"), 64), put("z.gguf", drafter("dense"))
    assert found() == small and not warnings
    small.unlink()
    assert found() == large and not warnings


def test_a_folder_is_converted_as_what_it_is(tmp_path: Path, own_home: Path) -> None:
    target = checkpoints.make("dense")
    checkpoints.write(tmp_path / "model", target)
    checkpoints.write(tmp_path / "assistant", media_checkpoints.make_drafter(target))
    places = paths({"G4LOCAL_HOME": str(own_home)})

    def made(name: str, *, drafter: bool) -> Path:
        found = library.find(str(tmp_path / name), places)
        return library.gguf(found, None, places, silent, Event(), drafter=drafter)

    with pytest.raises(BadCheckpoint, match="only guesses for a larger model") as error:
        made("assistant", drafter=False)
    assert "--draft-model" in error.value.hint
    with pytest.raises(BadCheckpoint, match="holds no drafter"):
        made("model", drafter=True)
    assert not list(places.converted.glob("*.gguf"))
    path = made("assistant", drafter=True)
    assert "Q8_0" in path.name
    assert assistant.read(path, header.read(made("model", drafter=False)).model.shape).path == path
