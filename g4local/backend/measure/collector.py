"""Adds up the squares of what the weights of a model are multiplied with, as llama.cpp's imatrix tool does.

llama.cpp calls back for each node of its graph. What counts is each product of an expert's weights (MUL_MAT_ID), and
each product of a layer's other weights (MUL_MAT, `blk.*`) with at least 16 tokens; the embeddings, which are also the
output, and `per_layer_model_proj` are no layer's. Layers that use another one's keys and values have no products of
their own with attn_k and attn_v, so these have no entry.
"""

import llama_cpp.llama_cpp as llama
import numpy as np
from numpy.typing import NDArray

from g4local.backend.llamacpp import tensors
from g4local.backend.llamacpp.tensors import Tensor

_FEWEST_TOKENS = 16
"""Of a product that is looked at."""

Doubles = NDArray[np.float64]
Counts = NDArray[np.int64]


class Collector:
    """The sums since the last `clear`; alive for as long as a context calls it."""

    def __init__(self) -> None:
        self.sums: dict[str, Doubles] = {}
        """Of squared inputs, by the weight's name: [experts, row]."""
        self.counts: dict[str, Counts] = {}
        """Tokens, by the weight's name: [experts]."""
        self.callback = llama.ggml_backend_sched_eval_callback(self._watch)

    def clear(self) -> None:
        """Begin anew."""
        self.sums.clear()
        self.counts.clear()

    def _watch(self, address: int, ask: bool, user_data: int | None) -> bool:
        """llama.cpp asks whether a node is wanted, and calls again when it is computed; False would end the graph."""
        node = tensors.at(address)
        operation = tensors.operation(node)
        if operation not in ("MUL_MAT", "MUL_MAT_ID"):
            return False
        weight, given = tensors.at(node.src[0]), tensors.at(node.src[1])
        if ask:
            return operation == "MUL_MAT_ID" or _counts(weight, given)
        inputs = tensors.values(given, np.float32)
        if operation == "MUL_MAT_ID":
            self._add_experts(weight, inputs, tensors.values(tensors.at(node.src[2]), np.int32))
        else:
            self._add(weight, 0, inputs.reshape(-1, inputs.shape[-1]))
        return True

    def _add_experts(self, weight: Tensor, inputs: NDArray[np.float32], experts: NDArray[np.int32]) -> None:
        """Inputs [1, tokens, used or 1, row] go to the experts [1, 1, tokens, used] that the router picked."""
        picked = experts[0, 0]
        rows = np.broadcast_to(inputs[0], (*picked.shape, inputs.shape[-1]))
        for expert in np.unique(picked):
            self._add(weight, int(expert), rows[picked == expert])

    def _add(self, weight: Tensor, expert: int, inputs: NDArray[np.float32]) -> None:
        """Inputs [tokens, row] of one expert, or of a weight that has none."""
        name = weight.name.decode()
        if name not in self.sums:
            self.sums[name] = np.zeros((weight.ne[2], weight.ne[0]))
            self.counts[name] = np.zeros(weight.ne[2], np.int64)
        self.sums[name][expert] += np.einsum("tc,tc->c", inputs, inputs)
        self.counts[name][expert] += len(inputs)


def _counts(weight: Tensor, given: Tensor) -> bool:
    """Whether an ordinary product is one of a layer's weights with enough tokens."""
    return bool(weight.name.startswith(b"blk.") and given.type == tensors.F32 and given.ne[1] >= _FEWEST_TOKENS)
