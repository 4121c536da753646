"""From a GGUF in 16 or 32 bits to a quantized one, as llama-quantize does it: the same types, keys and bytes."""

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from threading import Event

from g4convert import ggml, imatrix, provenance, recipes, shards
from g4convert import plan as planning
from g4convert.architectures import gemma4
from g4convert.checkpoint import SourceTensor
from g4convert.choice import is_quantized
from g4convert.convert import Converted, Job, Options, keeping, write
from g4convert.gguf import ALIGNMENT, Gguf, u32
from g4convert.plan import Match, Plan, Rule
from g4convert.quants import Role
from g4convert.recipes import Traits
from g4local.core import foreign
from g4local.core.errors import BadGguf
from g4local.core.progress import Report

ARCHITECTURES = ("gemma4", "gemma4-assistant")

_KINDS = ("general.architecture", "general.type")
_ONE_OF_EACH = {
    **dict.fromkeys(("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers"), 1),
    **dict.fromkeys(("num_attention_heads", "num_key_value_heads"), 1),
    **{"enable_moe_block": True, "num_experts": 1, "top_k_experts": 1, "moe_intermediate_size": 1},
}
"""The config of a model of one layer that has a tensor of every kind."""
_LAYER = re.compile(r"^blk\.\d+\.")
_MOST = 2**31 - 1


def requantize(
    path: Path, target: Path, recipe: str, report: Report, cancel: Event, options: Options | None = None
) -> Converted:
    """Write the quantized GGUF of another; the target appears whole or not at all.

    Raises ModelNotFound, BadGguf (also for another model than Gemma 4, and for one that is quantized already),
    BadCheckpoint (values that are no numbers), UsageError (recipe or target), Cancelled, or G4Error when it can't be
    written.
    """
    options = options or Options()
    job = prepare(path, recipe, options)
    options.tell(job.plan)
    return write(job, target, report, cancel, options)


def plan(path: Path, recipe: str, options: Options | None = None) -> Plan:
    """What `requantize` would write, without writing it."""
    return prepare(path, recipe, options or Options()).plan


def prepare(path: Path, recipe: str, options: Options) -> Job:
    """Everything before the first weight is read."""
    mix = recipes.find(recipe)
    files = shards.read(path, exact=True)
    first = files[0]
    architecture, kind = (first.keys[key].data if key in first.keys else "" for key in _KINDS)
    if architecture not in ARCHITECTURES:
        raise foreign.refused(path, architecture, kind)
    source = {tensor.name: tensor for file in files for tensor in _tensors(file)}
    if not source:
        raise BadGguf(f"{path.name} holds no weights.", "It is only a vocabulary; give a whole model.")
    traits = _traits(first, str(architecture))
    matched = _match(source)
    if traits.experts > 1:
        _expect_layers(matched)
    whole = planning.remake(matched, mix, traits, options.guidance)
    keys = {name: value for name, value in first.keys.items() if name not in shards.KEYS}
    if first.alignment != ALIGNMENT:
        del keys["general.alignment"]
    last = {
        "general.quantization_version": u32(ggml.QUANTIZATION_VERSION),
        "general.file_type": u32(mix.file_type),
    }
    if options.guidance.importance:
        last |= imatrix.keys(options.guidance.importance, bare=not options.reproducible)
    keys = {name: value for name, value in keys.items() if name not in last} | last
    job = keeping(Job(source, whole, keys), options)
    if options.reproducible:
        return job
    others = {name: value for name, value in keys.items() if not name.startswith(provenance.PREFIX)}
    return replace(job, keys=others | provenance.of_gguf(first, job.plan, options.guidance))


def _tensors(file: Gguf) -> list[SourceTensor]:
    """The tensors of a file as the plan takes them."""
    return [
        SourceTensor(
            tensor.name,
            tensor.type.name,
            tuple(reversed(tensor.dims or (1,))),
            file.path,
            file.data_start + tensor.offset,
        )
        for tensor in file.tensors
    ]


def _match(source: Mapping[str, SourceTensor]) -> Match:
    """Each tensor with a rule that leaves it as it is."""
    pairs = []
    for tensor in source.values():
        if not tensor.nbytes:
            raise BadGguf(f"{tensor.path.name} has no data for {tensor.name!r}.", "Convert the checkpoint again.")
        pairs.append((Rule(tensor.name, tensor.name, tensor.shape, _role(tensor.name)), tensor))
    return Match(tuple(pairs), ())


def _expect_layers(matched: Match) -> None:
    """BadGguf for a tensor of no layer: in a mixture of experts the type of all but the embeddings depends on it."""
    for rule, tensor in matched.pairs:
        if is_quantized(rule) and rule.role not in ("embedding", "output") and not _LAYER.match(rule.name):
            assert tensor is not None
            raise BadGguf(
                f"{tensor.path.name} has the tensor {rule.name!r} in no layer.", "Convert the checkpoint again."
            )


def _role(name: str) -> Role:
    """What a tensor of a GGUF is for; those that the rules of Gemma 4 do not know go by their names, as llama.cpp's."""
    known = _roles().get(_LAYER.sub("blk.0.", name))
    if known:
        return known
    return "linear" if name.endswith("weight") and not name.endswith("_norm.weight") else "exact"


@cache
def _roles() -> dict[str, Role]:
    return {rule.name: rule.role for rule in gemma4.rules(gemma4.read(_ONE_OF_EACH))}


def _traits(file: Gguf, architecture: str) -> Traits:
    layers = _number(file, f"{architecture}.block_count", 1)
    heads, kv_heads = (_first(file, f"{architecture}.attention.{name}") for name in ("head_count", "head_count_kv"))
    return Traits(layers, _number(file, f"{architecture}.expert_count", 0), heads // kv_heads if kv_heads else 0)


def _first(file: Gguf, key: str) -> int:
    """The number of the first layer, where the header has one for each."""
    value = file.keys.get(key)
    if value is None or not isinstance(value.data, list) or not value.data:
        return _number(file, key, 0)
    return _number(replace(file, keys={key: replace(value, data=value.data[0])}), key, 0)


def _number(file: Gguf, key: str, least: int) -> int:
    """A whole number of the header; one that is missing is the least that it may be."""
    value = file.keys[key].data if key in file.keys else least
    if type(value) is not int or not least <= value <= _MOST:
        raise BadGguf(f"{file.path.name} is no usable GGUF: {key} is {value!r}.", "Convert the checkpoint again.")
    return value
