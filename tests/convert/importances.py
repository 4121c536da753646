"""Importance matrices as llama.cpp's tools write them."""

import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

import gguf as oracle
import numpy as np
from numpy.typing import NDArray

Entries = Mapping[str, tuple[NDArray[np.float32], list[float]]]
"""Sums [experts, row] and counts [experts] by the weight's name."""


def write(path: Path, entries: Entries, datasets: Iterable[str] = ("text.txt",), chunks: int = 3) -> Path:
    """The GGUF format."""
    file = oracle.GGUFWriter(path, "imatrix")
    file.add_type("imatrix")
    file.add_array("imatrix.datasets", [*datasets])
    file.add_uint32("imatrix.chunk_count", chunks)
    file.add_uint32("imatrix.chunk_size", 512)
    for name, (sums, counts) in entries.items():
        file.add_tensor(f"{name}.in_sum2", np.asarray(sums, np.float32))
        file.add_tensor(f"{name}.counts", np.array(counts, np.float32)[:, None])
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()
    return path


def write_legacy(path: Path, entries: Entries, dataset: str = "text.txt", chunks: int = 3) -> Path:
    """The format of before 2025, with one count for all experts."""
    parts = [struct.pack("<i", len(entries))]
    for name, (sums, counts) in entries.items():
        parts += [struct.pack("<i", len(name)), name.encode(), struct.pack("<ii", int(counts[0]), sums.size)]
        parts.append(sums.astype("<f4").tobytes())
    parts.append(struct.pack("<ii", chunks, len(dataset)) + dataset.encode())
    path.write_bytes(b"".join(parts))
    return path
