"""llama-quantize without its command: `python -m bench.quantize IN OUT FILE_TYPE THREADS` (what the tool calls too)."""

import ctypes
import os
import sys

import llama_cpp


def main(source: str, target: str, file_type: str, threads: str) -> int:
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype, params.nthread = int(file_type), int(threads)
    return int(llama_cpp.llama_model_quantize(os.fsencode(source), os.fsencode(target), ctypes.byref(params)))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
