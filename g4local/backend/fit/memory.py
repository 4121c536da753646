"""What a model takes in memory: sums over its numbers, without llama.cpp and before anything is loaded.

Weights, the cache of keys and values, and the output are llama.cpp's own sums to the byte (llama-kv-cache.cpp,
llama-kv-cache-iswa.cpp, llama-context.cpp). The compute buffer is an estimate: ggml lays the tensors of a batch over
each other as their lifetimes allow, and which stage of a layer needs the most room depends on all of its widths.
"""

from dataclasses import dataclass

from g4local.backend.engine import KvType
from g4local.backend.fit.shape import Model, Shape

BATCH = 512
"""Most tokens of one decode; also the room that a sliding cache has beside its window."""
PIECE = 128
"""Tokens of a prompt that the CPU reads at once: as quick as more of them, and sooner told and stopped."""
CHECKPOINT_BYTES = 1 << 30
"""Checkpoints are kept up to this size; one takes 6 MiB for E2B, 200 for 26B-A4B, 800 for 31B."""
CONTEXT_STEP = 256
"""llama.cpp's contexts and sliding caches are multiples of this."""
PLAIN_ATTENTION_BYTES = 1 << 29
"""Attention on the CPU may take this much more than flash attention would."""
KV_BLOCK: dict[KvType, tuple[int, int]] = {"f16": (1, 2), "q8_0": (32, 34)}
"""Numbers in a block, and the block's bytes."""

_FLOAT, _HALF, _INDEX = 4, 2, 8
_PROCESS_BYTES = 48 << 20
"""Python, llama.cpp and ggml's own scratch space, measured on Linux."""
_TOKEN_BYTES = 400
"""A token of the vocabulary with its merges, as llama.cpp keeps them; measured with Gemma 4's."""


@dataclass(frozen=True, slots=True)
class Setting:
    """How a model is to be run, as far as its memory depends on it."""

    context: int
    kv_type: KvType = "f16"
    lazy: bool = False
    """Rows of the per-layer table are read when they are needed."""
    outputs: int = 1
    """Most tokens of a batch that logits are computed for: one, and its drafts."""
    drafter: int = 0
    """Bytes of an assistant's weights."""


@dataclass(frozen=True, slots=True)
class Placement:
    """What lies on GPUs."""

    layers: int = 0
    """Layers on them, counted from the end as llama.cpp counts them: the output matrix is the first of them, so that
    everything is one more than the model has layers."""
    cpu_experts: int = 0
    """The first so many layers keep their experts in the machine's memory all the same."""


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes that a model takes, by what they are for."""

    weights: int
    kv_full: int
    kv_sliding: int
    compute: int
    output: int
    checkpoint: int
    """One way back to an earlier turn; more are kept where there is room."""
    process: int
    drafter: int = 0
    """An assistant, with what it computes in."""
    device_weights: int = 0
    device_kv: int = 0
    device_compute: int = 0
    device_drafter: int = 0

    @property
    def host(self) -> int:
        """In the machine's memory."""
        return (
            self.weights
            + self.kv_full
            + self.kv_sliding
            + self.compute
            + self.output
            + self.checkpoint
            + self.process
            + self.drafter
        )

    @property
    def device(self) -> int:
        """In the memory of GPUs."""
        return self.device_weights + self.device_kv + self.device_compute + self.device_drafter

    @property
    def total(self) -> int:
        """Together."""
        return self.host + self.device


def need(model: Model, setting: Setting, placement: Placement | None = None, gpus: int = 1) -> Need:
    """What a model takes when it is run so; each of the `gpus` has a compute buffer of its own."""
    shape, weights = model.shape, model.weights
    placement = placement or Placement()
    count = len(shape.layers)
    first = count + 1 - min(placement.layers, count + 1)
    offloaded = placement.layers > 0
    flash = flash_attention(shape, setting.context, setting.kv_type, on_gpu=offloaded)
    device_weights = sum(weights.layers[first:]) + sum(weights.experts[max(first, placement.cpu_experts) :])
    duplicate = weights.output or weights.embedding
    kv = [kv_bytes(shape, index, setting, flash=flash) for index in range(count)]
    host_kv, device_kv = kv[:first], kv[first:]
    compute = compute_bytes(shape, setting.context, flash=flash, batch=BATCH if offloaded else PIECE)
    drafter = drafter_bytes(shape, setting)
    return Need(
        weights=weights.total
        - device_weights
        - (weights.output if offloaded else 0)
        - (weights.table if setting.lazy else 0),
        kv_full=sum(n for n, layer in zip(host_kv, shape.layers, strict=False) if not layer.sliding),
        kv_sliding=sum(n for n, layer in zip(host_kv, shape.layers, strict=False) if layer.sliding),
        compute=compute,
        output=_FLOAT * shape.vocab_size * setting.outputs,
        checkpoint=checkpoint_bytes(shape, setting),
        process=_PROCESS_BYTES + _TOKEN_BYTES * shape.vocab_size,
        drafter=0 if offloaded else drafter,
        device_weights=device_weights + (duplicate if offloaded else 0),
        device_kv=sum(device_kv),
        device_compute=gpus * compute if offloaded else 0,
        device_drafter=drafter if offloaded else 0,
    )


def padded(context: int) -> int:
    """The context that llama.cpp makes of the one that is asked for."""
    return -(-context // CONTEXT_STEP) * CONTEXT_STEP


def flash_attention(shape: Shape, context: int, kv_type: KvType, *, on_gpu: bool) -> bool:
    """Whether attention is flash attention: not on the CPU while it costs little memory to go without.

    On the CPU, flash attention rounds differently for long and short batches and for each place in a sliding cache.
    Without it a token's logits do not depend, or hardly, on what was reused; that is what makes reuse exact. It costs
    the scores of a batch, and a cache whose values are all as wide as the widest. Quantized values need it.
    """
    widest = _widest(shape)
    padding = sum(widest - layer.kv_width for layer in shape.owners if not layer.sliding)
    extra = context * (_FLOAT * BATCH * shape.heads + _HALF * padding)
    return on_gpu or kv_type != "f16" or extra > PLAIN_ATTENTION_BYTES


def kv_bytes(shape: Shape, index: int, setting: Setting, *, flash: bool) -> int:
    """A layer's keys and values; without flash attention all layers' values are as wide as the widest."""
    layer = shape.layers[index]
    if not layer.owns_kv:
        return 0
    cells = sliding_cells(shape, setting.context) if layer.sliding else padded(setting.context)
    block, nbytes = KV_BLOCK[setting.kv_type]
    return cells * (layer.kv_width + (layer.kv_width if flash else _widest(shape))) // block * nbytes


def sliding_cells(shape: Shape, context: int) -> int:
    """Tokens that a sliding layer's cache has room for."""
    return padded(min(padded(context), shape.window + BATCH))


def compute_bytes(shape: Shape, context: int, *, flash: bool, batch: int = BATCH) -> int:
    """The buffer for what is computed in a batch: inputs, per-layer embeddings, and a layer's largest stage.

    llama.cpp reserves it for BATCH tokens; of the machine's memory it takes what the largest batch writes to.
    """
    context = padded(context)
    tokens = min(context, batch)
    cells = context + sliding_cells(shape, context)
    masks = cells * (_HALF if flash else _FLOAT)
    indices = 0 if flash else 2 * _INDEX * _widest(shape)
    table = shape.per_layer_width * len(shape.layers)
    ffn = max((layer.ffn for layer in shape.layers), default=0)
    queries = shape.heads * max((layer.head_size for layer in shape.layers), default=0)
    expert = shape.experts_used * shape.expert_ffn
    scores = 0 if flash else context * shape.heads
    attention = scores + 2 * queries + (4 if table else 3) * shape.hidden + 2 * table + expert
    dense = 3 * shape.hidden + max(3 * table + 2 * ffn, 2 * table + 3 * ffn) + (queries if flash and not table else 0)
    mixture = 3 * expert + (shape.experts_used + 4) * shape.hidden if expert else 0
    return tokens * (masks + indices + _FLOAT * max(attention, dense, mixture))


def checkpoint_bytes(shape: Shape, setting: Setting) -> int:
    """A state of the sliding layers: what their windows hold, values at their own width."""
    block, nbytes = KV_BLOCK[setting.kv_type]
    width = sum(2 * layer.kv_width for layer in shape.owners if layer.sliding)
    return min(shape.window, padded(setting.context)) * width // block * nbytes


def drafter_bytes(shape: Shape, setting: Setting) -> int:
    """An assistant's weights, its logits twice, and attention over the model's keys for one token."""
    return setting.drafter and setting.drafter + _FLOAT * (2 * shape.vocab_size + setting.context * (shape.heads + 2))


def _widest(shape: Shape) -> int:
    return max((layer.kv_width for layer in shape.owners), default=0)
