"""How far two models are from each other on a text: the child's part of a comparison.

Both are loaded by one child and read each chunk in step, so no more than SCORED tokens' logits of each are ever kept;
their files are mapped, so a machine with too little memory for both reads them again instead of failing.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass

import llama_cpp.llama_cpp as llama
import numpy as np
from numpy.typing import NDArray

from g4local.backend.llamacpp import ggml
from g4local.backend.llamacpp.stop import StopFlag
from g4local.backend.measure.reader import SCORED, Floats, Reader
from g4local.backend.measures import Comparison, ComparisonRequest
from g4local.core.errors import UsageError
from g4local.core.progress import Progress, Report

_LARGEST_LOSS = 690.0
"""Nats; e to it is 1e300."""


@dataclass(frozen=True, slots=True)
class Place:
    """One place of the text, where both models said what they think of the next token."""

    kl: float
    """KL(base || model) in nats."""
    same_top: bool
    loss: float
    """The negative logarithm of what the model gave to the token that follows, in nats."""
    base_loss: float


def compared(request: ComparisonRequest, stop: StopFlag, report: Report) -> Comparison:
    """Compare them; UsageError when the text is too short or they have not the same vocabulary."""
    with ExitStack() as closer:
        base, model = (
            closer.enter_context(closing(Reader(path, request.reading, stop, report)))
            for path in (request.base, request.model)
        )
        chunks = base.chunks(request.text)
        if chunks != model.chunks(request.text):
            raise UsageError(
                f"{request.model.name} and {request.base.name} read the text as different tokens.",
                "Compare a model with the one that it was made of.",
            )
        places: list[Place] = []
        for done, chunk in enumerate(chunks):
            report(Progress("compare", done, len(chunks), "chunks"))
            places += _chunk(base, model, chunk)
    return _summary(places, len(chunks))


def _chunk(base: Reader, model: Reader, chunk: Sequence[int]) -> Iterator[Place]:
    """The places of the second half of a chunk, but for its last one, whose next token is not in it."""
    tokens = base.begin(chunk)
    model.begin(chunk)
    half, last = len(chunk) // 2, len(chunk) - 1
    base.read(tokens[:half])
    model.read(tokens[:half])
    for start in range(half, last, SCORED):
        end = min(start + SCORED, last)
        expected, found = base.logits(tokens[start:end]), model.logits(tokens[start:end])
        for place in range(end - start):
            yield _place(expected[place], found[place], chunk[start + place + 1])


def _place(expected: Floats, found: Floats, token: int) -> Place:
    base, model = _log_softmax(expected), _log_softmax(found)
    return Place(
        kl=max(0.0, float(np.exp(base) @ (base - model))),
        same_top=bool(expected.argmax() == found.argmax()),
        loss=-float(model[token]),
        base_loss=-float(base[token]),
    )


def _log_softmax(logits: Floats) -> NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max()
    result: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum())
    return result


def _summary(places: Sequence[Place], chunks: int) -> Comparison:
    divergences = np.array([place.kl for place in places])
    return Comparison(
        chunks=chunks,
        tokens=len(places),
        kl_mean=float(divergences.mean()),
        kl_99=float(np.percentile(divergences, 99)),
        kl_max=float(divergences.max()),
        same_top=float(np.mean([place.same_top for place in places])),
        perplexity=_perplexity([place.loss for place in places]),
        base_perplexity=_perplexity([place.base_loss for place in places]),
        llama_cpp=f"{llama.llama_version().decode('utf-8', 'replace')}, ggml {ggml.version()}",
    )


def _perplexity(losses: Sequence[float]) -> float:
    """e to the mean loss, at most 1e300, so that it stays a number that JSON can say."""
    return float(np.exp(min(float(np.mean(losses)), _LARGEST_LOSS)))
