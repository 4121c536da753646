"""What tells a model's file, and all else that a state depends on, from every other one."""

import hashlib
import json
from collections.abc import Iterable

import llama_cpp.llama_cpp as llama

from g4local.backend.engine import LoadOptions
from g4local.backend.fit.fitting import Fit
from g4local.backend.fit.memory import flash_attention
from g4local.backend.llamacpp import ggml
from g4local.backend.model.header import File, Header

_SAMPLE = 4096
"""Bytes that are looked at in the middle of each tensor."""


def key(options: LoadOptions, head: Header, fit: Fit) -> str:
    """A hash of all that a state depends on beside its tokens; the context's size is not among that."""
    on_gpu = fit.placement.layers > 0
    parts = {
        "model": _fingerprint(head.files),
        "llama_cpp": [llama.llama_version().decode("utf-8", "replace"), ggml.version()],
        "kv_type": fit.setting.kv_type,
        "flash": flash_attention(head.model.shape, fit.setting.context, fit.setting.kv_type, on_gpu=on_gpu),
        "on_gpu": on_gpu,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _fingerprint(files: Iterable[File]) -> str:
    """A hash of a GGUF's files: of their sizes, of all that comes before their weights, and of a sample of each tensor.

    Models that were tuned further or quantized otherwise differ in all of a tensor or in none of it.
    """
    digest = hashlib.sha256()
    for each in files:
        with each.path.open("rb", buffering=0) as file:
            digest.update(b"%d %d\n" % (file.seek(0, 2), each.begin))
            file.seek(0)
            digest.update(file.read(each.begin))
            for place in sorted(each.tensors, key=lambda place: place.start):
                file.seek((place.start + place.stop) // 2)
                digest.update(file.read(_SAMPLE))
    return digest.hexdigest()
