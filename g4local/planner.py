"""A model as far as its memory goes before it is loaded, converted or downloaded: a GGUF, a checkpoint, a size by name.

The arithmetic is the engine's own (`backend/fit/memory.py`, `backend/fit/fitting.py`).
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from g4convert.gguf import Gguf, Value
from g4local.backend.fit import fitting, shape
from g4local.backend.fit.fitting import Resources
from g4local.backend.fit.shape import Model
from g4local.backend.host import machine
from g4local.core import foreign
from g4local.core.errors import AGAIN, BadGguf, ModelNotFound, UsageError

if TYPE_CHECKING:
    from g4convert.plan import Plan
    from g4convert.spec import ModelSpec

SIZES = ("e2b", "e4b", "12b", "26b-a4b", "31b")
"""The family's names, the smallest first."""

_ARCHITECTURE = "gemma4"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that may be run."""

    name: str
    quant: str
    model: Model
    drafter: int = 0
    """Bytes of the assistant that drafts for it."""


def resources() -> Resources:
    """What this machine has now; GPUs are asked for in a child, if this llama.cpp can use any."""
    return fitting.resources(machine.facts().devices if machine.has_gpu_code() else ())


def of_gguf(header: Gguf, name: str, quant: str) -> Candidate:
    """A GGUF; BadGguf when it is of another family, or its numbers contradict each other."""
    said = header.keys.get("general.architecture")
    if said is None or said.data != _ARCHITECTURE:
        kind = header.keys.get("general.type")
        raise foreign.refused(header.path, said.data if said else "", kind and kind.data)
    tensors = [(tensor.name, tensor.dims[1] if len(tensor.dims) > 1 else 1, tensor.nbytes) for tensor in header.tensors]
    try:
        return Candidate(name, quant, _model(header.keys, tensors))
    except ValueError as error:
        raise BadGguf(f"{header.path} contradicts itself: {error}.", AGAIN) from error


def of_checkpoint(folder: Path, name: str, quant: str) -> Candidate:
    """A checkpoint as it would be converted; BadCheckpoint for a drafter's, and the errors of `convert.plan`."""
    from g4convert import checkpoint, convert, recipes, spec

    mix = recipes.find(quant)
    numbers, plan = convert.planned(checkpoint.read(folder), mix)
    if numbers.drafts_for:
        raise foreign.drafter(folder)
    tensors = [(tensor.name, tensor.rows, tensor.nbytes) for tensor in plan.tensors]
    return Candidate(name, quant, _model(spec.keys(numbers, mix.file_type), tensors))


def of_size(name: str, quant: str) -> Candidate:
    """One of the five sizes, by its name alone, as Google's checkpoint of it would be converted."""
    from g4convert import spec

    numbers, plan = planned(name, quant)
    tensors = [(tensor.name, tensor.rows, tensor.nbytes) for tensor in plan.tensors]
    return Candidate(name, quant, _model(spec.keys(numbers, plan.recipe.file_type), tensors))


def planned(name: str, quant: str) -> tuple["ModelSpec", "Plan"]:
    """The numbers of a size, and its tensors; ModelNotFound or UsageError for a name that is none."""
    from g4convert import plan, recipes, spec
    from g4convert.architectures import gemma4
    from g4convert.choice import Guidance

    if name not in SIZES:
        raise ModelNotFound(f"There is no size {name!r}.", f"Sizes: {', '.join(SIZES)}.")
    mix = recipes.find(quant)
    numbers = gemma4.read(config(name))
    pairs = [(rule, None) for rule in gemma4.rules(numbers) if rule.required or rule.name != "output.weight"]
    traits = replace(spec.traits(numbers), guided=mix.needs_importance)
    return numbers, plan.make(plan.Match(tuple(pairs), ()), mix, traits, Guidance())


@cache
def bits(name: str, quant: str) -> tuple[int, float] | None:
    """The bytes of a size's weights in a recipe, and bits for each weight; None where the recipe does not fit it."""
    try:
        _, plan = planned(name, quant)
    except UsageError:
        return None
    return plan.nbytes, 8 * plan.nbytes / sum(tensor.rows * tensor.row for tensor in plan.tensors)


def config(name: str) -> dict[str, Any]:
    """A size's config.json, as far as the text model goes."""
    numbers = tomllib.loads((files("g4local") / "family.toml").read_text(encoding="utf-8"))[name]
    every = numbers.pop("full_every")
    kinds = ("full_attention", "sliding_attention")
    numbers["layer_types"] = [kinds[(index + 1) % every > 0] for index in range(numbers["num_hidden_layers"])]
    return {"architectures": ["Gemma4ForCausalLM"], **numbers}


def _model(keys: Mapping[str, Value], tensors: list[tuple[str, int, int]]) -> Model:
    def numbers(key: str) -> list[int | float]:
        value = keys.get(f"{_ARCHITECTURE}.{key}")
        items = value.data if value and isinstance(value.data, list) else [value.data] if value else []
        return [item for item in items if isinstance(item, (int, float))]

    return shape.model(numbers, tensors)
