"""ggml's own quantizers through ctypes; the only module of the converter that reaches into llama_cpp.

The library is loaded from llama_cpp's folder without importing the package, which would load all of llama.cpp and set
its log handler. Calls release the interpreter, so slabs quantize side by side.
"""

import ctypes
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from g4convert.quants import DEMANDS_IMPORTANCE, TensorType
from g4convert.transforms import Floats
from g4local.core.errors import G4Error

QUANTIZATION_VERSION = 2
"""GGML_QNT_VERSION."""

_HINT = "Install g4local again; it comes with llama-cpp-python."


def quantized(values: Floats, row: int, kind: TensorType, weights: Floats | None = None) -> NDArray[np.uint8]:
    """The bytes of whole rows of `row` values each; rows are independent, so any cut gives the same bytes.

    `weights` is how much each column matters; types of `quants.DEMANDS_IMPORTANCE` can't do without.
    """
    assert values.size % row == 0 and row % kind.block == 0
    assert weights is None or weights.size == row
    assert weights is not None or kind.name not in DEMANDS_IMPORTANCE
    rows = values.size // row
    values = np.ascontiguousarray(values)
    result = np.empty(rows * kind.row_nbytes(row), np.uint8)
    weights = None if weights is None else np.ascontiguousarray(weights)
    address = None if weights is None else weights.ctypes.data
    written = _library().ggml_quantize_chunk(kind.id, values.ctypes.data, result.ctypes.data, 0, rows, row, address)
    assert written == result.nbytes, (kind.name, written, result.nbytes)
    return result


def is_valid(data: NDArray[np.uint8], kind: TensorType) -> bool:
    """Whether no value is infinite or not a number."""
    return bool(_library().ggml_validate_row_data(kind.id, data.ctypes.data, data.nbytes))


def layout(kind: TensorType) -> tuple[int, int]:
    """Values and bytes of a block, as the library has them."""
    return _library().ggml_blck_size(kind.id), _library().ggml_type_size(kind.id)


@cache
def _library() -> ctypes.CDLL:
    spec = find_spec("llama_cpp")
    if spec is None or not spec.submodule_search_locations:
        raise G4Error("llama-cpp-python is not installed.", _HINT)
    suffix = "dylib" if sys.platform == "darwin" else "so"
    path = Path(spec.submodule_search_locations[0], "lib", f"libggml-base.{suffix}")
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise G4Error(f"llama-cpp-python's library can't be loaded: {error}.", _HINT) from error
    # size_t ggml_quantize_chunk(enum ggml_type type, const float * src, void * dst,
    #                            int64_t start, int64_t nrows, int64_t n_per_row, const float * imatrix)
    library.ggml_quantize_chunk.argtypes = [
        ctypes.c_int,
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_int64,
        ctypes.c_int64,
        ctypes.c_int64,
        ctypes.c_void_p,
    ]
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    # bool ggml_validate_row_data(enum ggml_type type, const void * data, size_t nbytes)
    library.ggml_validate_row_data.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
    library.ggml_validate_row_data.restype = ctypes.c_bool
    # int64_t ggml_blck_size(enum ggml_type type)
    library.ggml_blck_size.argtypes = [ctypes.c_int]
    library.ggml_blck_size.restype = ctypes.c_int64
    # size_t ggml_type_size(enum ggml_type type)
    library.ggml_type_size.argtypes = [ctypes.c_int]
    library.ggml_type_size.restype = ctypes.c_size_t
    return library
