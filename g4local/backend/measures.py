"""How a text is read with a model so as to measure something, and what comes of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CHUNK_TOKENS = 512
"""llama.cpp's own tools read in pieces of this length, so figures are made alike."""
FEWEST_TOKENS = 32
"""Of a chunk; llama.cpp's imatrix looks at no batch of less than 16 tokens, and a half of a chunk is scored."""
SUMMED_CHUNKS = 10
"""Sums are told after so many chunks."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How a text becomes chunks: pieces of equal length that know nothing of each other; what is left over is not read.

    Each begins with `<bos>` in the place of its first token where the model's vocabulary wants one, as in llama.cpp's
    own tools.
    """

    chunk_tokens: int = CHUNK_TOKENS
    parse_special: bool = False
    """Whether the names of control tokens in the text (`<|turn>`) are those tokens."""
    threads: int = 0
    """Threads of the CPU; 0 is one for each core."""


@dataclass(frozen=True, slots=True)
class SumsRequest:
    """Read a text and tell what it puts into the weights of a model."""

    model: Path
    text: str
    reading: Reading
    folder: Path
    """Where the files of sums go; whoever asked deletes them."""
    first: int = 0
    """The chunk to begin with, a multiple of SUMMED_CHUNKS."""


@dataclass(frozen=True, slots=True)
class ComparisonRequest:
    """Read a text with two models and tell how far they are from each other."""

    model: Path
    base: Path
    text: str
    reading: Reading


@dataclass(frozen=True, slots=True)
class Sums:
    """What a few chunks put into the weights of a model."""

    chunks: int
    """Chunks read so far, counted from the beginning of the text."""
    total: int
    """Chunks of the whole text."""
    file: Path
    """Float32 sums of squared inputs, weight after weight, expert after expert, a sum for each column."""
    columns: Mapping[str, int]
    """The length of a row, by the weight's name, in the order of the file."""
    counts: Mapping[str, list[int]]
    """Tokens that each expert (or the weight, as the only one) was given, by the weight's name."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """How far a model's idea of the next token is from another's, over a text.

    Measured as llama.cpp's `llama-perplexity --kl-divergence` does: where the second half of a chunk is told its next
    token, but for its last place. Other than there, nothing is rounded and no unlikely token is left out.
    """

    chunks: int
    tokens: int
    """Places that were compared."""
    kl_mean: float
    """Of the Kullback-Leibler divergence KL(base || model) of the next token's distributions, in nats."""
    kl_99: float
    """Its 99th percentile, interpolated."""
    kl_max: float
    same_top: float
    """The share of places where both find the same token the likeliest, from 0 to 1."""
    perplexity: float
    """The model's own: e to the mean negative logarithm of the text's probability, a token."""
    base_perplexity: float
    llama_cpp: str
    """The version and commit that computed it."""
