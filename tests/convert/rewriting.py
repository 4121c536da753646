"""Writes a GGUF anew with gguf-py: with other keys, in several files, or with another alignment."""

from collections.abc import Callable, Mapping
from pathlib import Path

import gguf as oracle

from g4convert import gguf
from g4convert.gguf import Value


def write(
    source: Path,
    target: Path,
    *,
    more: Mapping[str, Value] | None = None,
    parts: int = 1,
    alignment: int = 32,
    keeps: Callable[[str], bool] = lambda name: True,
) -> Path:
    """The first file; with several, `target` has a place for the number. `more` replaces keys or follows them."""
    reader = oracle.GGUFReader(source)
    tensors = [tensor for tensor in reader.tensors if keeps(tensor.name)]
    keys = {**gguf.read(source).keys, **(more or {})}
    share = -(-len(tensors) // parts)
    paths = [Path(str(target).format(number + 1)) for number in range(parts)]
    for number, path in enumerate(paths):
        architecture = keys["general.architecture"].data
        file = oracle.GGUFWriter(path, str(architecture))
        file.kv_data[0].clear()
        if number == 0:
            add(file, keys)
        if parts > 1:
            file.add_uint16("split.no", number)
            file.add_uint16("split.count", parts)
            file.add_int32("split.tensors.count", len(tensors))
        if alignment != 32:
            file.add_custom_alignment(alignment)
        for tensor in tensors[number * share : (number + 1) * share]:
            file.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
        file.write_header_to_file()
        file.write_kv_data_to_file()
        file.write_tensors_to_file()
        file.close()
    return paths[0]


def add(file: oracle.GGUFWriter, keys: Mapping[str, Value]) -> None:
    for name, value in keys.items():
        element = None if value.element is None else oracle.GGUFValueType(value.element)
        file.add_key_value(name, value.data, oracle.GGUFValueType(value.type), element)
