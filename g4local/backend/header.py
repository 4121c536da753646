"""What a GGUF says of itself before it is loaded, and what in it would end llama.cpp's process instead of an error.

llama.cpp checks much of a file, but trusts these numbers; a wrong one is an assertion or a fault in it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from g4local.backend import ggml
from g4local.backend.log import listen
from g4local.core.errors import BadGguf, ModelNotFound

ARCHITECTURE = "gemma4"
MAGIC = b"GGUF"
MOST_LAYERS = 512
"""LLAMA_MAX_LAYERS."""

_OTHERS = {
    "clip": "It is the part of a model that sees and hears; run the GGUF that it belongs to.",
    "gemma4-assistant": "It is a drafter, which only guesses for a bigger model; run the GGUF that it belongs to.",
}
"""Hints for files that lie beside Gemma 4 models."""

_AGAIN = "Convert it or download it again."


@dataclass(frozen=True, slots=True)
class Header:
    """A GGUF's own numbers, as far as loading it depends on them."""

    name: str
    """`general.name`, or the file's stem."""
    architecture: str
    trained_context: int
    heads: int
    """Attention heads of the layer that has the most."""
    value_padding: int
    """Numbers a token that the full layers' cache grows by when each layer's values are as wide as the widest."""
    per_layer_embeddings: bool
    template: str


def read(path: Path) -> Header:
    """A file's header; ModelNotFound or BadGguf when it can't be run, with the reason."""
    try:
        with path.open("rb") as file:
            magic = file.read(len(MAGIC))
            nbytes = file.seek(0, 2)
    except FileNotFoundError as error:
        raise ModelNotFound(f"There is no file {path}.", "g4local ls lists the models here.") from error
    except OSError as error:
        raise BadGguf(f"{path} can't be read: {error.strerror}.", "A model is a single GGUF file.") from error
    if magic != MAGIC:
        raise BadGguf(f"{path} is not a GGUF file.", "g4local convert makes one from a checkpoint folder.")
    listen().forget()
    with ggml.opened(path) as file_keys:
        if file_keys is None:
            raise BadGguf(f"{path} is damaged: {listen().complaint() or 'its header ends too early'}.", _AGAIN)
        return _checked(path, file_keys, nbytes)


def _checked(path: Path, gguf: ggml.Gguf, nbytes: int) -> Header:
    architecture = gguf.text("general.architecture") or ""
    if architecture != ARCHITECTURE:
        raise BadGguf(
            f"{path} holds a model of the architecture {architecture!r}, not {ARCHITECTURE!r}.",
            _OTHERS.get(architecture, "g4local runs Gemma 4 only."),
        )
    if not gguf.shapes():
        raise BadGguf(f"{path} holds no weights.", "It is only a vocabulary; " + _AGAIN[0].lower() + _AGAIN[1:])
    if (missing := gguf.nbytes() - nbytes) > 0:
        raise BadGguf(f"{path} is cut off: {missing} bytes are missing.", _AGAIN)
    if fault := next(_faults(gguf), ""):
        raise BadGguf(f"{path} contradicts itself: {fault}.", _AGAIN)
    return Header(
        name=gguf.text("general.name") or path.stem,
        architecture=architecture,
        trained_context=int(gguf.number(f"{ARCHITECTURE}.context_length") or 0),
        heads=int(max(gguf.numbers(f"{ARCHITECTURE}.attention.head_count") or [1])),
        value_padding=_value_padding(gguf),
        per_layer_embeddings=bool(gguf.number(f"{ARCHITECTURE}.embedding_length_per_layer_input")),
        template=gguf.text("tokenizer.chat_template") or "",
    )


def _faults(gguf: ggml.Gguf) -> Iterator[str]:
    """What llama.cpp would not survive, one sentence each."""
    layers = gguf.number(f"{ARCHITECTURE}.block_count")
    if layers is None or not 0 < layers <= MOST_LAYERS or layers != int(layers):
        yield f"it has {layers} layers"
        return
    if not gguf.number(f"{ARCHITECTURE}.context_length"):
        yield "its context has no length"
    for key in ("attention.head_count", "attention.head_count_kv", "feed_forward_length"):
        values = gguf.numbers(f"{ARCHITECTURE}.{key}")
        if values is None or len(values) not in (1, layers) or min(values, default=0) <= 0:
            yield f"{key} is {values}, for {int(layers)} layers"
            return
    yield from _shared_faults(gguf, int(layers))
    yield from _expert_faults(gguf)
    epsilon = gguf.number(f"{ARCHITECTURE}.attention.layer_norm_rms_epsilon")
    if epsilon is None or not 0 <= epsilon < 1:
        yield f"attention.layer_norm_rms_epsilon is {epsilon}"
    sizes = next(_head_size_faults(gguf), "")
    yield from (sizes,) if sizes else _shape_faults(gguf, int(layers))


def _head_size_faults(gguf: ggml.Gguf) -> Iterator[str]:
    """Each kind of layer has one size of heads: of keys, of values, and of what is rotated."""
    for suffix in ("", "_swa"):
        key = f"attention.key_length{suffix}"
        size = gguf.number(f"{ARCHITECTURE}.{key}")
        for name in (f"rope.dimension_count{suffix}", f"attention.value_length{suffix}"):
            other = gguf.number(f"{ARCHITECTURE}.{name}")
            if other != size or not size:
                yield f"{name} is {other}, but {key} is {size}"


def _shared_faults(gguf: ggml.Gguf, layers: int) -> Iterator[str]:
    """The last layers may use keys and values of the two last before them: a sliding one, then a full one."""
    sliding = gguf.numbers(f"{ARCHITECTURE}.attention.sliding_window_pattern") or []
    if len(sliding) not in (1, layers):
        yield f"attention.sliding_window_pattern has {len(sliding)} values, for {layers} layers"
        return
    shared = int(gguf.number(f"{ARCHITECTURE}.attention.shared_kv_layers") or 0)
    owners = layers - shared
    if shared and (owners < 2 or len(sliding) != layers or [bool(x) for x in sliding[owners - 2 : owners]] != [1, 0]):
        yield f"its last {shared} layers share keys and values with layers that have none to share"


def _expert_faults(gguf: ggml.Gguf) -> Iterator[str]:
    """A router gives each token some of the experts, so there are at least as many, and as many as it has rows."""
    routers = [shape for name, shape in gguf.shapes().items() if name.endswith("ffn_gate_inp.weight")]
    experts = gguf.number(f"{ARCHITECTURE}.expert_count") or 0
    used = gguf.number(f"{ARCHITECTURE}.expert_used_count") or 0
    if any(shape[1] != experts for shape in routers):
        yield f"expert_count is {experts}, but its routers have {routers[0][1]} rows"
    elif routers and not 0 < used <= experts:
        yield f"expert_used_count is {used}, of {experts} experts"
    elif experts and not routers:
        yield f"expert_count is {experts}, but there is no router"


def _shape_faults(gguf: ggml.Gguf, layers: int) -> Iterator[str]:
    """The heads by the numbers must be the heads by the tensors."""
    shapes = gguf.shapes()
    sliding = _per_layer(gguf, "attention.sliding_window_pattern", layers)
    for kind, key in (("q", "attention.head_count"), ("k", "attention.head_count_kv")):
        for layer, heads in enumerate(_per_layer(gguf, key, layers)):
            suffix = "_swa" if sliding[layer] else ""
            size = gguf.number(f"{ARCHITECTURE}.attention.key_length{suffix}") or 0
            name = f"blk.{layer}.attn_{kind}.weight"
            if name in shapes and shapes[name][1] != heads * size:
                yield f"{name} has {shapes[name][1]} rows, for {int(heads)} heads of {int(size)}"
                return


def _value_padding(gguf: ggml.Gguf) -> int:
    owners = int(gguf.number(f"{ARCHITECTURE}.block_count") or 0)
    owners -= int(gguf.number(f"{ARCHITECTURE}.attention.shared_kv_layers") or 0)
    sliding = _per_layer(gguf, "attention.sliding_window_pattern", owners)[:owners]
    full, small = (int(gguf.number(f"{ARCHITECTURE}.attention.value_length{end}") or 0) for end in ("", "_swa"))
    heads = _per_layer(gguf, "attention.head_count_kv", owners)
    widths = [int(heads[layer]) * (small if slides else full) for layer, slides in enumerate(sliding)]
    return sum(max(widths) - width for width, slides in zip(widths, sliding, strict=True) if not slides)


def _per_layer(gguf: ggml.Gguf, key: str, layers: int) -> list[int | float]:
    values = gguf.numbers(f"{ARCHITECTURE}.{key}") or []
    return values * layers if len(values) == 1 else values
