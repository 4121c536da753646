"""What is done about a checkpoint that was trained for Q4_0: some rows of each tensor tell before all are read."""

from dataclasses import dataclass, replace
from typing import Literal

from g4convert import lattice
from g4convert.checkpoint import Rows
from g4convert.lattice import BLOCK, Tally
from g4convert.plan import Plan, TensorPlan, padded
from g4convert.quants import FLOATS, TYPES
from g4convert.transforms import widened
from g4local.core.errors import UsageError

Mode = Literal["auto", "on", "off"]
"""auto: what lies on the lattice is kept exactly; on: that there is nothing is an error; off: nobody looks."""

_ROWS = 8
"""Of a tensor that are looked at."""
_TENSORS = 8
"""That are looked at where nothing but a warning follows."""
_ENOUGH = 0.5
"""Share of the blocks that lie on the lattice, for a tensor to count as trained for it; by chance none does."""


@dataclass(frozen=True, slots=True)
class Adapted:
    """A plan that keeps what was trained."""

    plan: Plan
    warnings: tuple[str, ...] = ()
    """One sentence each."""


def adapted(plan: Plan, rows: Rows, mode: Mode) -> Adapted:
    """The plan with its tensors marked that lie on the lattice; UsageError when they must and none does.

    In a Q4_0 file all of them become Q4_0, the embeddings too, for which llama.cpp's recipe has a larger type.
    """
    if mode == "on" and not plan.recipe.is_quantized:
        raise UsageError(f"{plan.recipe.name} keeps all weights as they are.", "Give --quant Q4_0, or no --qat on.")
    if mode == "off" or not plan.recipe.is_quantized:
        return Adapted(plan)
    candidates = [tensor for tensor in plan.tensors if _may_be_exact(plan, tensor)]
    tally = Tally()
    marked = {tensor.name for tensor in candidates if _lies_on_lattice(tensor, rows)}
    if marked and plan.recipe.base == "Q4_0":
        return Adapted(_marked(plan, marked, tally))
    others = [tensor for tensor in plan.tensors if tensor not in candidates and _has_blocks(tensor)]
    found = [tensor for tensor in others[:: max(1, len(others) // _TENSORS)] if _lies_on_lattice(tensor, rows)]
    if mode == "on" and not marked:
        raise UsageError(
            f"{plan.recipe.name} keeps nothing of a Q4_0 lattice." if found else "No weights lie on a Q4_0 lattice.",
            "Give --quant Q4_0." if found else "Leave --qat on away; this is no checkpoint that was trained for Q4_0.",
        )
    return Adapted(_marked(plan, marked, tally), (_warning(plan),) if found or marked else ())


def _may_be_exact(plan: Plan, tensor: TensorPlan) -> bool:
    is_raised = plan.recipe.base == "Q4_0" and tensor.type.name not in FLOATS and not tensor.given
    is_q4_0 = tensor.type.name == "Q4_0" or is_raised
    return is_q4_0 and _has_blocks(tensor)


def _has_blocks(tensor: TensorPlan) -> bool:
    has_values = tensor.source is not None and tensor.source.dtype in FLOATS and not tensor.is_whole
    return has_values and tensor.role != "exact" and tensor.row % BLOCK == 0


def _lies_on_lattice(tensor: TensorPlan, rows: Rows) -> bool:
    """Whether half of the blocks do that say anything about it, in some rows from all over the tensor."""
    assert tensor.source is not None
    count = min(_ROWS, tensor.rows)
    raw = b"".join(rows.read(tensor.source, index * tensor.rows // count, 1) for index in range(count))
    found = lattice.share(widened(raw, tensor.source.dtype))
    return found is not None and found >= _ENOUGH


def _marked(plan: Plan, names: set[str], tally: Tally) -> Plan:
    """The plan in which these tensors are Q4_0 and count their blocks."""
    tensors, offset = [], 0
    for tensor in plan.tensors:
        if tensor.name in names:
            tensor = replace(tensor, type=TYPES["Q4_0"], lattice=tally)
        tensors.append(replace(tensor, offset=offset))
        offset = padded(offset + tensors[-1].nbytes)
    return replace(plan, tensors=tuple(tensors))


def _warning(plan: Plan) -> str:
    return f"These weights were trained for Q4_0: --quant Q4_0 keeps them exactly, {plan.recipe.name} does not."
