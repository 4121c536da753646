"""What llama.cpp and transformers make of the same tokens: all logits, and what the routers thought."""

import ctypes
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from g4local.backend.llamacpp.log import listen

Floats = NDArray[np.float32]


@dataclass
class Pass:
    """One forward pass."""

    logits: Floats
    """[tokens, vocabulary]"""
    routers: dict[int, Floats]
    """[tokens, experts] for each layer with experts: any number that grows with the chance of being picked."""


def of_llama_cpp(path: Path, texts: Sequence[Sequence[int]], cache_type: int = 0) -> list[Pass]:
    """Through llama.cpp's low-level API, in float32 but for its table of GELU values (float16).

    `cache_type` is that of keys and values: 0 is float32, 1 is float16.
    """
    import llama_cpp

    listen()
    llama_cpp.llama_backend_init()
    settings = llama_cpp.llama_model_default_params()
    settings.use_extra_bufts = False
    settings.n_gpu_layers = 0
    model = llama_cpp.llama_model_load_from_file(os.fsencode(path), settings)
    assert model
    passes = [_decoded(llama_cpp, model, tokens, cache_type) for tokens in texts]
    llama_cpp.llama_model_free(model)
    return passes


def _decoded(llama_cpp: Any, model: Any, tokens: Sequence[int], cache_type: int) -> Pass:
    routers: dict[int, Floats] = {}
    watch = llama_cpp.ggml_backend_sched_eval_callback(_router_watcher(llama_cpp, routers, len(tokens)))
    params = llama_cpp.llama_context_default_params()
    params.n_ctx = params.n_batch = params.n_ubatch = params.n_outputs_max = len(tokens)
    params.n_threads = params.n_threads_batch = 1
    params.swa_full = False
    params.flash_attn_type = 0
    params.type_k = params.type_v = cache_type
    params.cb_eval = watch
    context = llama_cpp.llama_init_from_model(model, params)
    assert context
    batch = llama_cpp.llama_batch_init(len(tokens), 0, 1)
    batch.n_tokens = len(tokens)
    for place, token in enumerate(tokens):
        batch.token[place], batch.pos[place], batch.logits[place] = token, place, 1
        batch.n_seq_id[place], batch.seq_id[place][0] = 1, 0
    assert llama_cpp.llama_decode(context, batch) == 0
    size = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
    logits = np.ctypeslib.as_array(llama_cpp.llama_get_logits(context), (len(tokens), size)).copy()
    llama_cpp.llama_batch_free(batch)
    llama_cpp.llama_free(context)
    return Pass(logits, routers)


def of_transformers(folder: Path, texts: Sequence[Sequence[int]]) -> list[Pass]:
    """Through transformers' own Gemma 4, in float32."""
    import torch
    from transformers import Gemma4ForConditionalGeneration

    model = Gemma4ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    model.eval()
    routers: dict[int, Floats] = {}
    for name, module in model.named_modules():
        if name.endswith(".router"):
            layer = int(name.split(".")[-2])
            module.register_forward_hook(
                lambda _, __, output, layer=layer: routers.update({layer: output[0].detach().numpy().copy()})
            )
    passes = []
    for tokens in texts:
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([list(tokens)])).logits[0].numpy()
        passes.append(Pass(logits, dict(routers)))
    return passes


def divergence(expected: Floats, found: Floats) -> NDArray[np.float64]:
    """The Kullback-Leibler divergence of the next token's distribution at every position, in nats."""
    p, q = (_log_softmax(logits.astype(np.float64)) for logits in (expected, found))
    result: NDArray[np.float64] = (np.exp(p) * (p - q)).sum(-1)
    return result


def routed_alike(expected: Pass, found: Pass, used: int) -> NDArray[np.bool_]:
    """At which positions no router picked other experts."""
    alike = np.ones(len(expected.logits), bool)
    assert expected.routers.keys() == found.routers.keys()
    for layer, scores in expected.routers.items():
        picked = [np.sort(np.argsort(-numbers, axis=-1)[:, :used]) for numbers in (scores, found.routers[layer])]
        alike &= (picked[0] == picked[1]).all(-1)
    return alike


def _log_softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def _router_watcher(llama_cpp: Any, routers: dict[int, Floats], tokens: int) -> Any:
    """A callback that copies the router's logits of every layer."""
    library = ctypes.CDLL(str(Path(llama_cpp.__file__).parent / "lib" / _library_name()))
    library.ggml_get_name.argtypes = [ctypes.c_void_p]
    library.ggml_get_name.restype = ctypes.c_char_p
    library.ggml_nbytes.argtypes = [ctypes.c_void_p]
    library.ggml_nbytes.restype = ctypes.c_size_t
    library.ggml_backend_tensor_get.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t]

    def watch(tensor: int, ask: bool, data: int) -> bool:
        name = library.ggml_get_name(tensor).decode()
        wanted: bool = name.startswith("ffn_moe_logits-")
        if wanted and not ask:
            values = np.empty(library.ggml_nbytes(tensor) // 4, np.float32)
            library.ggml_backend_tensor_get(tensor, values.ctypes.data, 0, values.nbytes)
            routers[int(name.rsplit("-", 1)[1])] = values.reshape(tokens, -1)
        return wanted or not ask

    return watch


def _library_name() -> str:
    return "libggml-base.dylib" if os.uname().sysname == "Darwin" else "libggml-base.so"
