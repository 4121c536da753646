"""`pull --from-checkpoint`: the GGUF that a folder gives, whole or piece by piece, or a sentence."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

from g4convert.convert import Options, convert
from g4local import inventory, library, making, pins, removing, verifying
from g4local.catalog import reference
from g4local.core.errors import Cancelled, G4Error, NetworkError, UnknownArchitecture, UsageError
from g4local.core.locks import locked
from g4local.core.progress import Progress, Report, silent
from g4local.making import Wish
from g4local.pulling import Context, Pulled
from g4local.removing import Leaving
from g4local.settings import Paths, paths
from tests import checkpoints, media_checkpoints
from tests.hub_server import Fault
from tests.hubs import Hub

REPO = "owner/gemma-tiny-it"

Make = Callable[..., list[Pulled]]


@pytest.fixture
def places(own_home: Path) -> Paths:
    return paths(os.environ)


@pytest.fixture
def folder(here: Hub) -> Path:
    """A checkpoint in three files on the hub."""
    made = checkpoints.make("dense")
    return checkpoints.write(here.root / REPO, made, shards=3)


def make(places: Paths, told: list[str] | None = None, report: Report = silent, **wish: object) -> list[Pulled]:
    told = told if told is not None else []
    context = Context(places, report, Event(), told.append)
    return making.make(reference(REPO), Wish(**wish), context)  # type: ignore[arg-type]


def make_until(stage: str, places: Paths, quant: str, **wish: bool) -> None:
    """Make it, and stop at this stage."""
    stop = Event()

    def report(progress: Progress) -> None:
        if progress.stage == stage:
            stop.set()

    making.make(reference(REPO), Wish(quant, **wish), Context(places, report, stop, lambda text: None))


def unused(places: Paths) -> list[Leaving]:
    return removing.unused(places, silent, Event())


def expected(folder: Path, tmp_path: Path, quant: str, **options: object) -> bytes:
    """What the converter makes of the folder itself, which has the repository's name."""
    target = tmp_path / "expected.gguf"
    convert(folder, target, quant, silent, Event(), Options(**options))  # type: ignore[arg-type]
    return target.read_bytes()


def disk(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    usage = shutil.disk_usage("/")._replace(free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)


def weights(folder: Path) -> list[int]:
    return [path.stat().st_size for path in folder.glob("*.safetensors")]


def shards(places: Paths) -> list[Path]:
    """Weights that were downloaded, whole or in part."""
    return [path for path in places.checkpoints.rglob("model*") if path.suffix in (".safetensors", ".part")]


def test_a_checkpoint_becomes_what_the_converter_makes_of_it(
    here: Hub, places: Paths, folder: Path, tmp_path: Path
) -> None:
    (pulled,) = make(places, quant="q4_k_m")
    assert pulled.path == places.models / "gemma-tiny-it-Q4_K_M.gguf" and pulled.origin == "checkpoint"
    assert pulled.path.read_bytes() == expected(folder, tmp_path, "Q4_K_M")
    assert not list(places.checkpoints.glob("*"))
    with pytest.raises(UsageError, match="is there already"):
        make(places, quant="q4_k_m")


def test_a_checkpoint_that_is_kept_is_not_downloaded_again(here: Hub, places: Paths, folder: Path) -> None:
    make(places, quant="q4_0", keep=True)
    here.faults()
    make(places, quant="q8_0")
    assert here.sent() < max(weights(folder)) * 3


def test_what_is_kept_stays_until_somebody_deletes_it(here: Hub, places: Paths, folder: Path) -> None:
    make(places, quant="q4_0", keep=True)
    kept = {path: path.read_bytes() for path in places.checkpoints.rglob("model*")}
    assert len(kept) == 4 and unused(places) == []
    make(places, quant="q8_0")
    assert {path: path.read_bytes() for path in places.checkpoints.rglob("model*")} == kept
    with pytest.raises(Cancelled):
        make_until("convert", places, "q4_k_m")
    assert unused(places) == []


@pytest.mark.parametrize("stage", ["read what it holds", "download", "convert"])
def test_what_is_left_by_a_stop_is_told_and_can_be_pruned(here: Hub, places: Paths, folder: Path, stage: str) -> None:
    (places.checkpoints / "my own").mkdir(parents=True)
    with pytest.raises(Cancelled) as caught:
        make_until(stage, places, "q8_0", keep=True)
    assert "prune" in caught.value.hint and "Nothing" not in str(caught.value) + caught.value.hint
    (leaving,) = unused(places)
    assert leaving.kind == "checkpoint" and (leaving.nbytes > min(weights(folder))) == (stage == "convert")
    with locked(leaving.path):
        assert unused(places) == [] and not removing.remove(leaving)
    assert removing.remove(leaving)
    assert [path.name for path in places.checkpoints.iterdir()] == ["my own"]
    assert make(places, quant="q8_0")


def test_where_the_disk_is_short_it_is_converted_piece_by_piece_into_the_same_bytes(
    here: Hub, places: Paths, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = expected(folder, tmp_path, "Q4_K_M")
    disk(monkeypatch, len(whole) + max(weights(folder)) + 1000)
    most = 0

    def watch(progress: Progress) -> None:
        nonlocal most
        most = max(most, sum(path.stat().st_blocks * 512 for path in places.checkpoints.rglob("*.safetensors")))

    told: list[str] = []
    (pulled,) = make(places, told, watch, quant="q4_k_m")
    assert pulled.path.read_bytes() == whole
    assert "file by file" in told[0]
    assert most < 2 * max(weights(folder)) < sum(weights(folder))
    assert not list(places.checkpoints.rglob("*.safetensors"))


@pytest.mark.parametrize("short", [False, True])
def test_model_and_towers_come_together(
    here: Hub, places: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short: bool
) -> None:
    folder = checkpoints.write(here.root / REPO, media_checkpoints.make("tower"), shards=4)
    towers = tmp_path / "towers.gguf"
    whole = expected(folder, tmp_path, "Q8_0", mmproj=towers)
    if short:
        disk(monkeypatch, len(whole) + towers.stat().st_size + max(weights(folder)) + 1000)
    told: list[str] = []
    model, beside = make(places, told, quant="q8_0", mmproj=True)
    assert model.path.read_bytes() == whole
    assert beside.path.read_bytes() == towers.read_bytes()
    assert any("file by file" in text for text in told) == short


def test_a_disk_that_is_too_small_for_that_too_is_told_before_the_weights_come(
    here: Hub, places: Paths, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk(monkeypatch, max(weights(folder)))
    with pytest.raises(G4Error, match="is the least"):
        make(places)
    assert not list(places.models.glob("*")) and not shards(places)


def test_a_model_that_cant_be_converted_is_told_before_the_weights_come(here: Hub, places: Paths) -> None:
    made = checkpoints.make("dense")
    made.config["architectures"] = ["LlamaForCausalLM"]
    checkpoints.write(here.root / REPO, made, shards=3)
    with pytest.raises(UnknownArchitecture):
        make(places)
    assert not shards(places)


def test_a_stop_between_pieces_leaves_no_half_file(
    here: Hub, places: Paths, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk(monkeypatch, len(expected(folder, tmp_path, "Q4_K_M")) + max(weights(folder)) + 1000)
    stop = Event()

    def report(progress: Progress) -> None:
        if progress.stage == "convert" and progress.done:
            stop.set()

    with pytest.raises(Cancelled):
        making.make(reference(REPO), Wish("Q4_K_M"), Context(places, report, stop, lambda text: None))
    assert not list(places.models.glob("*"))


def test_a_shard_with_a_flipped_bit_is_refused(here: Hub, places: Paths, folder: Path) -> None:
    here.faults(Fault("cdn", "00002-of", times=1), Fault("cdn", "00002-of", flip_at=weights(folder)[0] - 9))
    with pytest.raises(NetworkError, match="its hash is"):
        make(places)
    assert not list(places.models.glob("*"))


def test_a_size_names_googles_checkpoint_and_its_qat_the_other() -> None:
    assert making._asked(reference("e2b"), Wish()) == ("google/gemma-4-E2B-it", "Q4_K_M", "Q4_K_M")
    assert making._asked(reference("e2b:q5_k_m"), Wish()) == ("google/gemma-4-E2B-it", "Q5_K_M", "Q5_K_M")
    qat = "google/gemma-4-E2B-it-qat-q4_0-unquantized"
    assert (
        making._asked(reference("e2b:qat"), Wish())
        == making._asked(reference("e2b"), Wish("qat-q4_0"))
        == (qat, "Q4_0", "QAT-Q4_0")
    )


def test_what_was_made_of_a_size_is_found_by_its_name(here: Hub, places: Paths) -> None:
    checkpoints.write(here.root / "google/gemma-4-E2B-it", checkpoints.make("dense"))
    making.make(reference("e2b"), Wish("q8_0"), Context(places, silent, Event(), lambda text: None))
    assert library.find("e2b", places).name == "gemma-4-E2B-it-Q8_0"


def test_what_was_made_is_found_as_it_was_asked_for(here: Hub, places: Paths) -> None:
    for repo in ("google/gemma-4-E2B-it", "google/gemma-4-E2B-it-qat-q4_0-unquantized", REPO):
        checkpoints.write(here.root / repo, checkpoints.make("dense"))
    made = {
        name: making.make(reference(name), Wish(), Context(places, silent, Event(), lambda text: None))[0].path
        for name in ("e2b:qat", f"{REPO}:q8_0", f"{REPO}@v1:q5_0")
    }
    for name, path in made.items():
        assert library.find(name, places).path == path
    assert library.find("e2b:q4_0", places).path == library.find("e2b:qat-q4_0", places).path == made["e2b:qat"]
    plain = making.make(reference("e2b:q4_0"), Wish(), Context(places, silent, Event(), lambda text: None))[0].path
    assert library.find("e2b:q4_0", places).path == plain != library.find("e2b", places).path == made["e2b:qat"]
    found = pins.of(made["e2b:qat"])
    assert found and (found.called, found.source) == ("e2b:qat-q4_0", "google/gemma-4-E2B-it-qat-q4_0-unquantized")
    assert len(pins.read(places.models)) == 4
    assert [each for each in inventory.offers(places) if each.is_here] == []
    assert all(each.is_whole for each in verifying.verify(None, places, silent, Event()))


def test_towers_that_were_made_are_remembered_as_such(here: Hub, places: Paths) -> None:
    checkpoints.write(here.root / REPO, media_checkpoints.make("tower"), shards=2)
    make(places, quant="q8_0", mmproj=True)
    assert {(pin.kind, pin.quant) for pin in pins.read(places.models).values()} == {("model", "Q8_0"), ("mmproj", "")}
    assert library.find(f"{REPO}:q8_0", places).name == "gemma-tiny-it-Q8_0"
