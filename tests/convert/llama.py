"""llama.cpp's own quantizing of a GGUF, through the C interface that llama-quantize uses."""

import ctypes
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from g4convert.imatrix import Importance
from g4convert.quants import TYPES
from g4convert.recipes import RECIPES

_NO_TYPE = 1 << 10
_LINE = re.compile(rb"\] +(\S+) +- \[.*?\], type = +(\S+), size = .*?(?:MiB \((\S+)\))?\n")


@dataclass(frozen=True)
class Extra:
    """What llama-quantize takes beside the file type."""

    importance: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    keys: Sequence[tuple[str, str | int]] = ()
    """Appended to the file."""
    tensor_types: Sequence[tuple[str, str]] = ()
    embedding: str = ""


def guided_by(importance: Importance) -> Extra:
    """As llama-quantize hands a matrix to the library."""
    return Extra(
        {name: importance.weights(name) for name in importance.sums},
        [
            ("quantize.imatrix.file", importance.name),
            *(("quantize.imatrix.dataset", name) for name in importance.datasets[:1]),
            ("quantize.imatrix.entries_count", len(importance.sums)),
            *(("quantize.imatrix.chunks_count", count) for count in (importance.chunks,) if count),
        ],
    )


def quantized(whole: Path, recipe: str, extra: Extra | None = None, target: Path | None = None) -> Path:
    """The file that llama-quantize makes of another (of several files: given the first)."""
    target = target or whole.with_suffix(".expected")
    code, said = _run(whole, target, recipe, extra or Extra(), dry=False)
    assert code == 0, said.decode(errors="replace")[-2000:]
    return target


def refuses(whole: Path, recipe: str) -> bool:
    """Whether llama-quantize refuses to."""
    return _run(whole, whole.with_suffix(".expected"), recipe, Extra(), dry=False)[0] != 0


def types(whole: Path, recipe: str, extra: Extra | None = None) -> dict[str, str]:
    """The type that llama-quantize would give each tensor; only the head of the file is read."""
    code, said = _run(whole, whole.with_suffix(".expected"), recipe, extra or Extra(), dry=True)
    assert code == 0, said.decode(errors="replace")[-2000:]
    return {name.decode(): (new or old).decode().upper() for name, old, new in _LINE.findall(said)}


def _run(whole: Path, target: Path, recipe: str, extra: Extra, *, dry: bool) -> tuple[int, bytes]:
    import llama_cpp as llama

    params = llama.llama_model_quantize_default_params()
    params.ftype, params.nthread, params.dry_run = RECIPES[recipe].file_type, 1, dry
    if extra.importance:
        params.imatrix = _importance(llama, extra.importance)
    if extra.keys:
        params.kv_overrides = _keys(llama, extra.keys)
    if extra.tensor_types:
        overrides = [(pattern.encode(), TYPES[name].id) for pattern, name in extra.tensor_types]
        params.tt_overrides = _array(llama.llama_model_tensor_override, [*overrides, (None, _NO_TYPE)])
    if extra.embedding:
        params.token_embedding_type = TYPES[extra.embedding].id
    with _heard(llama) as said:
        code = llama.llama_model_quantize(os.fsencode(whole), os.fsencode(target), ctypes.byref(params))
    return code, b"".join(said)


@contextmanager
def _heard(llama: Any) -> Iterator[list[bytes]]:
    """What llama.cpp says meanwhile; then it has its old handler again."""
    said: list[bytes] = []
    before, data = llama.llama_log_callback(), ctypes.c_void_p()
    llama.llama_log_get(ctypes.byref(before), ctypes.byref(data))
    listener = llama.llama_log_callback(lambda level, text, data: said.append(text))
    llama.llama_log_set(listener, None)
    try:
        yield said
    finally:
        llama.llama_log_set(before, data)


def _importance(llama: Any, importance: Mapping[str, NDArray[np.float32]]) -> Any:
    pointer = ctypes.POINTER(ctypes.c_float)
    rows = [
        (name.encode(), np.ascontiguousarray(values).ctypes.data_as(pointer), values.size)
        for name, values in importance.items()
    ]
    return _array(llama.llama_model_imatrix_data, [*rows, (None, None, 0)])


def _keys(llama: Any, keys: Sequence[tuple[str, str | int]]) -> Any:
    entries = (llama.llama_model_kv_override * (len(keys) + 1))()
    for entry, (name, value) in zip(entries, keys, strict=False):
        entry.key = name.encode()
        if isinstance(value, str):
            entry.tag, entry.value.val_str = 3, value.encode()[:127]
        else:
            entry.tag, entry.value.val_i64 = 0, value
    return entries


def _array(kind: Any, rows: Sequence[tuple[object, ...]]) -> Any:
    return (kind * len(rows))(*(kind(*row) for row in rows))
