"""llama.cpp's own sums for a model of any size: it plans a GGUF of a header and no data, and allocates nothing."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import llama_cpp.llama_cpp as llama

from g4convert import spec, writer
from g4convert.gguf import string, u32
from g4local import planner

MIB = 2**20


@dataclass(frozen=True)
class Sums:
    """Mebibytes, as the log rounds them."""

    kv_full: float
    kv_sliding: float
    compute: float
    output: float


def write(path: Path, size: str, recipe: str = "Q4_K_M") -> None:
    """A GGUF of one of the five sizes; its data is a hole in the file."""
    numbers, whole = planner.planned(size, recipe)
    keys = {
        "general.architecture": string("gemma4"),
        **spec.keys(numbers, whole.recipe.file_type),
        "gemma4.vocab_size": u32(numbers.vocab_size),
        "tokenizer.ggml.model": string("no_vocab"),
    }
    head = writer.head(keys, whole)
    with path.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + whole.nbytes)


@contextmanager
def planned(path: Path) -> Iterator[int]:
    """The model of a file, of which only the numbers are loaded."""
    params = llama.llama_model_default_params()
    params.no_alloc = True
    params.load_mode = llama.LLAMA_LOAD_MODE_NONE
    model = llama.llama_model_load_from_file(bytes(path), params)
    assert model
    try:
        yield model
    finally:
        llama.llama_model_free(model)


def log_of_context(model: int, context: int, kv_type: int, *, flash: bool, outputs: int = 1) -> None:
    """Make a context as the engine would, and free it; what it says goes to the log."""
    params = llama.llama_context_default_params()
    params.n_ctx = context
    params.n_batch = params.n_ubatch = 512
    params.n_outputs_max = outputs
    params.swa_full = False
    params.type_k = params.type_v = kv_type
    params.flash_attn_type = llama.LLAMA_FLASH_ATTN_TYPE_ENABLED if flash else llama.LLAMA_FLASH_ATTN_TYPE_DISABLED
    handle = llama.llama_init_from_model(model, params)
    assert handle
    llama.llama_free(handle)


def sums(log: str) -> Sums:
    """What a context's log says."""
    full, sliding = re.findall(r"size = +([\d.]+) MiB \(", log)
    [compute] = re.findall(r"compute buffer size = +([\d.]+)", log)
    [output] = re.findall(r"output buffer size = +([\d.]+)", log)
    return Sums(float(full), float(sliding), float(compute), float(output))
