"""What llama.cpp says of itself and of the machine; runs in a child, since it loads llama.cpp."""

import re
from collections.abc import Collection
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import llama_cpp.llama_cpp as llama

from g4local.backend.host.machine import Facts
from g4local.backend.llamacpp import ggml
from g4local.backend.llamacpp.log import listen
from g4local.core import offline


def describe(sockets: Collection[object]) -> Facts:
    """The facts for `g4local doctor`; `sockets` are those that Python has made, and may grow until the end."""
    listen()
    llama.llama_backend_init()
    system_info: str = llama.llama_print_system_info().decode("utf-8", "replace").strip()
    return Facts(
        package=version("llama-cpp-python"),
        llama_cpp=llama.llama_version().decode("utf-8", "replace"),
        ggml=ggml.version(),
        system_info=system_info,
        cpu_features=tuple(re.findall(r"(\w+) = 1\b", system_info)),
        gpu_offload=llama.llama_supports_gpu_offload(),
        devices=tuple(ggml.devices()),
        sockets=len(sockets) + _open_sockets(),
        offline=offline.holds(),
    )


def _open_sockets() -> int:
    """Sockets among the descriptors of this process, whoever made them; 0 where the system does not tell."""
    count = 0
    for descriptor in Path("/proc/self/fd").glob("*"):
        with suppress(OSError):
            count += str(descriptor.readlink()).startswith("socket:")
    return count
