"""The towers' file: the plans of the real sizes, tiny ones through mtmd, both files or neither."""

import gzip
import json
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Any

import gguf as oracle
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from g4convert import convert, gguf, mmproj
from g4convert.checkpoint import Checkpoint, SourceTensor
from g4convert.quants import dims
from g4local.core.errors import BadCheckpoint, Cancelled, G4Error, UsageError
from g4local.core.progress import Progress, silent
from tests import checkpoints, media_checkpoints
from tests.convert import media_features

FAMILY = Path(__file__).parents[1] / "golden" / "family"
SIZES = ("e2b", "e4b", "12b", "26b-a4b", "31b")
GOLDEN_TYPES = ("BF16", "F16", "Q8_0")


def golden(name: str) -> Any:
    return json.loads(gzip.decompress((FAMILY / name).read_bytes()))


def opened(size: str) -> Checkpoint:
    """A checkpoint of which only the headers exist; the 12B's names are those on the disk."""
    config = json.loads((FAMILY / f"{size}.json").read_text())
    shapes = golden("checkpoints.json.gz")[size]
    if size == "12b":
        shapes = {on_disk(name): shape for name, shape in shapes.items()}
    nowhere = Path("nowhere")
    tensors = {name: SourceTensor(name, "BF16", tuple(shape), nowhere, 0) for name, shape in sorted(shapes.items())}
    return Checkpoint(nowhere, config, tensors)


def on_disk(name: str) -> str:
    """What transformers calls a tensor of the 12B when it saves it."""
    return re.sub(r"embed_vision\.(patch_|pos_)", r"vision_embedder.\1", name).replace("multimodal_embedder.", "")


@pytest.mark.parametrize("name", GOLDEN_TYPES)
@pytest.mark.parametrize("size", SIZES)
def test_the_real_sizes_towers_are_planned_as_llama_cpp_s_converter_plans_them(size: str, name: str) -> None:
    """Recorded from its `--mmproj --dry-run`: names in order, shapes, types."""
    source = opened(size)
    _, plan = mmproj.planned(source, name)
    recorded = golden("tower_plans.json.gz")[size]
    column = 2 + GOLDEN_TYPES.index(name)
    assert [(tensor.name, list(dims(tensor.shape)), tensor.type.name) for tensor in plan.tensors] == [
        (row[0], row[1], row[column]) for row in recorded
    ]
    taken = [tensor.source.name for tensor in plan.tensors if tensor.source]
    assert sorted([*taken, *plan.skipped]) == sorted(source.tensors)
    assert all("language_model." in skipped for skipped in plan.skipped)


def test_the_sizes_are_the_known_ones() -> None:
    """Bytes of the BF16 files that Google and ggml-org offer, but for some kilobytes of keys."""
    for size, nbytes in (("e2b", 986_833_664), ("e4b", 991_552_256), ("12b", 175_115_264)):
        _, plan = mmproj.planned(opened(size), "BF16")
        assert plan.nbytes == pytest.approx(nbytes, abs=200_000), size


def test_what_the_towers_do_not_tell_is_what_transformers_takes() -> None:
    source = opened("e2b")
    spec, _ = mmproj.planned(source, "BF16")
    config = {
        **source.config,
        "vision_config": {"model_type": "gemma4_vision", "use_clipped_linears": True},
        "audio_config": {"model_type": "gemma4_audio"},
    }
    assert mmproj.planned(Checkpoint(source.folder, config, source.tensors), "BF16")[0] == spec


def written(folder: Path, recipe: str = "BF16", name: str = "BF16", **settings: Any) -> tuple[Path, Path]:
    """The model's file and the towers'."""
    model, towers = folder.with_name(f"{folder.name}.gguf"), folder.with_name(f"mmproj-{folder.name}-{name}.gguf")
    options = convert.Options(mmproj=towers, mmproj_type=name, threads=2, **settings)
    done = convert.convert(folder, model, recipe, silent, Event(), options)
    assert done.towers
    assert (done.path, done.towers.path) == (model, towers)
    assert done.towers.nbytes == towers.stat().st_size
    return model, towers


@pytest.mark.parametrize("kind", media_checkpoints.KINDS)
def test_gguf_py_reads_the_towers_back_with_pixels_and_positions_where_ggml_wants_them(
    kind: media_checkpoints.Kind, tmp_path: Path
) -> None:
    checkpoint = media_checkpoints.make(kind)
    checkpoint.dtypes = dict.fromkeys(checkpoint.tensors, "F32")
    folder = media_checkpoints.write(tmp_path / "model", checkpoint)
    _, towers = written(folder, name="F32")
    found = {tensor.name: tensor.data for tensor in oracle.GGUFReader(towers).tensors}
    _, plan = mmproj.planned(convert.checkpoint.read(folder), "F32")
    for tensor in plan.tensors:
        assert tensor.source
        expected = checkpoint.tensors[tensor.source.name]
        if tensor.name == "v.patch_embd.weight":
            side = 48 if kind == "unified" else 16
            expected = np.moveaxis(expected.reshape(-1, side, side, 3), -1, 1)
        elif tensor.name.startswith("v.patch_norm.1"):
            expected = np.moveaxis(expected.reshape(48, 48, 3), -1, 0)
        elif tensor.name == "v.position_embd.weight" and kind == "unified":
            expected = np.stack([expected[:, 0], expected[:, 1]])
        elif "per_dim_scale" in tensor.name:
            expected = np.logaddexp(0, expected.astype(np.float64)).astype(np.float32)
        assert np.array_equal(found[tensor.name].reshape(-1), expected.reshape(-1)), tensor.name


@pytest.mark.parametrize("kind", media_checkpoints.KINDS)
def test_mtmd_sees_and_hears_with_our_files(kind: media_checkpoints.Kind, tmp_path: Path) -> None:
    model, towers = written(media_checkpoints.write(tmp_path / "model", media_checkpoints.make(kind)), name="Q8_0")
    rng = np.random.default_rng(5)
    image = rng.integers(0, 255, (384, 480, 3), np.uint8)
    seen = media_features.of_llama_cpp(towers, model, image, tmp_path)
    assert seen.shape == (80, 256)
    assert np.isfinite(seen).all()
    assert seen.std() > 0.01
    if kind != "standard":
        heard = media_features.of_llama_cpp(towers, model, rng.standard_normal(32000).astype(np.float32), tmp_path)
        assert heard.shape == (50, 256)
        assert np.isfinite(heard).all()
        assert heard.std() > 0.01


def test_only_files_that_need_not_be_llama_cpp_s_own_name_the_activation(tmp_path: Path) -> None:
    folder = media_checkpoints.write(tmp_path / "model", media_checkpoints.make("standard"))
    _, towers = written(folder)
    assert gguf.read(towers).keys["clip.use_gelu"].data is True
    _, towers = written(folder, reproducible=True)
    assert not [key for key in gguf.read(towers).keys if key.startswith("g4local.") or "gelu" in key]


def test_a_bound_may_be_infinite_but_must_be_a_number(tmp_path: Path) -> None:
    checkpoint = media_checkpoints.make("tower")
    name = "model.vision_tower.encoder.layers.0.mlp.up_proj.input_max"
    folder = media_checkpoints.write(tmp_path / "model", checkpoint)
    _, towers = written(folder)
    bounds = {tensor.name: tensor.data for tensor in oracle.GGUFReader(towers).tensors}
    assert bounds["v.blk.0.ffn_up.output_min"].tolist() == [-np.inf]
    checkpoint.tensors[name] = np.array(np.nan, np.float32)
    assert name in fails(media_checkpoints.write(tmp_path / "model", checkpoint), BadCheckpoint)


@pytest.mark.parametrize("announced", [True, False])
def test_a_tower_without_tensors_is_left_out_and_missed_only_where_it_is_announced(
    announced: bool, tmp_path: Path
) -> None:
    deaf = media_checkpoints.make("tower")
    deaf.tensors = {name: values for name, values in deaf.tensors.items() if "audio" not in name}
    if not announced:
        deaf.config["audio_config"] = None
    folder = media_checkpoints.write(tmp_path / "model", deaf)
    _, towers = written(folder)
    keys = gguf.read(towers).keys
    assert "clip.has_audio_encoder" not in keys
    assert keys["clip.has_vision_encoder"].data is True
    found = convert.senses(folder)
    assert (found.sees, found.hears, found.missing) == (True, False, ("audio",) if announced else ())


def test_a_checkpoint_of_text_alone_has_no_towers_even_if_it_announces_them(tmp_path: Path) -> None:
    blind = media_checkpoints.make("tower")
    blind.tensors = {name: values for name, values in blind.tensors.items() if "language_model" in name}
    folder = media_checkpoints.write(tmp_path / "model", blind)
    assert convert.senses(folder) == mmproj.Senses(False, False, ("vision", "audio"))
    assert "text only" in fails(folder, UsageError)
    plain = checkpoints.write(tmp_path / "plain", checkpoints.make("ple"))
    assert convert.senses(plain) == mmproj.Senses(False, False, ())
    assert "text only" in fails(plain, UsageError)


def test_towers_that_config_json_does_not_speak_of_are_left_out(tmp_path: Path) -> None:
    silent_ = media_checkpoints.make("tower")
    silent_.config |= {"vision_config": None, "audio_config": None}
    assert convert.senses(media_checkpoints.write(tmp_path / "model", silent_)) == mmproj.Senses(False, False, ())


@pytest.mark.parametrize(
    ("kind", "place", "key", "value"),
    [
        ("tower", "vision_config", "hidden_size", 0),
        ("tower", "vision_config", "hidden_size", "96"),
        ("tower", "vision_config", "intermediate_size", 2**31),
        ("tower", "vision_config", "num_hidden_layers", 129),
        ("tower", "vision_config", "num_hidden_layers", True),
        ("tower", "vision_config", "num_attention_heads", 5),
        ("tower", "vision_config", "num_key_value_heads", 2),
        ("tower", "vision_config", "head_dim", 22),
        ("tower", "vision_config", "patch_size", -16),
        ("tower", "vision_config", "pooling_kernel_size", 2),
        ("tower", "vision_config", "hidden_activation", "silu"),
        ("tower", "vision_config", "rms_norm_eps", 1e-5),
        ("tower", "vision_config", "rope_parameters", {"rope_theta": 10000.0}),
        ("tower", "vision_config", "rope_parameters", 3),
        ("tower", "vision_config", "model_type", "siglip"),
        ("tower", "vision_config", "model_type", ["gemma4_vision"]),
        ("tower", "vision_config", "use_clipped_linears", "yes"),
        ("tower", "audio_config", "hidden_size", 66),
        ("tower", "audio_config", "num_attention_heads", 0),
        ("tower", "audio_config", "subsampling_conv_channels", [128]),
        ("tower", "audio_config", "subsampling_conv_channels", "128"),
        ("tower", "audio_config", "subsampling_conv_channels", [128, 0]),
        ("tower", "audio_config", "attention_chunk_size", 24),
        ("tower", "audio_config", "attention_logit_cap", 30.0),
        ("tower", "audio_config", "conv_kernel_size", 7),
        ("tower", "audio_config", "output_proj_dims", None),
        ("unified", "vision_config", "model_patch_size", 32),
        ("unified", "vision_config", "mm_posemb_size", 0),
        ("unified", "vision_config", "pooling_kernel_size", 4),
        ("unified", "audio_config", "audio_embed_dim", 320),
    ],
)
def test_an_impossible_number_of_a_tower_is_told(
    kind: media_checkpoints.Kind, place: str, key: str, value: Any, tmp_path: Path
) -> None:
    checkpoint = media_checkpoints.make(kind)
    checkpoint.config[place] = {**checkpoint.config[place], key: value}
    message = fails(media_checkpoints.write(tmp_path / "model", checkpoint), BadCheckpoint)
    assert f"{place}." in message or "config.json makes it" in message


SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.sampled_from(["", "\ud800", 128])
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)


@pytest.mark.parametrize("size", ["e2b", "12b", "31b"])
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_any_value_anywhere_in_a_tower_s_settings_is_taken_or_told(size: str, data: st.DataObject) -> None:
    source = opened(size)
    place = data.draw(st.sampled_from(["vision_config", "audio_config"]))
    given_there = source.config.get(place) or {}
    key = data.draw(st.sampled_from([*given_there, "patch_size", "hidden_size", "rope_parameters", ""]))
    value = data.draw(ANYTHING)
    config = {**source.config, place: {**given_there, key: value} if key else value}
    with suppress(BadCheckpoint, UsageError):
        mmproj.planned(Checkpoint(source.folder, config, source.tensors), "Q8_0")


@pytest.mark.parametrize("place", ["vision_config", "audio_config"])
@pytest.mark.parametrize("value", [3, "text", [1]])
def test_a_tower_s_settings_are_an_object(place: str, value: Any, tmp_path: Path) -> None:
    checkpoint = media_checkpoints.make("tower")
    checkpoint.config[place] = value
    assert place in fails(media_checkpoints.write(tmp_path / "model", checkpoint), BadCheckpoint)


@pytest.mark.parametrize("mean", [3, [0.5], ["a", "b", "c"], [0.0, float("inf"), 0.0], [True, 0, 0]])
def test_impossible_settings_for_pixels_are_told_with_their_file(mean: Any, tmp_path: Path) -> None:
    folder = media_checkpoints.write(tmp_path / "model", media_checkpoints.make("standard"))
    checkpoints.write_json(folder / "processor_config.json", {"image_processor": {"image_mean": mean}})
    assert fails(folder, BadCheckpoint).startswith("processor_config.json: 'image_mean' must be 3 numbers")


def test_settings_for_pixels_are_kept_as_numbers_with_a_point_in_either_spelling(tmp_path: Path) -> None:
    folder = media_checkpoints.write(tmp_path / "model", media_checkpoints.make("standard"))
    (folder / "processor_config.json").unlink()
    _, towers = written(folder)
    assert gguf.read(towers).keys["clip.vision.image_std"].data == [1.0, 1.0, 1.0]
    checkpoints.write_json(folder / "preprocessor_config.json", {"image_mean": [0, 1, 0], "image_std": [2, 2, 2]})
    checkpoints.write_json(folder / "processor_config.json", {"image_processor": {"image_std": [3, 3, 3]}})
    _, towers = written(folder)
    keys = gguf.read(towers).keys
    assert keys["clip.vision.image_mean"] == gguf.f32s([0.0, 1.0, 0.0])
    assert keys["clip.vision.image_std"] == gguf.f32s([3.0, 3.0, 3.0])


def test_a_missing_tensor_of_a_tower_is_told(tmp_path: Path) -> None:
    checkpoint = media_checkpoints.make("tower")
    del checkpoint.tensors["model.audio_tower.layers.1.norm_out.weight"]
    message = fails(media_checkpoints.write(tmp_path / "model", checkpoint), BadCheckpoint)
    assert "audio_tower.layers.1.norm_out.weight" in message


def test_an_unknown_type_is_told(tmp_path: Path) -> None:
    folder = media_checkpoints.write(tmp_path / "model", media_checkpoints.make("standard"))
    assert "Q4_K_M" in fails(folder, UsageError, name="Q4_K_M")


def stop_after(stage: int) -> Callable[[Event], Callable[[Progress], None]]:
    """Asks to stop when the last byte of the first or the second file is told."""

    def reporter(cancel: Event) -> Callable[[Progress], None]:
        finished: list[int] = []

        def report(progress: Progress) -> None:
            if progress.done == progress.total:
                finished.append(progress.total)
            if len(finished) == stage:
                cancel.set()

        return report

    return reporter


def test_when_one_of_both_files_fails_neither_appears(tmp_path: Path) -> None:
    folder = media_checkpoints.write(tmp_path / "model", media_checkpoints.make("tower"))
    options = convert.Options(mmproj=tmp_path / "mmproj.gguf")
    before = sorted(tmp_path.iterdir())
    cancel = Event()
    with pytest.raises(Cancelled):
        convert.convert(folder, tmp_path / "out.gguf", "Q8_0", stop_after(1)(cancel), cancel, options)
    assert sorted(tmp_path.iterdir()) == before

    class Broken(RuntimeError):
        pass

    def report(progress: Progress) -> None:
        if (tmp_path / "out.gguf.part").exists():
            raise Broken

    with pytest.raises(Broken):
        convert.convert(folder, tmp_path / "out.gguf", "Q8_0", report, Event(), options)
    assert sorted(tmp_path.iterdir()) == before


def test_room_for_both_files_is_looked_for_before_the_first_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = media_checkpoints.write(tmp_path / "model", media_checkpoints.make("unified"))
    options = convert.Options(mmproj=tmp_path / "mmproj.gguf")
    model, towers = convert.prepare(folder, "Q8_0", options).plan, convert.prepare_towers(folder, options).plan
    free = max(model.nbytes, towers.nbytes) + 50_000
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": free}))
    with pytest.raises(G4Error, match="free"):
        convert.convert(folder, tmp_path / "out.gguf", "Q8_0", pytest.fail, Event(), options)


def fails(folder: Path, kind: type[G4Error], name: str = "BF16") -> str:
    """The sentence that the conversion ends with; nothing is left of it."""
    before = sorted(folder.parent.rglob("*"))
    options = convert.Options(mmproj=folder.with_name("mmproj.gguf"), mmproj_type=name)
    with pytest.raises(kind) as caught:
        convert.convert(folder, folder.with_name("out.gguf"), "Q8_0", silent, Event(), options)
    assert type(caught.value) is kind
    assert caught.value.hint
    assert "\n" not in caught.value.message
    assert sorted(folder.parent.rglob("*")) == before
    return caught.value.message
