"""What a GGUF says of itself before it is loaded, and what in it would end llama.cpp's process instead of an error.

llama.cpp checks much of a file, but trusts these numbers; a wrong one is an assertion or a fault in it.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from g4local.backend.fit import shape
from g4local.backend.fit.shape import MOST_LAYERS, TABLE, Model
from g4local.backend.llamacpp import ggml
from g4local.backend.llamacpp.log import listen
from g4local.core import foreign, split
from g4local.core.errors import AGAIN, BadGguf, ModelNotFound

ARCHITECTURE = "gemma4"
MAGIC = b"GGUF"
MOST_EXPERTS = 1024
"""LLAMA_MAX_EXPERTS."""

_MOST_POSITIONS = 2**31 - 1
_MOST_FLOAT = 3.4e38
_RANGES: dict[str, tuple[float, float]] = {
    "context_length": (1, _MOST_POSITIONS),
    "attention.sliding_window": (1, _MOST_POSITIONS),
    "attention.layer_norm_rms_epsilon": (0, 1),
    "rope.freq_base": (1, _MOST_FLOAT),
    "rope.freq_base_swa": (1, _MOST_FLOAT),
    "final_logit_softcapping": (0, _MOST_FLOAT),
}
"""What a number must be where the file has it; llama.cpp itself tells which ones are missing."""
_NEVER = ("nextn_predict_layers", "expert_group_count")
"""Numbers that no Gemma 4 has, and of which some values would be asserted."""
_SCALINGS = ("none", "linear", "yarn", "longrope")
"""llama.cpp's names of rope.scaling.type."""


class File(NamedTuple):
    """Where the weights lie in one of the files that a GGUF is cut into."""

    path: Path
    begin: int
    """Bytes before the first tensor."""
    tensors: tuple[range, ...]
    """The bytes that hold each tensor; none in a first file that only tells of the others."""


@dataclass(frozen=True, slots=True)
class Header:
    """A GGUF's own numbers, as far as loading it depends on them."""

    name: str
    """`general.name`, or the file's stem."""
    architecture: str
    model: Model
    table: range
    """The bytes of the file that hold the per-layer embeddings; none for a model without them."""
    template: str
    files: tuple[File, ...]
    """The file, and those that belong to it."""


def read(path: Path) -> Header:
    """A file's header; ModelNotFound or BadGguf when it can't be run, with the reason."""
    with opened(path) as gguf:
        return _checked(path, gguf)


@contextmanager
def opened(path: Path) -> Iterator[ggml.Gguf]:
    """A file's keys and tensors, with the tensors of all files that it is cut into.

    ModelNotFound or BadGguf when it has none.
    """
    with _opened(path) as first, ExitStack() as stack:
        files = _later(path, first)
        first.later = tuple(stack.enter_context(_opened(file)) for file in files)
        for file, gguf in zip(files, first.later, strict=True):
            _expect_end(file, gguf)
        yield first


def _later(path: Path, first: ggml.Gguf) -> list[Path]:
    """The other files of a GGUF that llama-gguf-split has cut, by their names; BadGguf when one is missing."""
    count, number = first.number("split.count") or 1, first.number("split.no") or 0
    if count > 1 and number:
        raise BadGguf(f"{path} is one of {count} files that belong together.", "Give the first of them.")
    part = split.part(path.name)
    if part is None or (part.number, part.count) != (1, count):
        return []
    files = [path.with_name(part.name(each)) for each in range(2, part.count + 1)]
    if missing := next((file for file in files if not file.is_file()), None):
        raise BadGguf(f"{path} lacks {missing.name}, one of {count} files that belong together.", "Fetch all of them.")
    return files


@contextmanager
def _opened(path: Path) -> Iterator[ggml.Gguf]:
    """One file's keys and tensors."""
    try:
        with path.open("rb") as file:
            magic = file.read(len(MAGIC))
    except FileNotFoundError as error:
        raise ModelNotFound(f"There is no file {path}.", "g4local ls lists the models here.") from error
    except OSError as error:
        raise BadGguf(f"{path} can't be read: {error.strerror}.", "A model is a single GGUF file.") from error
    if magic != MAGIC:
        raise BadGguf(f"{path} is not a GGUF file.", "g4local convert makes one from a checkpoint folder.")
    listen().forget()
    with ggml.opened(path) as file_keys:
        if file_keys is None:
            raise BadGguf(f"{path} is damaged: {listen().complaint() or 'its header ends too early'}.", AGAIN)
        yield file_keys


def check_whole(path: Path, gguf: ggml.Gguf) -> None:
    """BadGguf for a file that has no weights, or not all of them."""
    if not gguf.shapes():
        raise BadGguf(f"{path} holds no weights.", "It is only a vocabulary; " + AGAIN[0].lower() + AGAIN[1:])
    _expect_end(path, gguf)


def _expect_end(path: Path, gguf: ggml.Gguf) -> None:
    if (missing := gguf.nbytes() - path.stat().st_size) > 0:
        raise BadGguf(f"{path} is cut off: {missing} bytes are missing.", AGAIN)


def _checked(path: Path, gguf: ggml.Gguf) -> Header:
    architecture = gguf.text("general.architecture") or ""
    if architecture != ARCHITECTURE:
        raise foreign.refused(path, architecture, gguf.text("general.type"))
    check_whole(path, gguf)
    if fault := next(_faults(gguf), ""):
        raise BadGguf(f"{path} contradicts itself: {fault}.", AGAIN)
    return Header(
        name=gguf.text("general.name") or path.stem,
        architecture=architecture,
        model=_model(path, gguf),
        table=gguf.place(TABLE),
        template=gguf.text("tokenizer.chat_template") or "",
        files=tuple(
            File(each, part.begin(), tuple(part.places()))
            for each, part in zip([path, *_later(path, gguf)], [gguf, *gguf.later], strict=True)
        ),
    )


def _faults(gguf: ggml.Gguf) -> Iterator[str]:
    """What llama.cpp would not survive or would make nonsense of, one sentence each; only the first is reliable."""
    layers = whole(gguf, "block_count")
    if len(layers) != 1 or not 0 < layers[0] <= MOST_LAYERS:
        yield f"it has {gguf.number(f'{ARCHITECTURE}.block_count')} layers"
    for key in ("attention.head_count", "attention.head_count_kv", "feed_forward_length"):
        values = whole(gguf, key)
        if len(values) not in (1, layers[0]) or min(values) <= 0:
            yield f"{key} is {gguf.numbers(f'{ARCHITECTURE}.{key}')}, for {layers[0]} layers"
    yield from number_faults(gguf, ARCHITECTURE)
    yield from _shared_faults(gguf, layers[0])
    for key in _NEVER:
        if value := gguf.number(f"{ARCHITECTURE}.{key}"):
            yield f"{key} is {value}, which no Gemma 4 has"
    yield from _expert_faults(gguf)
    yield from head_size_faults(gguf, ARCHITECTURE)
    yield from _shape_faults(gguf, layers[0])


def number_faults(gguf: ggml.Gguf, architecture: str) -> Iterator[str]:
    """Numbers that are wrong by themselves."""
    for key, (low, high) in _RANGES.items():
        value = gguf.number(f"{architecture}.{key}")
        if value is not None and not low <= value <= high:
            yield f"{key} is {value}"
    if not whole(gguf, "context_length", architecture):
        yield "its context has no length"
    scaling = gguf.text(f"{architecture}.rope.scaling.type")
    if scaling is not None and scaling not in _SCALINGS:
        yield f"rope.scaling.type is {scaling!r}"


def head_size_faults(gguf: ggml.Gguf, architecture: str) -> Iterator[str]:
    """Each kind of layer has one size of heads: of keys, of values, and of what is rotated."""
    for suffix in ("", "_swa"):
        key = f"attention.key_length{suffix}"
        size = whole(gguf, key, architecture)
        for name in (f"rope.dimension_count{suffix}", f"attention.value_length{suffix}"):
            other = whole(gguf, name, architecture)
            if len(size) != 1 or other != size or size[0] <= 0:
                yield f"{name} is {other or 'not given'}, but {key} is {size or 'not given'}"


def _shared_faults(gguf: ggml.Gguf, layers: int) -> Iterator[str]:
    """The last layers may use keys and values of the two last before them: a sliding one, then a full one."""
    sliding = [bool(value) for value in whole(gguf, "attention.sliding_window_pattern")]
    if len(sliding) not in (1, layers) or not any(sliding):
        yield f"attention.sliding_window_pattern has {len(sliding)} values and {sum(sliding)} true, for {layers} layers"
    shared = (whole(gguf, "attention.shared_kv_layers") or [0])[0]
    owners = layers - shared
    if shared and (owners < 2 or len(sliding) != layers or sliding[owners - 2 : owners] != [True, False]):
        yield f"its last {shared} layers share keys and values with layers that have none to share"
    heads = _per_layer(gguf, "attention.head_count_kv", layers)
    for layer in range(owners, layers):
        owner = owners - (2 if sliding[layer] else 1)
        if heads[layer] != heads[owner]:
            yield f"layer {layer} has {heads[layer]} heads of keys, but uses the {heads[owner]} of layer {owner}"


def _expert_faults(gguf: ggml.Gguf) -> Iterator[str]:
    """A router gives each token some of the experts, so there are at least as many, and as many as it has rows."""
    routers = [shape[1] for name, shape in gguf.shapes().items() if name.endswith("ffn_gate_inp.weight")]
    experts = (whole(gguf, "expert_count") or [0])[0]
    used = whole(gguf, "expert_used_count") or [0]
    if wrong := [rows for rows in routers if rows != experts]:
        yield f"expert_count is {experts}, but a router has {wrong[0]} rows"
    if experts > MOST_EXPERTS:
        yield f"expert_count is {experts}; llama.cpp runs {MOST_EXPERTS}"
    if not routers and (experts or any(used)):
        yield f"expert_count is {experts} and expert_used_count {used[0]}, but there is no router"
    if routers and not 0 < min(used) <= max(used) <= experts:
        yield f"expert_used_count is {min(used)}, of {experts} experts"


def _shape_faults(gguf: ggml.Gguf, layers: int) -> Iterator[str]:
    """The heads by the numbers must be the heads by the tensors."""
    shapes = gguf.shapes()
    sliding = _per_layer(gguf, "attention.sliding_window_pattern", layers)
    for kind, key in (("q", "attention.head_count"), ("k", "attention.head_count_kv")):
        for layer, heads in enumerate(_per_layer(gguf, key, layers)):
            [size] = whole(gguf, f"attention.key_length{'_swa' if sliding[layer] else ''}")
            name = f"blk.{layer}.attn_{kind}.weight"
            if name in shapes and shapes[name][1] != heads * size:
                yield f"{name} has {shapes[name][1]} rows, for {heads} heads of {size}"


def _model(path: Path, gguf: ggml.Gguf) -> Model:
    sizes = gguf.sizes()
    tensors = ((name, dims[1], sizes[name]) for name, dims in gguf.shapes().items())
    try:
        return shape.model(lambda key: gguf.numbers(f"{ARCHITECTURE}.{key}") or [], tensors)
    except ValueError as error:
        raise BadGguf(f"{path} contradicts itself: {error}.", AGAIN) from error


def _per_layer(gguf: ggml.Gguf, key: str, layers: int) -> list[int]:
    values = whole(gguf, key)
    return values * layers if len(values) == 1 else values


def whole(gguf: ggml.Gguf, key: str, architecture: str = ARCHITECTURE) -> list[int]:
    """The numbers under a key of the architecture's; none where they are no integers."""
    values = gguf.numbers(f"{architecture}.{key}") or []
    return [value for value in values if isinstance(value, int)]
