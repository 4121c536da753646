"""The plainest loop over llama-cpp-python's low-level functions: `python -m bench.plain MODEL SETTING`.

SETTING is the JSON of a Setting. Each line on stdin is a task, {"prompt": [ids], "answer": tokens}; the answer to it on
stdout is the JSON of a Took: what llama_decode and llama.cpp's greedy sampler take, and nothing else.
"""

import ctypes
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from time import perf_counter

import llama_cpp.llama_cpp as llama

BATCH = 512


@dataclass(frozen=True, slots=True)
class Setting:
    """How the model is loaded."""

    threads: int
    batch_threads: int
    """Threads that read the prompt."""
    repack: bool
    flash: bool = False
    """Flash attention where llama.cpp wants it; g4local does without on the CPU, since it makes reuse inexact."""
    context: int = 4096


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds for the prompt and the first token, and for the tokens after it."""

    prefill: float
    decode: float


class Plain:
    """A loaded model."""

    def __init__(self, path: str, setting: Setting) -> None:
        params = llama.llama_model_default_params()
        params.use_extra_bufts = setting.repack
        model = llama.llama_model_load_from_file(os.fsencode(path), params)
        if model is None:
            raise SystemExit(f"llama.cpp can't load {path}.")
        options = llama.llama_context_default_params()
        options.n_ctx = setting.context
        options.n_batch = options.n_ubatch = BATCH
        options.n_outputs_max = 1
        options.swa_full = False
        options.n_threads, options.n_threads_batch = setting.threads, setting.batch_threads
        options.flash_attn_type = (
            llama.LLAMA_FLASH_ATTN_TYPE_AUTO if setting.flash else llama.LLAMA_FLASH_ATTN_TYPE_DISABLED
        )
        self._context = llama.llama_init_from_model(model, options)
        self._sampler = llama.llama_sampler_init_greedy()

    def run(self, prompt: Sequence[int], answer: int) -> Took:
        """Decode a prompt anew, and then one token after the other, whatever they are."""
        llama.llama_memory_clear(llama.llama_get_memory(self._context), True)
        ids = (llama.llama_token * len(prompt))(*prompt)
        began = perf_counter()
        for start in range(0, len(ids), BATCH):
            part = (llama.llama_token * len(ids[start : start + BATCH]))(*ids[start : start + BATCH])
            self._decode(part)
        token = (llama.llama_token * 1)(llama.llama_sampler_sample(self._sampler, self._context, -1))
        first = perf_counter()
        for _ in range(answer - 1):
            self._decode(token)
            token[0] = llama.llama_sampler_sample(self._sampler, self._context, -1)
        return Took(first - began, perf_counter() - first)

    def _decode(self, tokens: "ctypes.Array[ctypes.c_int32]") -> None:
        if code := llama.llama_decode(self._context, llama.llama_batch_get_one(tokens, len(tokens))):
            raise SystemExit(f"llama_decode says {code}.")


def main() -> None:
    silence = llama.llama_log_callback(lambda level, text, data: None)
    llama.llama_log_set(silence, ctypes.c_void_p(None))
    plain = Plain(sys.argv[1], Setting(**json.loads(sys.argv[2])))
    for line in sys.stdin:
        print(json.dumps(asdict(plain.run(**json.loads(line)))), flush=True)


if __name__ == "__main__":
    main()
