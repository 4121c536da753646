"""Whatever number a GGUF has under a key, it is run or refused as a bad file; llama.cpp's process never ends of it."""

import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

import gguf as oracle
import numpy as np
import pytest

from tests.conftest import ROOT, Tiny

Change = tuple[int, str]
"""An offset, and bytes in hex."""

U32, I32, F32, STRING, ARRAY = 4, 5, 6, 8, 9
_FILE_IS_TO_BLAME = ("fine", "BadGguf: ", "UsageError: A context of ")


@pytest.fixture(params=["ple", "moe", "demo"])
def file(request: pytest.FixtureRequest, tiny: Tiny, demo: Path, tmp_path: Path) -> Path:
    """A copy of a model, which may be changed."""
    return Path(shutil.copy(demo if request.param == "demo" else tiny(request.param), tmp_path / "swept.gguf"))


def test_a_number_of_any_size_and_type_ends_nothing(file: Path) -> None:
    cases = list(numbers_in(file))
    assert len(cases) > 250
    assert surprising(file, cases) == []


def test_a_key_that_no_gemma_4_has_ends_nothing(file: Path) -> None:
    content = file.read_bytes()
    for key, kind, value in (
        *((key, U32, value) for key in ("nextn_predict_layers", "expert_group_count") for value in (1, 2, 2**32 - 1)),
        *(("vocab_size", U32, value) for value in (0, 2**32 - 1)),
        ("rope.scaling.type", STRING, "sideways"),
    ):
        file.write_bytes(with_key(content, f"gemma4.{key}", kind, value))
        assert surprising(file, [(f"{key} {value}", [])]) == []


def surprising(file: Path, cases: list[tuple[str, list[Change]]]) -> list[str]:
    """The cases whose outcome is neither a model that runs nor a sentence about the file."""
    answer = subprocess.run(
        [sys.executable, "-m", "tests.backend.survival", str(file)],
        input="".join(json.dumps(changes) + "\n" for _, changes in cases),
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "GGML_NO_BACKTRACE": "1"},
        check=True,
    )
    outcomes = answer.stdout.splitlines()
    assert len(outcomes) == len(cases)
    named = zip(cases, outcomes, strict=True)
    return [f"{name}: {outcome}" for (name, _), outcome in named if not outcome.startswith(_FILE_IS_TO_BLAME)]


def numbers_in(file: Path) -> Iterator[tuple[str, list[Change]]]:
    """Each number in turn as 0, 1, the most, and more of that kind, and as another type of number."""
    for key, field in oracle.GGUFReader(file).fields.items():
        if not key.startswith(("gemma4.", "tokenizer.")) or field.types[-1] == oracle.GGUFValueType.STRING:
            continue
        starts = [field.offset, *accumulate((part.nbytes for part in field.parts), initial=field.offset)][1:]
        yield from _as_other_numbers(field, starts)
        if field.types[-1] in (U32, I32, F32):
            yield from _as_another_type(field, starts)


def _as_other_numbers(field: oracle.ReaderField, starts: list[int]) -> Iterator[tuple[str, list[Change]]]:
    """The first item, the last one and all of them; a number alone is all three."""
    for value in _values(field.parts[field.data[0]][0]):
        data = value.tobytes().hex()
        for item in {field.data[0], field.data[-1]}:
            yield f"{field.name} [{item - field.data[0]}] = {value}", [(starts[item], data)]
        if len(field.data) > 1:
            yield f"{field.name} = {value}", [(starts[item], data) for item in field.data]


def _as_another_type(field: oracle.ReaderField, starts: list[int]) -> Iterator[tuple[str, list[Change]]]:
    type_at = starts[field.data[0] - (2 if field.types[0] == ARRAY else 1)]
    for kind in {U32, I32, F32} - {int(field.types[-1])}:
        for bits in ("00000000", "01000000", "ffffffff"):
            changes = [(starts[item], bits) for item in field.data]
            yield f"{field.name} as type {kind} = {bits}", [(type_at, struct.pack("<I", kind).hex()), *changes]


def _values(now: np.generic) -> list[np.generic]:
    if isinstance(now, np.bool_):
        return [np.bool_(False), np.bool_(True)]
    if isinstance(now, np.floating):
        most = np.finfo(now.dtype).max
        return [now.dtype.type(value) for value in (0, 1, most, -most, -1, np.nan, np.inf)]
    limits = np.iinfo(now.dtype)
    numbers = {0, 1, int(limits.max), int(limits.min), int(now) - 1, int(now) + 1, 2 * int(now), int(now) // 2, 1 << 16}
    return [now.dtype.type(value) for value in sorted(numbers) if limits.min <= value <= limits.max]


def with_key(content: bytes, key: str, kind: int, value: int | str) -> bytes:
    """A GGUF with one key more, and another one that keeps the data where alignment wants it."""
    added = _string(key) + struct.pack("<I", kind)
    added += _string(value) if isinstance(value, str) else struct.pack("<I", value)
    filler = _string("filler") + struct.pack("<I", STRING)
    added += filler + _string("x" * (-(len(added) + len(filler) + 8) % 32))
    tensors, keys = struct.unpack_from("<QQ", content, 8)
    return content[:8] + struct.pack("<QQ", tensors, keys + 2) + added + content[24:]


def _string(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode("ascii")
