"""Muon for the matrices inside the layers, AdamW for embeddings and norms.

Muon makes the momentum of a matrix orthogonal, so that rare words move it as much as frequent ones: a small model that
sees few conversations learns to copy names in a fraction of AdamW's steps. Each worker works out half of it.
"""

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import Parameter

MOMENTUM = 0.95
WEIGHT_DECAY = 0.05
_LIKE_ADAMW = 0.2
"""The root mean square of AdamW's usual updates, which lets both share a learning rate."""
_QUINTIC = (3.4445, -4.7750, 2.0315)
_ROUNDS = 5


class Optimizer:
    """Both methods behind one step; all workers must hold the same gradients."""

    def __init__(self, named: list[tuple[str, Parameter]], rank: int, workers: int) -> None:
        inner = [p for name, p in named if p.ndim >= 2 and "embed_tokens" not in name]
        embeddings = [p for name, p in named if p.ndim >= 2 and "embed_tokens" in name]
        self._shapes = [
            [p for p in inner if p.shape[-2:] == shape] for shape in sorted({p.shape[-2:] for p in inner}, reverse=True)
        ]
        self._momenta = [torch.zeros(_stacked(group).shape) for group in self._shapes]
        self._rank, self._workers = rank, workers
        groups = [
            {"params": embeddings, "weight_decay": WEIGHT_DECAY},
            {"params": [p for _, p in named if p.ndim < 2], "weight_decay": 0.0},
        ]
        self._adamw = torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=True)

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Change all parameters by their gradients."""
        for group in self._adamw.param_groups:
            group["lr"] = rate
        self._adamw.step()
        updates = [self._update(group, momentum) for group, momentum in zip(self._shapes, self._momenta, strict=True)]
        flat = torch.cat([update.flatten() for update in updates])
        dist.all_reduce(flat)
        place = 0
        for group in self._shapes:
            for parameter in group:
                change = flat[place : place + parameter.numel()].view_as(parameter)
                parameter.mul_(1 - rate * WEIGHT_DECAY).add_(change, alpha=-rate)
                place += parameter.numel()

    def _update(self, group: list[Parameter], momentum: Tensor) -> Tensor:
        """This worker's part of the changes to matrices of one shape, [matrices, rows, columns], zero elsewhere."""
        gradient = _stacked([parameter.grad for parameter in group])
        momentum.mul_(MOMENTUM).add_(gradient)
        mine = slice(len(gradient) * self._rank // self._workers, len(gradient) * (self._rank + 1) // self._workers)
        update = torch.zeros_like(gradient)
        if mine.start < mine.stop:
            direction = gradient[mine] + MOMENTUM * momentum[mine]
            update[mine] = _LIKE_ADAMW * max(gradient.shape[-2:]) ** 0.5 * orthogonal(direction)
        return update


def orthogonal(matrices: Tensor) -> Tensor:
    """Nearly U V^T for each matrix U S V^T, by a quintic Newton-Schulz iteration."""
    wide = matrices.shape[-2] <= matrices.shape[-1]
    state = matrices if wide else matrices.mT
    state = state / (state.flatten(1).norm(dim=1)[:, None, None] + 1e-12)
    first, second, third = _QUINTIC
    for _ in range(_ROUNDS):
        square = state @ state.mT
        state = first * state + (second * square + third * square @ square) @ state
    return state if wide else state.mT


def _stacked(tensors: list[Tensor]) -> Tensor:
    return torch.cat([tensor.reshape(-1, *tensor.shape[-2:]) for tensor in tensors])
