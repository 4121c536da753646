"""The GGUF reader believes nothing, and reads what others write."""

import os
import struct
from pathlib import Path
from threading import Event

import gguf as oracle
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from g4convert import convert, ggml, gguf, verify, writer
from g4convert.gguf import Omitted, Value, ValueType
from g4convert.quants import TYPES
from g4local.core.errors import BadGguf, ModelNotFound
from g4local.core.progress import silent
from tests import checkpoints

ARCHITECTURE = b"\x14\0\0\0\0\0\0\0general.architecture\x08\0\0\0"
"""The beginning of a key whose value is text."""


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GGUF of a tiny model."""
    folder = checkpoints.write(tmp_path_factory.mktemp("gguf") / "model", checkpoints.make("moe"))
    target = folder.with_name("model.gguf")
    convert.convert(folder, target, "Q4_K_M", silent, Event())
    return target


def small(path: Path) -> Path:
    """A GGUF with every kind of value and two tensors, written by gguf-py."""
    file = oracle.GGUFWriter(path, "test")
    for bits in (8, 16, 32, 64):
        getattr(file, f"add_uint{bits}")(f"u{bits}", 2**bits - 1)
        getattr(file, f"add_int{bits}")(f"i{bits}", -(2 ** (bits - 1)))
    file.add_float32("f32", 1.5)
    file.add_float64("f64", 0.1)
    file.add_bool("yes", True)
    file.add_string("text", "grün \u2581")
    file.add_array("numbers", [1, -2, 3])
    file.add_array("reals", [0.5, 0.25])
    file.add_array("flags", [True, False])
    file.add_array("texts", ["a", "", "ü" * 100])
    file.add_tensor("first", np.arange(12, dtype=np.float32).reshape(3, 4))
    file.add_tensor("second", np.arange(5, dtype=np.float16))
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()
    return path


def test_it_reads_what_gguf_py_writes(tmp_path: Path) -> None:
    found = gguf.read(small(tmp_path / "small.gguf"))
    assert {name: value.data for name, value in found.keys.items()} == {
        "general.architecture": "test",
        **{f"u{bits}": 2**bits - 1 for bits in (8, 16, 32, 64)},
        **{f"i{bits}": -(2 ** (bits - 1)) for bits in (8, 16, 32, 64)},
        "f32": 1.5,
        "f64": 0.1,
        "yes": True,
        "text": "grün \u2581",
        "numbers": [1, -2, 3],
        "reals": [0.5, 0.25],
        "flags": [True, False],
        "texts": ["a", "", "ü" * 100],
    }
    assert [(tensor.name, tensor.dims, tensor.type.name, tensor.offset) for tensor in found.tensors] == [
        ("first", (4, 3), "F32", 0),
        ("second", (5,), "F16", 64),
    ]
    assert found.alignment == 32
    assert found.data_start % 32 == 0


def test_it_finds_in_our_files_what_gguf_py_finds(example: Path) -> None:
    reader, found = oracle.GGUFReader(example), gguf.read(example)
    assert [name for name in reader.fields if not name.startswith("GGUF.")] == list(found.keys)
    for name, value in found.keys.items():
        field = reader.fields[name]
        assert [ValueType(kind) for kind in field.types] == [value.type, *([value.element] if value.element else [])]
        assert field.contents() == value.data
    assert [
        (tensor.name, tuple(tensor.shape.tolist()), tensor.tensor_type.name, tensor.data_offset, tensor.n_bytes)
        for tensor in reader.tensors
    ] == [
        (tensor.name, tensor.dims, tensor.type.name, found.data_start + tensor.offset, tensor.nbytes)
        for tensor in found.tensors
    ]


def test_long_arrays_can_be_left_out(example: Path) -> None:
    whole, short = gguf.read(example), gguf.read(example, longest=20)
    for name, value in whole.keys.items():
        if isinstance(value.data, list) and len(value.data) > 20:
            assert short.keys[name] == Value(value.type, Omitted(len(value.data)), value.element)
        else:
            assert short.keys[name] == value
    assert isinstance(short.keys["tokenizer.ggml.tokens"].data, Omitted)
    assert isinstance(short.keys["tokenizer.ggml.token_type"].data, Omitted)
    assert short.tensors == whole.tensors


def test_a_missing_file_is_another_error_than_a_bad_one(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="There is no file"):
        gguf.read(tmp_path / "missing.gguf")
    with pytest.raises(BadGguf):
        gguf.read(tmp_path)
    os.mkfifo(tmp_path / "pipe.gguf")
    for path in (tmp_path / "pipe.gguf", Path("/dev/zero")):
        with pytest.raises(BadGguf, match="is no file"):
            gguf.read(path)


def header(keys: bytes = b"", key_count: int = 0, tensors: bytes = b"", tensor_count: int = 0) -> bytes:
    content = b"GGUF" + struct.pack("<IQQ", 3, tensor_count, key_count) + keys + tensors
    return content + bytes(-len(content) % 32)


def key(name: str, kind: int, value: bytes) -> bytes:
    return struct.pack("<Q", len(name)) + name.encode() + struct.pack("<I", kind) + value


def tensor(name: str = "t", dims: tuple[int, ...] = (32,), kind: int = 0, offset: int = 0) -> bytes:
    head = struct.pack("<Q", len(name)) + name.encode()
    return head + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, offset)


BAD = {
    "empty": (b"", "empty"),
    "three bytes": (b"GGU", "does not begin"),
    "flipped magic": (b"GGUG" + header()[4:], "does not begin"),
    "a zip": (b"PK\x03\x04" + bytes(100), "does not begin"),
    "only the magic": (b"GGUF", "ends"),
    "version 1": (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "version 1"),
    "version 4": (b"GGUF" + struct.pack("<IQQ", 4, 0, 0), "version 4"),
    "big-endian": (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "big-endian"),
    "countless keys": (header(key_count=2**63), "ends"),
    "countless tensors": (header(tensor_count=2**64 - 1), "ends"),
    "a long key name": (header(struct.pack("<Q", 2**63) + bytes(40), 1), "ends"),
    "a key twice": (header(key("a", 4, bytes(4)) * 2, 2), "twice"),
    "a key that is not UTF-8": (header(struct.pack("<Q", 1) + b"\xff" + struct.pack("<II", 4, 1), 1), "not UTF-8"),
    "an unknown value type": (header(key("a", 13, bytes(8)), 1), "unknown value type 13"),
    "an array of arrays": (header(key("a", 9, struct.pack("<IQ", 9, 1)), 1), "array of arrays"),
    "a long array": (header(key("a", 9, struct.pack("<IQ", 4, 2**62)), 1), "ends"),
    "a long array of strings": (header(key("a", 9, struct.pack("<IQ", 8, 2**61)), 1), "ends"),
    "a string too long": (header(key("a", 8, struct.pack("<Q", 1000)), 1), "ends"),
    "strings that end early": (header(key("a", 9, struct.pack("<IQQ", 8, 1, 2**64 - 1)), 1), "ends"),
    "alignment 0": (header(key("general.alignment", 4, struct.pack("<I", 0)), 1), "power of two"),
    "alignment 24": (header(key("general.alignment", 4, struct.pack("<I", 24)), 1), "power of two"),
    "alignment as text": (header(key("general.alignment", 8, struct.pack("<Q", 0)), 1), "power of two"),
    "a tensor twice": (header(tensors=tensor() + tensor(offset=128), tensor_count=2) + bytes(256), "twice"),
    "five dimensions": (header(tensors=tensor(dims=(1,) * 5), tensor_count=1) + bytes(128), "5 dimensions"),
    "an unknown type": (header(tensors=tensor(kind=4), tensor_count=1) + bytes(128), "unknown type 4"),
    "half a block": (header(tensors=tensor(dims=(16,), kind=2), tensor_count=1) + bytes(128), "impossible dimensions"),
    "too many values": (header(tensors=tensor(dims=(2**40,) * 4), tensor_count=1), "impossible dimensions"),
    "a long name": (header(tensors=tensor("t" * 64), tensor_count=1) + bytes(128), "63 bytes"),
    "an odd offset": (header(tensors=tensor(offset=32), tensor_count=1) + bytes(256), "offset 32 instead of 0"),
    "an overlap": (header(tensors=tensor("a") + tensor("b", offset=64), tensor_count=2) + bytes(256), "instead of 128"),
    "no data": (header(tensors=tensor(), tensor_count=1), "before the data"),
    "data cut off": (header(tensors=tensor(), tensor_count=1) + bytes(127), "before the data"),
}


@pytest.mark.parametrize("longest", [None, 0])
@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_one_sentence(name: str, longest: int | None, tmp_path: Path) -> None:
    content, said = BAD[name]
    path = tmp_path / "bad.gguf"
    path.write_bytes(content)
    with pytest.raises(BadGguf) as caught:
        gguf.read(path, longest)
    assert said in caught.value.message
    assert path.name in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.hint
    assert caught.value.exit_code == 4


def test_a_whole_file_with_one_tensor_is_read(tmp_path: Path) -> None:
    """The pattern that the bad files are made of is good itself."""
    path = tmp_path / "good.gguf"
    path.write_bytes(header(key("a", 4, bytes(4)), 1, tensor(), 1) + bytes(128))
    assert gguf.read(path).tensors[0].nbytes == 128


def sparse(path: Path, head: bytes, nbytes: int) -> Path:
    """A file that begins with `head` and goes on with zeros."""
    path.write_bytes(head)
    os.truncate(path, nbytes)
    return path


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 10**9), longest=st.sampled_from([None, 0]))
def test_a_file_that_is_cut_off_anywhere_is_bad(cut: int, longest: int | None, example: Path, own_home: Path) -> None:
    found = gguf.read(example, longest=0)
    end = found.data_start + found.tensors[-1].offset + found.tensors[-1].nbytes
    nbytes = cut % (found.data_start if cut % 2 else end)
    head = example.read_bytes()[: found.data_start]
    with pytest.raises(BadGguf):
        gguf.read(sparse(own_home / "cut.gguf", head, nbytes), longest)


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), longest=st.sampled_from([None, 0]), own=st.booleans())
def test_a_file_with_any_bytes_changed_is_read_or_bad(
    data: st.DataObject, longest: int | None, own: bool, example: Path, own_home: Path
) -> None:
    """Nothing but BadGguf comes out, and every tensor that is told lies in the file."""
    whole = gguf.read(example if own else small(own_home / "small.gguf"), longest=0)
    head = bytearray(whole.path.read_bytes()[: whole.data_start])
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(head) - 1) | st.integers(0, 23))
        width = data.draw(st.sampled_from([1, 4, 8]))
        number = data.draw(st.integers(0, 255) | st.sampled_from([2**31, 2**32 - 1, 2**63, 2**64 - 1]))
        head[at : at + width] = (number % 256**width).to_bytes(width, "little")
    path = sparse(own_home / "changed.gguf", head[: whole.data_start], whole.nbytes)
    try:
        found = gguf.read(path, longest)
    except BadGguf:
        return
    for tensor in found.tensors:
        assert found.data_start + tensor.offset + tensor.nbytes <= whole.nbytes


def test_every_type_has_the_blocks_that_ggml_has() -> None:
    for entry in TYPES.values():
        assert ggml.layout(entry) == (entry.block, entry.nbytes), entry.name
    numbers = {kind.name: kind.value for kind in oracle.GGMLQuantizationType}
    assert {name: entry.id for name, entry in TYPES.items() if name in numbers} == numbers


@pytest.mark.parametrize("change", ["key", "tensor", "longer"])
def test_verify_finds_a_file_that_is_not_as_planned(change: str, tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path / "model", checkpoints.make("dense"))
    job = convert.prepare(folder, "Q8_0")
    other = convert.plan(folder, "Q4_0") if change == "tensor" else job.plan
    keys = {**job.keys, "more": gguf.u32(1)} if change == "key" else job.keys
    path = tmp_path / "out.gguf"
    path.write_bytes(writer.head(keys, other) + bytes(other.nbytes + (32 if change == "longer" else 0)))
    with pytest.raises(BadGguf):
        verify.check(path, job.plan, job.keys)
    path.write_bytes(writer.head(job.keys, job.plan) + bytes(job.plan.nbytes))
    verify.check(path, job.plan, job.keys)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", ""),
        (b"GGUF", ""),
        (b"GGML" + bytes(20) + ARCHITECTURE + b"\4\0\0\0\0\0\0\0clip", ""),
        (b"GGUF" + bytes(20) + ARCHITECTURE + b"\4\0\0\0\0\0\0\0clip and more", "clip"),
        (b"GGUF" + bytes(20) + ARCHITECTURE + b"\4\0\0", ""),
        (b"GGUF" + bytes(20) + ARCHITECTURE + b"\xff" * 8 + b"clip", "clip"),
        (b"GGUF" + bytes(20) + ARCHITECTURE.replace(b"\x08", b"\x09") + b"\4\0\0\0\0\0\0\0clip", ""),
        (b"GGUF" + bytes(20) + ARCHITECTURE + b"\1\0\0\0\0\0\0\0\xff", "\ufffd"),
    ],
)
def test_a_file_s_architecture_is_its_first_key_or_nothing(content: bytes, expected: str, tmp_path: Path) -> None:
    (tmp_path / "file.gguf").write_bytes(content)
    assert gguf.architecture(tmp_path / "file.gguf") == expected
    assert gguf.architecture(tmp_path / "missing.gguf") == ""
    assert gguf.architecture(tmp_path) == ""
    os.mkfifo(tmp_path / "pipe.gguf")
    assert gguf.architecture(tmp_path / "pipe.gguf") == ""
