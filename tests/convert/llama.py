"""llama.cpp's own quantizing of a GGUF, through the C interface that llama-quantize uses."""

import ctypes
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from g4convert.quants import TYPES

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


def quantized(whole: Path, file_type: int, extra: Extra | None = None) -> Path:
    """The file that llama-quantize makes of another."""
    target = whole.with_suffix(".expected")
    code, said = _run(whole, target, file_type, extra or Extra(), dry=False)
    assert code == 0, said.decode(errors="replace")[-2000:]
    return target


def refuses(whole: Path, file_type: int, extra: Extra | None = None) -> bool:
    """Whether llama-quantize refuses to."""
    return _run(whole, whole.with_suffix(".expected"), file_type, extra or Extra(), dry=False)[0] != 0


def types(whole: Path, file_type: int, extra: Extra | None = None) -> dict[str, str]:
    """The type that llama-quantize would give each tensor; only the head of the file is read."""
    code, said = _run(whole, whole.with_suffix(".expected"), file_type, extra or Extra(), dry=True)
    assert code == 0, said.decode(errors="replace")[-2000:]
    return {name.decode(): (new or old).decode().upper() for name, old, new in _LINE.findall(said)}


def _run(whole: Path, target: Path, file_type: int, extra: Extra, *, dry: bool) -> tuple[int, bytes]:
    import llama_cpp as llama

    said: list[bytes] = []
    listen = llama.llama_log_callback(lambda level, text, data: said.append(text))
    llama.llama_log_set(listen, None)
    params = llama.llama_model_quantize_default_params()
    params.ftype, params.nthread, params.dry_run = file_type, 1, dry
    if extra.importance:
        params.imatrix = _importance(llama, extra.importance)
    if extra.keys:
        params.kv_overrides = _keys(llama, extra.keys)
    if extra.tensor_types:
        overrides = [(pattern.encode(), TYPES[name].id) for pattern, name in extra.tensor_types]
        params.tt_overrides = _array(llama.llama_model_tensor_override, [*overrides, (None, _NO_TYPE)])
    if extra.embedding:
        params.token_embedding_type = TYPES[extra.embedding].id
    code = llama.llama_model_quantize(os.fsencode(whole), os.fsencode(target), ctypes.byref(params))
    quiet = llama.llama_log_callback(lambda level, text, data: None)
    llama.llama_log_set(quiet, None)
    _kept.append(quiet)
    return code, b"".join(said)


_kept: list[object] = []
"""Callbacks that llama.cpp may still call."""


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
