"""A model as far as its memory depends on it: its numbers, and the bytes of its tensors by where they may lie."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

Numbers = Callable[[str], Sequence[float]]
"""Gives what a GGUF has under a key of the architecture's (`block_count`): one number, one for each layer, or none."""

MOST_LAYERS = 512
"""LLAMA_MAX_LAYERS."""

TABLE = "per_layer_token_embd.weight"
"""The embeddings that each layer has of its own."""

_LAYER = re.compile(r"blk\.(\d+)\.")
_EMBEDDING = "token_embd.weight"
_OUTPUT = "output.weight"


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer's numbers."""

    sliding: bool
    """True: it sees only the last `Shape.window` tokens."""
    kv_heads: int
    head_size: int
    ffn: int
    """Width of the dense feed-forward network."""
    owns_kv: bool
    """False: it uses keys and values of an earlier layer."""

    @property
    def kv_width(self) -> int:
        """Numbers of a token's keys, and of its values."""
        return self.kv_heads * self.head_size


@dataclass(frozen=True, slots=True)
class Shape:
    """A model's numbers."""

    layers: tuple[Layer, ...]
    hidden: int
    heads: int
    """Attention heads of the layer that has the most."""
    window: int
    vocab_size: int
    trained_context: int
    per_layer_width: int
    """Width of the embeddings that each layer has of its own; 0: none."""
    experts_used: int
    """0: no mixture of experts."""
    expert_ffn: int

    @property
    def owners(self) -> tuple[Layer, ...]:
        """The layers with keys and values of their own."""
        return tuple(layer for layer in self.layers if layer.owns_kv)


@dataclass(frozen=True, slots=True)
class Weights:
    """Bytes of tensors."""

    layers: tuple[int, ...]
    """Of each layer, without its experts."""
    experts: tuple[int, ...]
    """Of each layer's experts."""
    table: int
    """The embeddings that each layer has of its own; a token needs one row."""
    embedding: int
    output: int
    """0: the embedding is the output matrix, too."""
    rest: int

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.layers) + sum(self.experts) + self.table + self.embedding + self.output + self.rest


@dataclass(frozen=True, slots=True)
class Model:
    """What there is to be loaded."""

    shape: Shape
    weights: Weights


def model(numbers: Numbers, tensors: Iterable[tuple[str, int, int]]) -> Model:
    """The model of a GGUF, from its numbers and its tensors (name, rows, bytes).

    ValueError when the numbers contradict each other or one is missing.
    """
    vocab_size, sizes = 0, []
    for name, rows, nbytes in tensors:
        sizes.append((name, nbytes))
        if name == _EMBEDDING:
            vocab_size = rows
    layers = _layers(numbers)
    return Model(
        Shape(
            layers=layers,
            hidden=_one(numbers, "embedding_length"),
            heads=max(_whole(numbers, "attention.head_count"), default=0),
            window=_one(numbers, "attention.sliding_window"),
            vocab_size=vocab_size,
            trained_context=_one(numbers, "context_length"),
            per_layer_width=_one(numbers, "embedding_length_per_layer_input", 0),
            experts_used=_one(numbers, "expert_used_count", 0),
            expert_ffn=_one(numbers, "expert_feed_forward_length", 0),
        ),
        _weights(sizes, len(layers)),
    )


def _layers(numbers: Numbers) -> tuple[Layer, ...]:
    count = _one(numbers, "block_count")
    if not 0 < count <= MOST_LAYERS:
        raise ValueError(f"block_count is {count}")
    owners = count - _one(numbers, "attention.shared_kv_layers", 0)
    full, small = (_one(numbers, f"attention.key_length{end}") for end in ("", "_swa"))
    sliding, kv_heads, ffn = (
        _by_layer(numbers, key, count)
        for key in ("attention.sliding_window_pattern", "attention.head_count_kv", "feed_forward_length")
    )
    return tuple(
        Layer(bool(slides), heads, small if slides else full, width, index < owners)
        for index, (slides, heads, width) in enumerate(zip(sliding, kv_heads, ffn, strict=True))
    )


def _weights(sizes: Iterable[tuple[str, int]], count: int) -> Weights:
    layers, experts = [0] * count, [0] * count
    single = dict.fromkeys((TABLE, _EMBEDDING, _OUTPUT), 0)
    rest = 0
    for name, nbytes in sizes:
        found = _LAYER.match(name)
        if found and int(found[1]) < count:
            (experts if "_exps." in name else layers)[int(found[1])] += nbytes
        elif name in single:
            single[name] += nbytes
        else:
            rest += nbytes
    return Weights(tuple(layers), tuple(experts), single[TABLE], single[_EMBEDDING], single[_OUTPUT], rest)


def _one(numbers: Numbers, key: str, otherwise: int | None = None) -> int:
    values = _whole(numbers, key)
    if not values and otherwise is not None:
        return otherwise
    if len(values) != 1 or values[0] < 0:
        raise ValueError(f"{key} is {values or 'missing'}")
    return values[0]


def _by_layer(numbers: Numbers, key: str, count: int) -> list[int]:
    values = _whole(numbers, key)
    if len(values) not in (1, count) or min(values) < 0:
        raise ValueError(f"{key} is {values or 'missing'}, for {count} layers")
    return values * count if len(values) == 1 else values


def _whole(numbers: Numbers, key: str) -> list[int]:
    """The numbers under a key; none where they are no integers."""
    return [int(value) for value in numbers(key) if isinstance(value, int)]
