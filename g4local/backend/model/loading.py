"""Loading a model with llama.cpp as `fitting` settled it, and the context that it runs in."""

import ctypes
import re
from pathlib import Path
from typing import Any, NamedTuple

import llama_cpp.llama_cpp as llama

from g4local.backend.engine import MOST_THREADS, KvType, LoadOptions
from g4local.backend.fit import fitting
from g4local.backend.fit.fitting import Fit, Resources
from g4local.backend.fit.memory import BATCH, Placement, flash_attention
from g4local.backend.fit.shape import MOST_LAYERS
from g4local.backend.host import machine, pages
from g4local.backend.llamacpp import ggml, nextn
from g4local.backend.llamacpp.crowd import Threads
from g4local.backend.llamacpp.log import listen
from g4local.backend.llamacpp.stop import StopFlag
from g4local.backend.model.assistant import Assistant
from g4local.backend.model.header import Header
from g4local.backend.process.child import OUT_OF_MEMORY
from g4local.core.errors import AGAIN, BadGguf, Cancelled, DoesNotFit, EngineError, G4Error, UsageError
from g4local.core.progress import Progress, Report

_OUT_OF_MEMORY = re.compile(rf"allocate|{OUT_OF_MEMORY}")
"""Found in what llama.cpp says when the system gives it no memory."""
_LET_GO_PERCENT = 4
"""After so much of a load, pages of repacked weights are let go of."""
_GGML_TYPES: dict[KvType, int] = {"f16": llama.GGML_TYPE_F16, "q8_0": llama.GGML_TYPE_Q8_0}


class Context(NamedTuple):
    """llama.cpp's context, and how it was made."""

    handle: int
    params: Any
    """llama_context_params."""
    threads: Threads | None
    """What minds other programs while it computes; None where GPUs do, and with flash attention, whose sums depend on
    the number of threads."""


class _Override(ctypes.Structure):
    # struct llama_model_tensor_buft_override { const char * pattern; ggml_backend_buffer_type_t buft; };
    _fields_ = (("pattern", ctypes.c_char_p), ("buft", ctypes.c_void_p))


def check(options: LoadOptions) -> None:
    """UsageError for numbers that llama.cpp would hang of, or wrap."""
    for name, value, low, high in (
        ("threads", options.threads, 0, MOST_THREADS),
        ("batch_threads", options.batch_threads, 0, MOST_THREADS),
        ("gpu_layers", options.gpu_layers or 0, -1, MOST_LAYERS),
    ):
        if not low <= value <= high:
            raise UsageError(f"{name} is {value}.", f"It must be from {low} to {high}.")


def resources() -> Resources:
    """What this machine has for a model now."""
    return fitting.resources(ggml.devices() if llama.llama_supports_gpu_offload() else ())


def load(options: LoadOptions, head: Header, fit: Fit, stop: StopFlag, report: Report) -> int:
    """The model, which the caller frees; BadGguf or DoesNotFit when llama.cpp can't load it, Cancelled by the flag."""
    told, keep = -1, range(0) if fit.setting.lazy else head.table

    def on_progress(fraction: float, user_data: int | None) -> bool:
        nonlocal told
        if (percent := int(fraction * 100)) != told:
            told = percent
            report(Progress("load", percent, 100))
            if params.use_extra_bufts and percent % _LET_GO_PERCENT == 0:
                pages.let_go(options.path, keep)
        return not stop.is_set()

    listen().forget()
    overrides = _overrides(fit.placement)
    params = llama.llama_model_default_params()
    params.n_gpu_layers = fit.placement.layers
    params.tensor_buft_overrides = ctypes.cast(overrides, ctypes.c_void_p) if overrides else None
    params.use_extra_bufts = options.extra_buffers is not False
    params.lazy_mode = llama.LLAMA_LAZY_MODE_ON if fit.setting.lazy else llama.LLAMA_LAZY_MODE_OFF
    params.progress_callback = llama.llama_progress_callback(on_progress)
    model: int | None = llama.llama_model_load_from_file(bytes(options.path), params)
    if model is None:
        raise _failure(options.path, stop)
    return model


def load_vocabulary(path: Path, stop: StopFlag) -> int:
    """A model without weights, which the caller frees; BadGguf, or Cancelled by the flag."""
    listen().forget()
    params = llama.llama_model_default_params()
    params.vocab_only = True
    params.progress_callback = llama.llama_progress_callback(lambda fraction, user_data: not stop.is_set())
    model: int | None = llama.llama_model_load_from_file(bytes(path), params)
    if model is None:
        raise _failure(path, stop)
    return model


def load_assistant(assistant: Assistant, options: LoadOptions, fit: Fit, stop: StopFlag) -> int:
    """A drafter's model, which the caller frees; the errors of `load`.

    Its vocabulary is the larger model's, and is not read again.
    """
    listen().forget()
    overrides = (llama.llama_model_kv_override * 3)()
    overrides[0].tag, overrides[0].key = llama.LLAMA_KV_OVERRIDE_TYPE_STR, b"tokenizer.ggml.model"
    overrides[0].value.val_str = b"no_vocab"
    overrides[1].tag, overrides[1].key = llama.LLAMA_KV_OVERRIDE_TYPE_INT, b"gemma4-assistant.vocab_size"
    overrides[1].value.val_i64 = assistant.vocab_size
    params = llama.llama_model_default_params()
    params.kv_overrides = overrides
    params.n_gpu_layers = MOST_LAYERS if fit.placement.layers else 0
    params.use_extra_bufts = options.extra_buffers is not False
    params.progress_callback = llama.llama_progress_callback(lambda fraction, user_data: not stop.is_set())
    model: int | None = llama.llama_model_load_from_file(bytes(assistant.path), params)
    if model is None:
        raise _failure(assistant.path, stop)
    return model


def open_assistant(model: int, target: Context) -> int:
    """A drafter's context, which is made as its target is and must be freed before that; EngineError."""
    params = type(target.params).from_buffer_copy(target.params)
    params.ctx_type, params.ctx_other = llama.LLAMA_CONTEXT_TYPE_MTP, target.handle
    params.n_batch = params.n_ubatch = params.n_outputs_max = 1
    context: int | None = llama.llama_init_from_model(model, params)
    if context is None:
        raise EngineError(
            f"llama.cpp can't draft with this assistant: {listen().complaint() or 'it does not say why'}.",
            "Leave it out (--draft ngram).",
        )
    return context


def open_context(model: int, options: LoadOptions, head: Header, fit: Fit) -> Context:
    """A context of the model's, which the caller frees first; DoesNotFit or EngineError when there can't be one."""
    setting = fit.setting
    params = llama.llama_context_default_params()
    params.n_ctx = setting.context
    params.n_batch = params.n_ubatch = BATCH
    # The default reserves logits for each token of a batch: 512 MiB with Gemma 4's vocabulary.
    params.n_outputs_max = setting.outputs
    params.n_threads = options.threads or machine.threads()
    params.n_threads_batch = options.batch_threads or params.n_threads
    # The default keeps sliding layers at full length: 25 GiB for 31B at 32768 tokens.
    params.swa_full = False
    params.type_k = params.type_v = _GGML_TYPES[setting.kv_type]
    on_gpu = fit.placement.layers > 0
    flash = flash_attention(head.model.shape, setting.context, setting.kv_type, on_gpu=on_gpu)
    kinds = [llama.LLAMA_FLASH_ATTN_TYPE_AUTO] if flash else []
    if setting.kv_type == "f16":  # quantized values can't do without; not every GPU can do it with heads of 512
        kinds.append(llama.LLAMA_FLASH_ATTN_TYPE_DISABLED)
    for params.flash_attn_type in kinds:
        context: int | None = llama.llama_init_from_model(model, params)
        if context is not None:
            nextn.tell_states(context, wanted=False)
            is_shed = not on_gpu and params.flash_attn_type == llama.LLAMA_FLASH_ATTN_TYPE_DISABLED
            threads = Threads(context, params.n_threads, params.n_threads_batch) if is_shed else None
            return Context(context, params, threads)
    complaint = listen().complaint() or "it does not say why"
    error = DoesNotFit if _OUT_OF_MEMORY.search(complaint) else EngineError
    raise error(
        f"llama.cpp can't make a context of {setting.context} tokens: {complaint}.", "Try a smaller context (--ctx)."
    )


def _overrides(where: Placement) -> ctypes.Array[_Override] | None:
    """The experts that stay in the machine's memory, as llama.cpp wants them named; the array must outlive the load."""
    if not where.cpu_experts:
        return None
    layers = "|".join(map(str, range(where.cpu_experts)))
    pattern = rf"^blk\.({layers})\.ffn_(up|down|gate|gate_up)_exps\."
    return (_Override * 2)(_Override(pattern.encode(), ggml.cpu_buffer_type()), _Override(None, None))


def _failure(path: Path, stop: StopFlag) -> G4Error:
    """Why llama.cpp gave no model."""
    if stop.is_set():
        return Cancelled("Loading the model was cancelled.")
    complaint = listen().complaint()
    if not complaint:
        return EngineError(
            f"llama.cpp can't load {path}, and does not say why.",
            "There may be too little memory; try a smaller context.",
        )
    if _OUT_OF_MEMORY.search(complaint):
        return DoesNotFit(
            f"There is too little memory for {path}: {complaint}.", "Try a smaller context or quantization."
        )
    return BadGguf(f"llama.cpp can't load {path}: {complaint}.", AGAIN)
