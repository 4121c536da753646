"""Train the built-in model from nothing: `python -m demo.train --minutes 41 --seed 1 OUT` (torch and transformers).

Two processes of one thread each share the work of every step. The learning rate follows the clock, so that the
training ends with a rate of zero whatever else the machine does; the model is written every few minutes.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import torch
import torch.distributed as dist
from transformers import Gemma4ForConditionalGeneration
from transformers.models.gemma4 import modeling_gemma4

from demo import checkpoint, conversations, encoding, vocabulary
from demo.optimizer import Optimizer

WORKERS = 2
VOCABULARY_SIZE = 1536
VOCABULARY_CONVERSATIONS = 12_000
MICRO_BATCH = 4
CONVERSATIONS_PER_STEP = 2 * MICRO_BATCH * WORKERS
POOL = 256
"""Conversations that are sorted by length together."""
LONGEST = 800
PEAK_RATE = 2e-3
WARM_UP = 0.02
"""Of the whole time."""
SAVE_EVERY = 240.0
"""Seconds."""

Batch = list[tuple[list[int], list[bool]]]


@dataclass(frozen=True, slots=True)
class Job:
    """What is trained, from what, and for how long."""

    out: Path
    vocab_size: int
    seconds: float
    seed: int
    start: Path | None
    """A checkpoint to go on from; None for random weights."""


def main() -> None:
    """Learn the vocabulary, then train with two processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=41.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start", type=Path, help="a checkpoint to go on from, with its vocabulary")
    arguments = parser.parse_args()
    if arguments.start:
        vocab_size = vocabulary.copy(arguments.start, arguments.out)
    else:
        sample = islice(conversations.training(f"{arguments.seed} vocabulary"), VOCABULARY_CONVERSATIONS)
        vocab_size = vocabulary.write(arguments.out, encoding.texts(sample), VOCABULARY_SIZE)
    with tempfile.TemporaryDirectory() as folder:
        job = Job(arguments.out, vocab_size, arguments.minutes * 60, arguments.seed, arguments.start)
        settings = (job, f"{folder}/meeting")
        torch.multiprocessing.spawn(_work, args=settings, nprocs=WORKERS)


def loss(model: Gemma4ForConditionalGeneration, batch: Batch) -> tuple[torch.Tensor, int]:
    """The summed cross-entropy of the model's own tokens, and their number.

    The last layers use the keys and values of earlier ones, so they are worked out only where a token is predicted.
    """
    length = max(len(ids) for ids, _ in batch)
    ids = torch.zeros(len(batch), length, dtype=torch.long)
    places = [[p for p in range(len(own) - 1) if own[p + 1]] for _, own in batch]
    most = max(map(len, places))
    chosen = torch.zeros(len(batch), most, dtype=torch.long)
    real = torch.zeros(len(batch), most, dtype=torch.bool)
    for row, (sequence, _) in enumerate(batch):
        ids[row, : len(sequence)] = torch.tensor(sequence)
        chosen[row, : len(places[row])] = torch.tensor(places[row])
        real[row, : len(places[row])] = True
    hidden = _hidden(model.model.language_model, ids, chosen)[real]
    softcap = model.config.text_config.final_logit_softcapping
    logits = softcap * torch.tanh(model.lm_head(hidden) / softcap)
    targets = ids.gather(1, chosen + 1)[real]
    return torch.nn.functional.cross_entropy(logits, targets, reduction="sum"), len(targets)


def _hidden(model: Any, ids: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """The last hidden states at the chosen positions, [batch, chosen, hidden]."""
    hidden = model.embed_tokens(ids)
    per_layer = model.project_per_layer_inputs(hidden, model.get_per_layer_inputs(ids, hidden))
    positions = torch.arange(ids.shape[1])[None]
    ropes = {kind: model.rotary_emb(hidden, positions, kind) for kind in model.unique_layer_types}
    masks: dict[str, torch.Tensor | None] = {"full_attention": None, "sliding_attention": _seen(positions, ids, model)}
    shared: dict[str, Any] = {}
    for index, layer in enumerate(model.layers):
        if index == model.first_kv_shared_layer_idx:
            masks = {
                "full_attention": (positions[:, None, :] <= chosen[:, :, None])[:, None],
                "sliding_attention": _seen(chosen, ids, model),
            }
            ropes = {kind: (cos[0][chosen], sin[0][chosen]) for kind, (cos, sin) in ropes.items()}
            rows = torch.arange(len(ids))[:, None]
            hidden, per_layer = hidden[rows, chosen], per_layer[rows, chosen]
        kind = model.config.layer_types[index]
        hidden = layer(
            hidden,
            per_layer[:, :, index],
            shared_kv_states=shared,
            position_embeddings=ropes[kind],
            attention_mask=masks[kind],
        )
    return model.norm(hidden)


def _seen(queries: torch.Tensor, ids: torch.Tensor, model: Any) -> torch.Tensor:
    """Which keys each query of a sliding layer sees, [batch, 1, queries, keys]."""
    distance = queries[:, :, None] - torch.arange(ids.shape[1])[None, None]
    return ((distance >= 0) & (distance < model.config.sliding_window))[:, None]


def _work(rank: int, job: Job, meeting: str) -> None:
    torch.set_num_threads(1)
    _fuse_elementwise()
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=WORKERS)
    model = checkpoint.load(job.start) if job.start else checkpoint.new_model(job.vocab_size, job.seed)
    parameters = list(model.parameters())
    optimizer = Optimizer(list(model.named_parameters()), rank, WORKERS)
    batches = _batches(job.seed, rank, job.out)
    _gradients(model, next(batches))
    model.zero_grad()
    dist.barrier()
    started = saved = time.monotonic()
    steps = tokens_seen = 0
    while True:
        total, count, tokens = _gradients(model, next(batches))
        mean, progress = _share(parameters, total, count, (time.monotonic() - started) / job.seconds)
        if progress >= 1:
            break
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step(_rate(progress))
        model.zero_grad()
        steps, tokens_seen = steps + 1, tokens_seen + tokens * WORKERS
        if rank == 0 and steps % 20 == 0:
            print(f"step {steps} progress {progress:.3f} loss {mean:.4f} tokens {tokens_seen}", flush=True)
        if rank == 0 and time.monotonic() - saved > SAVE_EVERY:
            checkpoint.save(model, job.out, job.vocab_size)
            saved = time.monotonic()
    if rank == 0:
        checkpoint.save(model, job.out, job.vocab_size)
        figures = {"seed": job.seed, "minutes": round(job.seconds / 60, 1), "steps": steps}
        figures |= {"conversations": steps * CONVERSATIONS_PER_STEP, "tokens": tokens_seen}
        print(json.dumps(figures), flush=True)
    dist.destroy_process_group()


def _gradients(model: Gemma4ForConditionalGeneration, batches: list[Batch]) -> tuple[float, int, int]:
    """Add this worker's gradients; returns the summed loss, the tokens it is of, and all tokens."""
    total, count = 0.0, 0
    for batch in batches:
        part, predicted = loss(model, batch)
        part.backward()
        total, count = total + part.item(), count + predicted
    return total, count, sum(len(ids) for batch in batches for ids, _ in batch)


def _rate(progress: float) -> float:
    return PEAK_RATE * min(1.0, progress / WARM_UP, (1 - progress) / (1 - WARM_UP))


def _fuse_elementwise() -> None:
    """Have torch compile what transformers works out element by element: a fifth of the time, the same numbers."""

    torch._dynamo.config.recompile_limit = 64

    def scaled(states: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
        return plain(states, eps) * weight

    def plain(states: torch.Tensor, eps: float) -> torch.Tensor:
        return states * torch.rsqrt(states.pow(2).mean(-1, keepdim=True) + eps)

    def gated(gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.gelu(gate, approximate="tanh") * up

    fused_scaled, fused_plain, fused_gated = (torch.compile(each, dynamic=True) for each in (scaled, plain, gated))

    def norm(self: Any, states: torch.Tensor) -> torch.Tensor:
        rows = states.reshape(-1, states.shape[-1])
        rows = fused_scaled(rows, self.weight, self.eps) if self.with_scale else fused_plain(rows, self.eps)
        return rows.view(states.shape)

    def mlp(self: Any, states: torch.Tensor) -> torch.Tensor:
        rows = states.reshape(-1, states.shape[-1])
        return self.down_proj(fused_gated(self.gate_proj(rows), self.up_proj(rows))).view(states.shape)

    modeling_gemma4.Gemma4RMSNorm.forward = norm
    modeling_gemma4.Gemma4TextMLP.forward = mlp


def _share(parameters: list[torch.nn.Parameter], total: float, count: int, progress: float) -> tuple[float, float]:
    """Average the gradients over all workers' tokens; returns the mean loss and how far the training is."""
    gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
    flat = torch.cat([g.flatten() for g in gradients] + [torch.tensor([total, float(count), progress])])
    dist.all_reduce(flat)
    tokens = float(flat[-2])
    place = 0
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = (flat[place : place + gradient.numel()] / tokens).view_as(parameter)
        place += gradient.numel()
    return float(flat[-3]) / tokens, float(flat[-1]) / WORKERS


def _batches(seed: int, rank: int, folder: Path) -> Iterator[list[Batch]]:
    """For each step this worker's micro-batches: one of short conversations and one of long ones.

    All workers take the same places of their sorted pools, so that none waits long for the others.
    """
    encode = encoding.encoder(folder)
    examples = (encoding.example(each, encode) for each in conversations.training(f"{seed} {rank}"))
    fitting = (example for example in examples if len(example[0]) <= LONGEST)
    order = Random(seed)
    while True:
        pool = sorted(islice(fitting, POOL), key=lambda example: len(example[0]))
        micro = [pool[start : start + MICRO_BATCH] for start in range(0, POOL, MICRO_BATCH)]
        pairs = [[short, long] for short, long in zip(micro, reversed(micro), strict=True)][: len(micro) // 2]
        order.shuffle(pairs)
        yield from pairs


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    main()
