"""How much each column of each tensor matters, and what an importance matrix says nothing about."""

from collections.abc import Sequence
from typing import Protocol

from g4convert.choice import Guidance, Sized, is_quantized
from g4convert.imatrix import Importance
from g4convert.quants import DEMANDS_IMPORTANCE, NEEDS_IMPORTANCE, USES_IMPORTANCE, TensorType
from g4convert.recipes import Recipe
from g4convert.transforms import Floats
from g4local.core.errors import BadImatrix, UsageError

_SHOWN = 3
"""Tensors that a warning names."""
_TABLES = ("embedding", "output")
"""Roles of tensors that llama-quantize lets go without."""


class Weighted(Sized, Protocol):
    """A tensor with its type and its weights."""

    @property
    def type(self) -> TensorType:
        """What it becomes."""

    @property
    def weights(self) -> Floats | None:
        """How much each column matters."""


def weights(tensor: Sized, importance: Importance | None) -> Floats | None:
    """What the matrix has for a tensor, [experts, row]; BadImatrix when it is that of another model.

    Embeddings of another size are passed over, as llama-quantize does.
    """
    if importance is None or tensor.name not in importance.sums or not is_quantized(tensor):
        return None
    experts, row = tensor.shape[0] if len(tensor.shape) > 2 else 1, tensor.shape[-1]
    found = importance.weights(tensor.name)
    if found.size != experts * row:
        if tensor.role == "embedding":
            return None
        raise BadImatrix(
            f"The importance matrix has {found.size} columns for {tensor.name!r}, which has {experts * row}.",
            "It is that of another model; make one for this.",
        )
    return found.reshape(experts, row)


def gaps(tensors: Sequence[Weighted], importance: Importance) -> tuple[str, ...]:
    """What an importance matrix says nothing about, one sentence for each kind; embeddings never have an entry."""
    using = [tensor for tensor in tensors if _uses(tensor) and tensor.role not in _TABLES]
    silent = [tensor.name for tensor in using if tensor.weights is None]
    unreached = {tensor.name: importance.unreached(tensor.name) for tensor in using if tensor.weights is not None}
    told = []
    if silent:
        told.append(
            f"The importance matrix says nothing of {len(silent)} of {len(using)} tensors, quantized without: "
            f"{_some(silent)}."
        )
    if any(unreached.values()):
        many = {tensor.name for tensor in using if len(tensor.shape) > 2}
        listed = [
            f"{name} (experts {', '.join(map(str, experts))})" if name in many else name
            for name, experts in unreached.items()
            if experts
        ]
        told.append(f"No token reached these, so all of their columns count the same: {_some(listed)}.")
    return tuple(told)


def expect_enough(recipe: Recipe, tensors: Sequence[Weighted], given: Guidance) -> None:
    """UsageError when a type needs an importance that is not there, which llama-quantize or ggml would refuse.

    BadImatrix when the matrix has nothing for any tensor that would use it.
    """
    using = [tensor for tensor in tensors if _uses(tensor) and tensor.role not in _TABLES]
    if given.importance and using and all(tensor.weights is None for tensor in using):
        raise BadImatrix(
            "The importance matrix says nothing of any tensor of this model.",
            "It is that of another model; make one for this.",
        )
    lacking = [tensor for tensor in tensors if tensor.weights is None and _needs(recipe, tensor)]
    if not lacking:
        return
    first = lacking[0]
    if given.importance is None:
        what = first.type.name if given.overrides or given.embedding else recipe.name
        raise UsageError(
            f"{what} needs an importance matrix: {len(lacking)} tensors, such as {first.name!r}, become "
            f"{first.type.name}.",
            "Give one with --imatrix to `convert` or `quantize`, or take a larger quant.",
        )
    more = f" (and {len(lacking) - 1} more)" if len(lacking) > 1 else ""
    raise UsageError(
        f"The importance matrix says nothing of {first.name!r}{more}, which {first.type.name} needs.",
        "Give them another type with --tensor-type, or take a larger quant.",
    )


def _uses(tensor: Weighted) -> bool:
    return is_quantized(tensor) and tensor.type.name in USES_IMPORTANCE


def _needs(recipe: Recipe, tensor: Weighted) -> bool:
    if not _uses(tensor):
        return False
    if tensor.role in _TABLES:
        return tensor.type.name in DEMANDS_IMPORTANCE
    return tensor.type.name in NEEDS_IMPORTANCE or (recipe.strict and tensor.type.name == recipe.base)


def _some(names: Sequence[str]) -> str:
    others = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {others} more" if others > 0 else "")
