"""A small quantized model made on the spot, to find out whether this machine survives llama.cpp's matrix products.

Its weights mean nothing; their types are those that a converted Gemma 4 has, and their rows are many enough for the
tiles of AMX and for llama.cpp's repacked layouts. The architecture is the plainest that llama.cpp knows.
"""

import math
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import llama_cpp.llama_cpp as llama

from g4local.backend.llamacpp.log import listen
from g4local.core.errors import EngineError

_WIDTH = 256
"""Values in every row; the smallest that K-quants take."""
_TOKENS = 64
_U32, _F32, _STRING = 4, 6, 8

_TYPES = {"F32": 0, "Q4_0": 2, "Q8_0": 8, "Q4_K": 12, "Q5_K": 13, "Q6_K": 14}
"""enum ggml_type."""
_MATRICES = {
    "token_embd": "Q6_K",
    "blk.0.attn_q": "Q4_K",
    "blk.0.attn_k": "Q4_0",
    "blk.0.attn_v": "Q6_K",
    "blk.0.attn_output": "Q8_0",
    "blk.0.ffn_gate": "Q4_K",
    "blk.0.ffn_up": "Q5_K",
    "blk.0.ffn_down": "Q6_K",
}
_VECTORS = ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm")


def run(*, extra_buffers: bool) -> None:
    """Compute a batch and a single token; EngineError when llama.cpp refuses or the result is no number."""
    listen()
    with ExitStack() as closing:
        path = Path(closing.enter_context(TemporaryDirectory()), "probe.gguf")
        path.write_bytes(_gguf())
        params = llama.llama_model_default_params()
        params.n_gpu_layers = 0
        params.use_extra_bufts = extra_buffers
        model = llama.llama_model_load_from_file(bytes(path), params)
        if model is None:
            raise EngineError(f"llama.cpp can't load the probe's model: {listen().complaint()}.")
        closing.callback(llama.llama_model_free, model)
        context_params = llama.llama_context_default_params()
        context_params.n_ctx = 2 * _TOKENS
        context = llama.llama_init_from_model(model, context_params)
        if context is None:
            raise EngineError(f"llama.cpp can't make the probe's context: {listen().complaint()}.")
        closing.callback(llama.llama_free, context)
        for tokens in (range(_TOKENS), [1]):
            _decode(context, list(tokens))


def _decode(context: int, tokens: list[int]) -> None:
    ids = (llama.llama_token * len(tokens))(*tokens)  # the batch only points to it
    if code := llama.llama_decode(context, llama.llama_batch_get_one(ids, len(ids))):
        raise EngineError(f"llama.cpp can't compute with the probe's model (code {code}).")
    if not all(math.isfinite(value) for value in llama.llama_get_logits_ith(context, -1)[:_WIDTH]):
        raise EngineError("llama.cpp computes wrong numbers on this machine.")


def _gguf() -> bytes:
    """The model as a file: header, keys, tensors' places, then the tensors, each padded to 32 bytes."""
    keys: dict[str, str | int | float] = {
        "general.architecture": "llama",
        "llama.context_length": 2 * _TOKENS,
        "llama.embedding_length": _WIDTH,
        "llama.block_count": 1,
        "llama.feed_forward_length": _WIDTH,
        "llama.attention.head_count": 4,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.dimension_count": _WIDTH // 4,
        "llama.vocab_size": _WIDTH,
        "tokenizer.ggml.model": "no_vocab",
    }
    random = Random(0)
    tensors: list[tuple[str, str, tuple[int, ...], bytes]] = [
        (name, kind, (_WIDTH, _WIDTH), _matrix(kind, random)) for name, kind in _MATRICES.items()
    ]
    tensors += [(name, "F32", (_WIDTH,), struct.pack("<f", 1.0) * _WIDTH) for name in _VECTORS]
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    head += b"".join(_key(name, value) for name, value in keys.items())
    offset = 0
    for name, kind, shape, data in tensors:
        head += _string(f"{name}.weight") + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape)
        head += struct.pack("<IQ", _TYPES[kind], offset)
        offset += len(_padded(data))
    return _padded(head) + b"".join(_padded(data) for *_, data in tensors)


def _matrix(kind: str, random: Random) -> bytes:
    return b"".join(_blocks(kind, _WIDTH * _WIDTH, random))


def _blocks(kind: str, values: int, random: Random) -> Iterator[bytes]:
    """Blocks with random quants and small scales (`e` is a half float): the layouts of ggml-common.h."""
    small = struct.pack("<e", 0.01)
    for _ in range(values // (32 if kind in ("Q4_0", "Q8_0") else 256)):
        match kind:
            case "Q4_0":
                yield small + random.randbytes(16)
            case "Q8_0":
                yield struct.pack("<e", 0.0005) + random.randbytes(32)
            case "Q4_K":
                yield struct.pack("<ee", 0.0002, 0.001) + random.randbytes(12 + 128)
            case "Q5_K":
                yield struct.pack("<ee", 0.0001, 0.001) + random.randbytes(12 + 32 + 128)
            case _:
                yield random.randbytes(128 + 64 + 16) + struct.pack("<e", 0.00002)


def _key(name: str, value: str | int | float) -> bytes:
    if isinstance(value, str):
        return _string(name) + struct.pack("<I", _STRING) + _string(value)
    if isinstance(value, int):
        return _string(name) + struct.pack("<II", _U32, value)
    return _string(name) + struct.pack("<If", _F32, value)


def _string(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode("ascii")


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 32)
