"""llama.cpp's own quantizing, as an oracle."""

import ctypes
import os
from pathlib import Path

from g4convert.quants import TYPES
from g4convert.recipes import RECIPES


def quantize(source: Path, target: Path, recipe: str, *, token_embedding_type: str = "") -> Path:
    """Quantize a GGUF (of several files: given the first) as llama-quantize does."""
    import llama_cpp

    quiet = llama_cpp.llama_log_callback(lambda level, text, data: None)
    llama_cpp.llama_log_set(quiet, None)
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype, params.nthread = RECIPES[recipe].file_type, 1
    if token_embedding_type:
        params.token_embedding_type = TYPES[token_embedding_type].id
    assert llama_cpp.llama_model_quantize(os.fsencode(source), os.fsencode(target), ctypes.byref(params)) == 0
    return target
