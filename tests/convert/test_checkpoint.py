"""Checkpoints that are missing, cut off, hostile or inconsistent: one sentence, the right class, no file."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from g4convert import checkpoint, convert, verify, writer
from g4local.core.errors import BadCheckpoint, UnknownArchitecture
from g4local.core.progress import silent
from tests import checkpoints

PREFIX = "model.language_model."


def fails(folder: Path, kind: type[BadCheckpoint] = BadCheckpoint) -> str:
    """The sentence that the conversion ends with."""
    target = folder.with_name("out.gguf")
    with pytest.raises(BadCheckpoint) as caught:
        convert.convert(folder, target, "Q8_0", silent, Event())
    assert type(caught.value) is kind
    assert caught.value.exit_code == 4
    assert caught.value.message.endswith(".")
    assert "\n" not in caught.value.message
    assert caught.value.hint
    assert not list(folder.parent.glob("out.gguf*"))
    return caught.value.message


def safetensors(header: Any, data: bytes = b"") -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + data


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert "There is no folder" in fails(tmp_path / "missing")


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_missing_file_is_named(name: str, tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path / "model", checkpoints.make("dense"))
    (folder / name).unlink()
    assert name.removeprefix("model.") in fails(folder)


@pytest.mark.parametrize("name", ["generation_config.json", "tokenizer_config.json", "chat_template.jinja"])
def test_a_file_that_is_only_useful_may_be_missing(name: str, tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path / "model", checkpoints.make("dense"))
    (folder / name).unlink()
    convert.convert(folder, tmp_path / "out.gguf", "Q8_0", silent, Event())


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"a": 1}' * 2, b"null"])
@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "generation_config.json", "tokenizer_config.json"])
def test_json_that_is_none_is_named(name: str, content: bytes, tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path / "model", checkpoints.make("dense"))
    (folder / name).write_bytes(content)
    assert name in fails(folder)


def test_a_file_that_is_cut_off_anywhere_is_told(tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path / "model", checkpoints.make("ple"))
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    length = 8 + struct.unpack("<Q", whole[:8])[0]
    cuts = {0, 1, 7, 8, 9, length - 1, length, length + 1, len(whole) // 2, len(whole) - 1}
    for cut in sorted(cuts | set(range(0, length, length // 50)) | set(range(length, len(whole), len(whole) // 50))):
        path.write_bytes(whole[:cut])
        assert "model.safetensors" in fails(folder), cut


def test_a_file_that_is_too_long_is_told(tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path / "model", checkpoints.make("dense"))
    with (folder / "model.safetensors").open("ab") as file:
        file.write(b"x")
    assert "bytes instead of" in fails(folder)


def entry(**changes: Any) -> dict[str, Any]:
    return {"dtype": "BF16", "shape": [2, 2], "data_offsets": [0, 8], **changes}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"1234567",
        struct.pack("<Q", 2**64 - 1) + b"{}",
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 100_000_001) + b"{}",
        struct.pack("<Q", 3) + b"{}",
        safetensors(b"{}x"),
        safetensors([]),
        safetensors(b"[" * 200_000),
        safetensors(b'{"a": 1' + b"0" * 5000 + b"}"),
        safetensors(
            b"{%s, %s}" % ((b'"a": {"dtype": "BF16", "shape": [2, 2], "data_offsets": [0, 8]}',) * 2), bytes(8)
        ),
        safetensors({"a": 1}, bytes(8)),
        safetensors({"a": {}}, bytes(8)),
        safetensors({"a": entry(dtype="Q4_K")}, bytes(8)),
        safetensors({"a": entry(dtype=3)}, bytes(8)),
        safetensors({"a": entry(shape=[2, -2])}, bytes(8)),
        safetensors({"a": entry(shape=[-2, -2])}, bytes(8)),
        safetensors({"a": entry(shape=[2, 2.0])}, bytes(8)),
        safetensors({"a": entry(shape=[True, 4])}, bytes(8)),
        safetensors({"a": entry(shape=[2**62, 4])}, bytes(8)),
        safetensors({"a": entry(shape=[10**400])}, bytes(8)),
        safetensors({"a": entry(shape="22")}, bytes(8)),
        safetensors({"a": entry(data_offsets=[0])}, bytes(8)),
        safetensors({"a": entry(data_offsets=[8, 0])}, bytes(8)),
        safetensors({"a": entry(data_offsets=[-8, 0])}, bytes(8)),
        safetensors({"a": entry(data_offsets=[1, 9])}, bytes(9)),
        safetensors({"a": entry(data_offsets=[2**64, 2**64 + 8])}, bytes(8)),
        safetensors({"a": entry(data_offsets=["0", "8"])}, bytes(8)),
        safetensors({"a": entry(), "b": entry()}, bytes(8)),
        safetensors({"a": entry(), "b": entry(data_offsets=[4, 12])}, bytes(12)),
        safetensors({"a": entry(), "b": entry(data_offsets=[10, 18])}, bytes(18)),
        safetensors({"a": entry()}, bytes(7)),
        safetensors({"a": entry()}, bytes(9)),
    ],
)
def test_a_hostile_header_is_told(content: bytes, tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path / "model", checkpoints.make("dense"))
    (folder / "model.safetensors").write_bytes(content)
    assert "model.safetensors" in fails(folder)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_header_with_any_bytes_changed_is_read_or_told(data: st.DataObject, own_home: Path) -> None:
    """Whatever is read lies inside the file."""
    path = own_home / "model.safetensors"
    if not (own_home / "config.json").exists():
        small = checkpoints.make("dense", num_hidden_layers=1, layer_types="f", hidden_size=8, intermediate_size=8)
        checkpoints.write(own_home, small)
        path.with_suffix(".whole").write_bytes(path.read_bytes())
    content = bytearray(path.with_suffix(".whole").read_bytes())
    header = 8 + struct.unpack_from("<Q", content)[0]
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, header - 1))
        content[at] = data.draw(st.one_of(st.integers(0, 255), st.sampled_from(b'0123456789,:"{}[]-')))
    path.write_bytes(content)
    try:
        opened = checkpoint.read(own_home)
    except BadCheckpoint:
        return
    for tensor in opened.tensors.values():
        assert tensor.start >= 0
        assert tensor.start + tensor.nbytes <= len(content)


def test_an_index_that_names_a_missing_shard_is_told(tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path / "model", checkpoints.make("dense"), shards=3)
    (folder / "model-00002-of-00003.safetensors").unlink()
    assert "model-00002-of-00003.safetensors" in fails(folder)


@pytest.mark.parametrize(
    "shard", ["../model.safetensors", "/etc/passwd", "sub/model.safetensors", "", ".", "a" * 5000, "\n"]
)
def test_an_index_never_leads_out_of_the_folder(shard: str, tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path / "model", checkpoints.make("dense"), shards=2)
    (tmp_path / "model.safetensors").write_bytes(safetensors({"a": entry()}, bytes(8)))
    change_json(folder / checkpoint.INDEX, lambda index: index["weight_map"].update({"a": shard}))
    assert checkpoint.INDEX in fails(folder)


@pytest.mark.parametrize("places", [None, [], {"a": 1}, "model.safetensors"])
def test_an_index_without_places_is_told(places: Any, tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path / "model", checkpoints.make("dense"), shards=2)
    change_json(folder / checkpoint.INDEX, lambda index: index.update({"weight_map": places}))
    assert checkpoint.INDEX in fails(folder)


def test_an_index_and_files_that_disagree_are_told(tmp_path: Path) -> None:
    name = f"{PREFIX}norm.weight"
    for number, change in enumerate(
        (
            lambda index: index["weight_map"].pop(name),
            lambda index: index["weight_map"].update({"made.up": "model-00001-of-00002.safetensors"}),
            lambda index: index["weight_map"].update(
                {name: "model-00001-of-00002.safetensors", "embed": "model-00002-of-00002.safetensors"}
            ),
        )
    ):
        folder = checkpoints.write(tmp_path / str(number) / "model", checkpoints.make("dense"), shards=2)
        change_json(folder / checkpoint.INDEX, change)
        assert "safetensors" in fails(folder)


def test_shards_without_an_index_are_taken_together(tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path / "model", checkpoints.make("dense"), shards=3)
    indexed = checkpoint.read(folder).tensors
    (folder / checkpoint.INDEX).unlink()
    assert checkpoint.read(folder).tensors == indexed
    last = folder / "model-00003-of-00003.safetensors"
    last.with_name("model-00004.safetensors").write_bytes(last.read_bytes())
    assert "another file has too" in fails(folder)


@pytest.mark.parametrize("kind", checkpoints.KINDS)
def test_any_missing_tensor_is_named(kind: checkpoints.Kind, tmp_path: Path) -> None:
    whole = checkpoints.make(kind)
    for number, name in enumerate(list(whole.tensors)[:: max(1, len(whole.tensors) // 12)]):
        lacking = checkpoints.Checkpoint(whole.config, {n: t for n, t in whole.tensors.items() if n != name})
        folder = checkpoints.write(tmp_path / str(number) / "model", lacking)
        assert fails(folder) == f"The checkpoint lacks the tensor {name.removeprefix(PREFIX)!r}."


@pytest.mark.parametrize(
    "name", ["model.language_model.layers.2.mlp.gate_proj.bias", "model.language_model.layers.6.norm.weight", "head"]
)
def test_a_tensor_without_a_rule_is_named(name: str, tmp_path: Path) -> None:
    extra = checkpoints.make("dense")
    extra.tensors[name] = extra.tensors[f"{PREFIX}norm.weight"]
    assert repr(name) in fails(checkpoints.write(tmp_path / "model", extra))


def test_the_same_tensor_under_two_prefixes_is_told(tmp_path: Path) -> None:
    double = checkpoints.make("dense")
    double.tensors["model.norm.weight"] = double.tensors[f"{PREFIX}norm.weight"]
    assert "norm.weight" in fails(checkpoints.write(tmp_path / "model", double))


def test_a_tensor_of_another_shape_is_told_with_both(tmp_path: Path) -> None:
    odd = checkpoints.make("dense")
    name = f"{PREFIX}layers.0.mlp.up_proj.weight"
    odd.tensors[name] = odd.tensors[name].T
    message = fails(checkpoints.write(tmp_path / "model", odd))
    assert "[256, 512]" in message
    assert "[512, 256]" in message


@pytest.mark.parametrize("dtype", ["U8", "F8_E4M3", "I8"])
def test_a_tensor_of_another_type_is_told(dtype: str, tmp_path: Path) -> None:
    odd = checkpoints.make("dense")
    name = f"{PREFIX}layers.0.mlp.up_proj.weight"
    odd.dtypes[name] = dtype
    message = fails(checkpoints.write(tmp_path / "model", odd))
    assert name in message
    assert dtype in message


@pytest.mark.parametrize("model_type", ["diffusion_gemma", "embedding_gemma2", "gemma3", "gemma4_vision", None])
def test_without_architectures_the_model_type_counts(model_type: str | None, tmp_path: Path) -> None:
    other = checkpoints.make("dense")
    del other.config["architectures"]
    folder = checkpoints.write(tmp_path / "model", other)
    assert convert.plan(folder, "Q8_0").tensors
    change_json(folder / "config.json", lambda config: config.update({"model_type": model_type}))
    fails(folder, UnknownArchitecture)


@pytest.mark.parametrize("named", ["Gemma4ForCausalLM", "Gemma4UnifiedForConditionalGeneration"])
def test_every_text_architecture_of_the_family_is_known(named: str, tmp_path: Path) -> None:
    other = checkpoints.make("dense")
    other.config["architectures"] = [named]
    assert convert.plan(checkpoints.write(tmp_path / "model", other), "Q8_0").tensors


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hidden_size", 0),
        ("hidden_size", -256),
        ("hidden_size", "256"),
        ("hidden_size", 256.0),
        ("hidden_size", None),
        ("hidden_size", True),
        ("num_hidden_layers", 513),
        ("num_hidden_layers", 2**70),
        ("num_attention_heads", 3),
        ("num_key_value_heads", 0),
        ("head_dim", 33),
        ("layer_types", []),
        ("layer_types", ["sliding_attention"] * 5 + ["linear_attention"]),
        ("layer_types", [["full_attention"]] * 6),
        ("layer_types", "ssssssf"),
        ("num_kv_shared_layers", 6),
        ("num_kv_shared_layers", 1),
        ("num_kv_shared_layers", -1),
        ("rope_parameters", {"full_attention": {"rope_type": "yarn"}}),
        ("rope_parameters", []),
        ("rms_norm_eps", 0),
        ("rms_norm_eps", "1e-6"),
        ("final_logit_softcapping", -3.0),
        ("final_logit_softcapping", 1e300),
        ("hidden_activation", "silu"),
        ("attention_bias", True),
        ("use_bidirectional_attention", "all"),
        ("enable_moe_block", "yes"),
        ("enable_moe_block", True),
        ("per_layer_config", {"0": {"head_dim": 128}}),
        ("per_layer_config", [1]),
        ("per_layer_config", {"0": 3}),
        ("tie_word_embeddings", False),
        ("max_position_embeddings", 2**40),
        ("sliding_window", 0),
        ("vocab_size", 10),
    ],
)
def test_an_impossible_number_in_the_config_is_told(key: str, value: Any, tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path / "model", checkpoints.make("dense"))
    change_json(folder / "config.json", lambda config: config["text_config"].update({key: value}))
    message = fails(folder)
    assert message.startswith("config.json: ") or key in ("vocab_size", "tie_word_embeddings")


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.sampled_from(["", "\ud800", "<bos>", "full_attention", 64, 256]),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.sampled_from("012ab"), children, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize(
    "name", ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", checkpoint.INDEX]
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_anywhere_in_the_small_files_is_taken_or_told(name: str, data: st.DataObject, own_home: Path) -> None:
    """A file that is taken makes a header that can be read."""
    folder = own_home / "model"
    if not folder.exists():
        small = checkpoints.make("moe", num_hidden_layers=1, layer_types="f", hidden_size=8, intermediate_size=8)
        checkpoints.write(folder, small, shards=2)
        (folder / name).with_suffix(".whole").write_bytes((folder / name).read_bytes())
    content = json.loads((folder / name).with_suffix(".whole").read_text())
    place = content
    while True:
        key = data.draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.integers(0, 2)) == 0:
            break
        place = place[key]
    place[key] = data.draw(ANYTHING)
    (folder / name).write_text(json.dumps(content))
    try:
        job = convert.prepare(folder, "Q8_0")
        (own_home / "head.gguf").write_bytes(writer.head(job.keys, job.plan) + bytes(job.plan.nbytes))
    except BadCheckpoint:
        return
    verify.check(own_home / "head.gguf", job.plan, job.keys)


def test_a_file_that_shrinks_while_it_is_read_is_told(tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path / "model", checkpoints.make("dense"))
    source = checkpoint.read(folder)
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    last = max(source.tensors.values(), key=lambda tensor: tensor.start)
    with checkpoint.rows(source.tensors.values()) as rows, pytest.raises(BadCheckpoint, match="ends inside"):
        rows.read(last, 0, last.shape[0])


def change_json(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_a_folder_that_may_not_be_looked_at_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refused(path: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    folder = checkpoints.write(tmp_path / "model", checkpoints.make("dense"))
    monkeypatch.setattr(Path, "is_file", refused)
    with pytest.raises(BadCheckpoint, match="model can't be read: Permission denied") as caught:
        checkpoint.read(folder)
    assert "rights" in caught.value.hint
