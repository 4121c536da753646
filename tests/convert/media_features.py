"""What llama.cpp's mtmd makes of an image or a sound with our files, in a process of its own, since it may abort.

python -m tests.convert.media_features MMPROJ MODEL MEDIA.npy FEATURES.npy
"""

import ctypes
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def of_llama_cpp(mmproj: Path, model: Path, media: NDArray[Any], folder: Path) -> Floats:
    """[tokens, width]; `media` is an image [height, width, 3] of bytes, or the samples of a sound at 16 kHz."""
    given, made = folder / "media.npy", folder / "features.npy"
    np.save(given, media)
    command = [sys.executable, "-m", "tests.convert.media_features", *map(str, (mmproj, model, given, made))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    features: Floats = np.load(made)
    return features


def main(mmproj: str, model: str, given: str, made: str) -> None:
    """The child's work."""
    import llama_cpp
    from llama_cpp import mtmd_cpp

    llama_cpp.llama_backend_init()
    settings = llama_cpp.llama_model_default_params()
    settings.use_extra_bufts, settings.n_gpu_layers = False, 0
    text = llama_cpp.llama_model_load_from_file(os.fsencode(model), settings)
    assert text
    params = mtmd_cpp.mtmd_context_params_default()
    params.use_gpu, params.n_threads, params.warmup, params.flash_attn_type = False, 2, False, 0
    context = mtmd_cpp.mtmd_init_from_file(os.fsencode(mmproj), text, params)
    assert context
    media = np.load(given)
    raw = media.tobytes()
    if media.dtype == np.uint8:
        assert mtmd_cpp.mtmd_support_vision(context)
        pixels = (ctypes.c_uint8 * len(raw)).from_buffer_copy(raw)
        bitmap = mtmd_cpp.mtmd_bitmap_init(media.shape[1], media.shape[0], pixels)
    else:
        assert mtmd_cpp.mtmd_support_audio(context)
        samples = (ctypes.c_float * media.size).from_buffer_copy(raw)
        bitmap = mtmd_cpp.mtmd_bitmap_init_from_audio(media.size, samples)
    marker = mtmd_cpp.mtmd_default_marker()
    chunks = mtmd_cpp.mtmd_input_chunks_init()
    prompt = mtmd_cpp.mtmd_input_text(marker, len(marker), False, True)
    bitmaps = (mtmd_cpp.mtmd_bitmap_p_ctypes * 1)(bitmap)
    assert mtmd_cpp.mtmd_tokenize(context, chunks, ctypes.byref(prompt), bitmaps, 1) == 0
    width = llama_cpp.llama_model_n_embd_inp(text)
    found = []
    for index in range(mtmd_cpp.mtmd_input_chunks_size(chunks)):
        chunk = mtmd_cpp.mtmd_input_chunks_get(chunks, index)
        if mtmd_cpp.mtmd_input_chunk_get_type(chunk) != mtmd_cpp.MTMD_INPUT_CHUNK_TYPE_TEXT:
            assert mtmd_cpp.mtmd_encode_chunk(context, chunk) == 0
            count = mtmd_cpp.mtmd_input_chunk_get_n_tokens(chunk)
            values = mtmd_cpp.mtmd_get_output_embd(context)
            found.append(np.ctypeslib.as_array(values, (count, width)).copy())
    np.save(made, np.concatenate(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
