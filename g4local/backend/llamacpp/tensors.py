"""Tensors of ggml's graph while it is computed: what they are called, what made them, and their values."""

import ctypes
from functools import cache
from typing import Any

import numpy as np
from llama_cpp._ggml import libggml
from numpy.typing import DTypeLike, NDArray

F32 = 0
"""GGML_TYPE_F32."""


class Tensor(ctypes.Structure):
    """struct ggml_tensor (ggml.h), up to the last field that is looked at."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("buffer", ctypes.c_void_p),
        ("ne", ctypes.c_int64 * 4),
        ("nb", ctypes.c_size_t * 4),
        ("op", ctypes.c_int),
        ("op_params", ctypes.c_int32 * 16),
        ("flags", ctypes.c_int32),
        ("src", ctypes.c_void_p * 10),
        ("view_src", ctypes.c_void_p),
        ("view_offs", ctypes.c_size_t),
        ("data", ctypes.c_void_p),
        ("name", ctypes.c_char * 64),
    )


def at(address: int) -> Tensor:
    """The tensor at an address, as a view of ggml's own memory."""
    return Tensor.from_address(address)


def operation(tensor: Tensor) -> str:
    """What made it, such as MUL_MAT."""
    name: bytes = _library().ggml_op_name(tensor.op)
    return name.decode()


def values(tensor: Tensor, dtype: DTypeLike) -> NDArray[Any]:
    """A copy of its values, wherever it lies, with all four dimensions; the row's length is the last of them."""
    address = ctypes.addressof(tensor)
    raw = np.empty(_library().ggml_nbytes(address), np.uint8)
    _library().ggml_backend_tensor_get(address, raw.ctypes.data, 0, raw.nbytes)
    return np.ndarray(tuple(tensor.ne)[::-1], dtype, raw, strides=tuple(tensor.nb)[::-1])


@cache
def _library() -> ctypes.CDLL:
    # const char * ggml_op_name(enum ggml_op op)
    # size_t       ggml_nbytes (const struct ggml_tensor * tensor)
    # void         ggml_backend_tensor_get(const struct ggml_tensor * tensor, void * data, size_t offset, size_t size)
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    for name, result, arguments in (
        ("ggml_op_name", ctypes.c_char_p, [ctypes.c_int]),
        ("ggml_nbytes", size, [pointer]),
        ("ggml_backend_tensor_get", None, [pointer, pointer, size, size]),
    ):
        function = getattr(libggml, name)
        function.restype, function.argtypes = result, arguments
    library: ctypes.CDLL = libggml
    return library
