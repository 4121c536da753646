"""A conversion's memory does not grow with the model, measured on a process."""

import json
import sys
from math import prod
from pathlib import Path

import pytest

from bench import process
from tests import checkpoints

MB = 10**6


@pytest.mark.skipif(sys.platform != "linux", reason="the bench looks into /proc")
def test_experts_of_many_times_the_memory_are_converted_in_slices(tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path / "model", checkpoints.make("moe", num_hidden_layers=1, layer_types="f"))
    experts, wide = 64, 4608
    text = json.loads((folder / "config.json").read_text())
    text["text_config"] |= {"num_experts": experts, "moe_intermediate_size": wide}
    checkpoints.write_json(folder / "config.json", text)
    enlarge(
        folder / "model.safetensors",
        {
            "experts.gate_up_proj": ("F32", (experts, 2 * wide, 256)),
            "experts.down_proj": ("BF16", (experts, 256, wide)),
            "router.proj.weight": ("BF16", (experts, 256)),
            "router.per_expert_scale": ("BF16", (experts,)),
        },
    )
    assert (folder / "model.safetensors").stat().st_size > 700 * MB
    program = "from g4local.cli import main; main()"
    command = [
        sys.executable,
        "-c",
        program,
        "convert",
        str(folder),
        "-o",
        str(tmp_path / "out.gguf"),
        "--quant",
        "Q4_0",
    ]
    usage = process.run(command)
    assert usage.anonymous < 200 * MB
    assert (tmp_path / "out.gguf").stat().st_size > 120 * MB


def enlarge(path: Path, larger: dict[str, tuple[str, tuple[int, ...]]]) -> None:
    """Give tensors of the only layer other types and shapes; they are zeros that take no room on the disk."""
    raw = path.read_bytes()
    start = 8 + int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:start])
    del header["__metadata__"]
    pieces, offset = [], 0
    for name, entry in sorted(header.items(), key=lambda item: "experts." in item[0]):
        first, last = entry["data_offsets"]
        key = name.removeprefix("model.language_model.layers.0.")
        if key in larger:
            dtype, shape = larger[key]
            nbytes = prod(shape) * {"BF16": 2, "F32": 4}[dtype]
            content = b"" if nbytes > MB else bytes(nbytes)
        else:
            dtype, shape, nbytes, content = (
                entry["dtype"],
                entry["shape"],
                last - first,
                raw[start + first : start + last],
            )
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, offset + nbytes]}
        pieces.append(content)
        offset += nbytes
    head = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(head).to_bytes(8, "little") + head + b"".join(pieces))
        file.truncate(8 + len(head) + offset)
