"""The functions of ggml that llama-cpp-python does not bind: its GGUF reader and its list of devices."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from llama_cpp._ggml import libggml

from g4local.backend.host.machine import Device

_NUMBERS: dict[int, type[Any]] = {
    0: ctypes.c_uint8,
    1: ctypes.c_int8,
    2: ctypes.c_uint16,
    3: ctypes.c_int16,
    4: ctypes.c_uint32,
    5: ctypes.c_int32,
    6: ctypes.c_float,
    7: ctypes.c_bool,
    10: ctypes.c_uint64,
    11: ctypes.c_int64,
    12: ctypes.c_double,
}
"""enum gguf_type of numbers."""
_STRING = 8
_ARRAY = 9

_DEVICE_KINDS = ("cpu", "gpu", "integrated gpu", "accelerator", "meta")
"""enum ggml_backend_dev_type."""


class _InitParams(ctypes.Structure):
    # struct gguf_init_params { bool no_alloc; struct ggml_context ** ctx; };
    _fields_ = (("no_alloc", ctypes.c_bool), ("ctx", ctypes.c_void_p))


class Gguf:
    """The keys and tensors of a GGUF, while `opened`; asking for a key as what it is not gives None."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self.later: tuple[Gguf, ...] = ()
        """The other files of a GGUF that is cut into several; their tensors are told with its own."""

    def text(self, key: str) -> str | None:
        """A string."""
        index, kind = self._find(key)
        if kind != _STRING:
            return None
        value: bytes = _library().gguf_get_val_str(self._handle, index)
        return value.decode("utf-8", "replace")

    def numbers(self, key: str) -> list[int | float] | None:
        """The numbers of an array, or a single one as a list of one."""
        index, kind = self._find(key)
        if kind in _NUMBERS:
            value = ctypes.cast(
                _library().gguf_get_val_data(self._handle, index), ctypes.POINTER(_NUMBERS[kind])
            ).contents
            return [value.value]
        if kind != _ARRAY:
            return None
        element = _NUMBERS.get(_library().gguf_get_arr_type(self._handle, index))
        if element is None:
            return None
        items = _library().gguf_get_arr_n(self._handle, index)
        data = ctypes.cast(_library().gguf_get_arr_data(self._handle, index), ctypes.POINTER(element))
        return list(data[:items]) if items else []

    def number(self, key: str) -> int | float | None:
        """A single number."""
        values = self.numbers(key)
        return values[0] if values and len(values) == 1 else None

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The tensors' dimensions by name, the row's length first, always four of them."""
        library = _library()
        own = {
            library.gguf_get_tensor_name(self._handle, i).decode("utf-8", "replace"): tuple(
                library.gguf_get_tensor_ne(self._handle, i)[:4]
            )
            for i in self._tensors()
        }
        return own | {name: dims for each in self.later for name, dims in each.shapes().items()}

    def sizes(self) -> dict[str, int]:
        """The tensors' bytes by name."""
        library = _library()
        own = {
            library.gguf_get_tensor_name(self._handle, i).decode("utf-8", "replace"): library.gguf_get_tensor_size(
                self._handle, i
            )
            for i in self._tensors()
        }
        return own | {name: nbytes for each in self.later for name, nbytes in each.sizes().items()}

    def place(self, name: str) -> range:
        """The bytes of the file that hold a tensor; none when there is no such tensor in the first file."""
        library = _library()
        index = library.gguf_find_tensor(self._handle, name.encode())
        if index < 0:
            return range(0)
        start = library.gguf_get_data_offset(self._handle) + library.gguf_get_tensor_offset(self._handle, index)
        return range(start, start + library.gguf_get_tensor_size(self._handle, index))

    def places(self) -> list[range]:
        """The bytes of the first file that hold each of its tensors."""
        library = _library()
        start = library.gguf_get_data_offset(self._handle)
        begins = (start + library.gguf_get_tensor_offset(self._handle, i) for i in self._tensors())
        sizes = (library.gguf_get_tensor_size(self._handle, i) for i in self._tensors())
        return [range(begin, begin + size) for begin, size in zip(begins, sizes, strict=True)]

    def begin(self) -> int:
        """Where the first file's tensors begin: all before is its header."""
        return int(_library().gguf_get_data_offset(self._handle))

    def nbytes(self) -> int:
        """Where the first file must end, at least: after the last byte of its tensors."""
        start = _library().gguf_get_data_offset(self._handle)
        ends = (
            _library().gguf_get_tensor_offset(self._handle, i) + _library().gguf_get_tensor_size(self._handle, i)
            for i in self._tensors()
        )
        return int(start + max(ends, default=0))

    def _tensors(self) -> range:
        return range(_library().gguf_get_n_tensors(self._handle))

    def _find(self, key: str) -> tuple[int, int]:
        index = _library().gguf_find_key(self._handle, key.encode())
        return index, -1 if index < 0 else _library().gguf_get_kv_type(self._handle, index)


@contextmanager
def opened(path: Path) -> Iterator[Gguf | None]:
    """A GGUF's header, without its tensors; None when ggml can't read it (its log says why)."""
    handle = _library().gguf_init_from_file(bytes(path), _InitParams(no_alloc=True, ctx=None))
    try:
        yield Gguf(handle) if handle else None
    finally:
        if handle:
            _library().gguf_free(handle)


def devices() -> list[Device]:
    """Everything that this llama.cpp can compute on."""
    return [_device(_library().ggml_backend_dev_get(i)) for i in range(_library().ggml_backend_dev_count())]


def cpu_buffer_type() -> int:
    """The kind of buffer that lies in the machine's own memory."""
    kind: int = _library().ggml_backend_cpu_buffer_type()
    return kind


def version() -> str:
    """ggml's version and commit."""
    return f"{_library().ggml_version().decode()} ({_library().ggml_commit().decode()})"


def _device(handle: int) -> Device:
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    _library().ggml_backend_dev_memory(handle, ctypes.byref(free), ctypes.byref(total))
    kind = _library().ggml_backend_dev_type(handle)
    return Device(
        name=_library().ggml_backend_dev_name(handle).decode("utf-8", "replace"),
        description=_library().ggml_backend_dev_description(handle).decode("utf-8", "replace"),
        kind=_DEVICE_KINDS[kind] if 0 <= kind < len(_DEVICE_KINDS) else "unknown",
        free_bytes=free.value,
        total_bytes=total.value,
    )


@cache
def _library() -> ctypes.CDLL:
    # struct gguf_context * gguf_init_from_file(const char * fname, struct gguf_init_params params)
    # void         gguf_free             (struct gguf_context * ctx)
    # int64_t      gguf_find_key         (const struct gguf_context * ctx, const char * key)   -1: no such key
    # enum gguf_type gguf_get_kv_type    (const struct gguf_context * ctx, int64_t key_id)
    # enum gguf_type gguf_get_arr_type   (const struct gguf_context * ctx, int64_t key_id)
    # const char * gguf_get_val_str      (const struct gguf_context * ctx, int64_t key_id)
    # const void * gguf_get_val_data     (const struct gguf_context * ctx, int64_t key_id)
    # size_t       gguf_get_arr_n        (const struct gguf_context * ctx, int64_t key_id)
    # const void * gguf_get_arr_data     (const struct gguf_context * ctx, int64_t key_id)
    # size_t       gguf_get_data_offset  (const struct gguf_context * ctx)
    # int64_t      gguf_get_n_tensors    (const struct gguf_context * ctx)
    # int64_t      gguf_find_tensor      (const struct gguf_context * ctx, const char * name)
    # const char * gguf_get_tensor_name  (const struct gguf_context * ctx, int64_t tensor_id)
    # const int64_t * gguf_get_tensor_ne (const struct gguf_context * ctx, int64_t tensor_id)
    # size_t       gguf_get_tensor_offset(const struct gguf_context * ctx, int64_t tensor_id)
    # size_t       gguf_get_tensor_size  (const struct gguf_context * ctx, int64_t tensor_id)
    # size_t       ggml_backend_dev_count(void)
    # ggml_backend_dev_t ggml_backend_dev_get(size_t index)
    # const char * ggml_backend_dev_name (ggml_backend_dev_t device)
    # const char * ggml_backend_dev_description(ggml_backend_dev_t device)
    # enum ggml_backend_dev_type ggml_backend_dev_type(ggml_backend_dev_t device)
    # void         ggml_backend_dev_memory(ggml_backend_dev_t device, size_t * free, size_t * total)
    # ggml_backend_buffer_type_t ggml_backend_cpu_buffer_type(void)
    # const char * ggml_version(void), * ggml_commit(void)
    pointer, text, index, size = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int64, ctypes.c_size_t
    for name, result, arguments in (
        ("gguf_init_from_file", pointer, [text, _InitParams]),
        ("gguf_free", None, [pointer]),
        ("gguf_find_key", index, [pointer, text]),
        ("gguf_get_kv_type", ctypes.c_int, [pointer, index]),
        ("gguf_get_arr_type", ctypes.c_int, [pointer, index]),
        ("gguf_get_val_str", text, [pointer, index]),
        ("gguf_get_val_data", pointer, [pointer, index]),
        ("gguf_get_arr_n", size, [pointer, index]),
        ("gguf_get_arr_data", pointer, [pointer, index]),
        ("gguf_get_data_offset", size, [pointer]),
        ("gguf_get_n_tensors", index, [pointer]),
        ("gguf_find_tensor", index, [pointer, text]),
        ("gguf_get_tensor_name", text, [pointer, index]),
        ("gguf_get_tensor_ne", ctypes.POINTER(ctypes.c_int64), [pointer, index]),
        ("gguf_get_tensor_offset", size, [pointer, index]),
        ("gguf_get_tensor_size", size, [pointer, index]),
        ("ggml_backend_dev_count", size, []),
        ("ggml_backend_dev_get", pointer, [size]),
        ("ggml_backend_dev_name", text, [pointer]),
        ("ggml_backend_dev_description", text, [pointer]),
        ("ggml_backend_dev_type", ctypes.c_int, [pointer]),
        ("ggml_backend_dev_memory", None, [pointer, ctypes.POINTER(size), ctypes.POINTER(size)]),
        ("ggml_backend_cpu_buffer_type", pointer, []),
        ("ggml_version", text, []),
        ("ggml_commit", text, []),
    ):
        function = getattr(libggml, name)
        function.restype, function.argtypes = result, arguments
    library: ctypes.CDLL = libggml
    return library
