"""The GGUF of an assistant (`gemma4-assistant`), which drafts for one model: does it fit that, would llama.cpp live?

An assistant has no keys and values: it reads the model's own, those of its last sliding and of its last full layer, and
its last hidden state. So all sizes must be the model's; a wrong one is an assertion in llama.cpp.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from g4local.backend.fit.shape import MOST_LAYERS, Shape
from g4local.backend.llamacpp import ggml
from g4local.backend.model import header
from g4local.backend.model.header import whole
from g4local.core import foreign
from g4local.core.errors import AGAIN, BadGguf

ARCHITECTURE = foreign.DRAFTER

_EMBEDDING = "token_embd.weight"


@dataclass(frozen=True, slots=True)
class Assistant:
    """A file that can draft for a model."""

    path: Path
    nbytes: int
    """Of its weights."""
    vocab_size: int


def read(path: Path, target: Shape) -> Assistant:
    """An assistant's header; ModelNotFound, or BadGguf when it can't draft for a model of this shape."""
    with header.opened(path) as gguf:
        architecture = gguf.text("general.architecture") or ""
        if architecture != ARCHITECTURE:
            raise BadGguf(
                f"{path} holds a model of the architecture {architecture!r}, not {ARCHITECTURE!r}.",
                "A drafter is the GGUF of an assistant, which Google has for each Gemma 4.",
            )
        header.check_whole(path, gguf)
        if fault := next(_faults(gguf), ""):
            raise BadGguf(f"{path} contradicts itself: {fault}.", AGAIN)
        if difference := next(_differences(gguf, target), ""):
            raise BadGguf(f"{path} drafts for another model: {difference}.", "Give this model's own assistant.")
        return Assistant(path, sum(gguf.sizes().values()), gguf.shapes()[_EMBEDDING][1])


def _faults(gguf: ggml.Gguf) -> Iterator[str]:
    """What is wrong in the file alone, one sentence each; only the first is reliable."""
    layers = _single(gguf, "block_count")
    if not 0 < layers <= MOST_LAYERS:
        yield f"it has {layers} layers"
    for key in ("nextn_predict_layers", "attention.shared_kv_layers"):
        if (value := _single(gguf, key)) != layers:
            yield f"{key} is {value}, for {layers} layers"
    yield from _layer_faults(gguf, layers)
    yield from header.number_faults(gguf, ARCHITECTURE)
    yield from header.head_size_faults(gguf, ARCHITECTURE)
    if _EMBEDDING not in gguf.shapes():
        yield f"it has no {_EMBEDDING}"
    yield from _query_faults(gguf, layers)


def _layer_faults(gguf: ggml.Gguf, layers: int) -> Iterator[str]:
    """Numbers of layers, and those that no layer may have."""
    for key in ("expert_count", "embedding_length_per_layer_input", "expert_group_count"):
        if any(whole(gguf, key, ARCHITECTURE)):
            yield f"{key} is {whole(gguf, key, ARCHITECTURE)}, which no assistant has"
    for key in ("attention.head_count", "attention.head_count_kv", "feed_forward_length"):
        values = whole(gguf, key, ARCHITECTURE)
        if len(values) not in (1, layers) or min(values) <= 0:
            yield f"{key} is {values or 'not given'}, for {layers} layers"
    sliding = whole(gguf, "attention.sliding_window_pattern", ARCHITECTURE)
    if len(sliding) != layers or not any(sliding):
        yield f"attention.sliding_window_pattern has {len(sliding)} values and {sum(sliding)} true, for {layers} layers"


def _query_faults(gguf: ggml.Gguf, layers: int) -> Iterator[str]:
    """The heads of each layer are as many as its tensor has, and share those of the keys evenly."""
    heads, kv_heads = (_by_layer(gguf, f"attention.{key}", layers) for key in ("head_count", "head_count_kv"))
    for layer in range(layers):
        size = _head_size(gguf, layer)
        name = f"blk.{layer}.attn_q.weight"
        rows = gguf.shapes().get(name, (0, 0))[1]
        if rows != heads[layer] * size:
            yield f"{name} has {rows} rows, for {heads[layer]} heads of {size}"
        if heads[layer] % kv_heads[layer]:
            yield f"layer {layer} has {heads[layer]} heads for {kv_heads[layer]} of keys"


def _differences(gguf: ggml.Gguf, target: Shape) -> Iterator[str]:
    """What is another number in the target."""
    layers, last = _single(gguf, "block_count"), target.layers[-2:]
    if [layer.sliding for layer in last] != [True, False]:
        yield "that one does not end in a sliding and a full layer"
    width = _single(gguf, "embedding_length_out")
    if width != target.hidden:
        yield f"that is {width} numbers wide, this one {target.hidden}"
    if (rows := gguf.shapes()[_EMBEDDING][1]) != target.vocab_size:
        yield f"that has {rows} tokens, this one {target.vocab_size}"
    kv_heads = _by_layer(gguf, "attention.head_count_kv", layers)
    for layer in range(layers):
        source = last[0] if _sliding(gguf, layer) else last[1]
        if (kv_heads[layer], _head_size(gguf, layer)) != (source.kv_heads, source.head_size):
            yield (
                f"that has {kv_heads[layer]} heads of {_head_size(gguf, layer)} keys, "
                f"this one {source.kv_heads} of {source.head_size}"
            )


def _head_size(gguf: ggml.Gguf, layer: int) -> int:
    return _single(gguf, f"attention.key_length{'_swa' if _sliding(gguf, layer) else ''}")


def _sliding(gguf: ggml.Gguf, layer: int) -> bool:
    return bool(whole(gguf, "attention.sliding_window_pattern", ARCHITECTURE)[layer])


def _by_layer(gguf: ggml.Gguf, key: str, layers: int) -> list[int]:
    values = whole(gguf, key, ARCHITECTURE)
    return values * layers if len(values) == 1 else values


def _single(gguf: ggml.Gguf, key: str) -> int:
    """A number; 0 where there is none."""
    values = whole(gguf, key, ARCHITECTURE)
    return values[0] if len(values) == 1 else 0
