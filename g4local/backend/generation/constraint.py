"""Which tokens may come next in a text that has to follow a grammar: llguidance over a model's vocabulary."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from g4local.backend.engine import Constraint
from g4local.backend.generation.grammar import complaint, refusal, written
from g4local.backend.model.vocabulary import Vocabulary
from g4local.core.errors import EngineError
from g4local.core.prompt import Segment

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from llguidance import LLMatcher, LLTokenizer


class Grammars:
    """The grammars that a model's replies are held to; belongs to the model and is closed before it."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._tokenizer: Future[LLTokenizer] | None = None

    def prepare(self) -> None:
        """Begin to index the vocabulary, which takes a second or two for Gemma 4's, beside what comes next."""
        if self._tokenizer is None:
            self._tokenizer = self._thread.submit(_indexed, self._vocabulary)

    def matcher(self, constraint: Constraint) -> "Matcher":
        """A matcher at the beginning of its text; UsageError when the constraint can't be enforced."""
        from llguidance import LLMatcher

        self.prepare()
        assert self._tokenizer is not None
        tokenizer = self._tokenizer.result()
        if wrong := complaint(constraint, tokenizer):
            raise refusal(constraint, wrong)
        return Matcher(LLMatcher(tokenizer, written(constraint), log_level=0), self._vocabulary.size)

    def close(self) -> None:
        """Wait until nobody uses the vocabulary any more."""
        self._thread.shutdown()


class Matcher:
    """A text on its way through a grammar. End tokens are none of its business, but it knows where they may come."""

    def __init__(self, matcher: "LLMatcher", vocab_size: int) -> None:
        self._matcher = matcher
        self._vocab_size = vocab_size

    @property
    def is_complete(self) -> bool:
        """Whether the text may end here."""
        return self._matcher.is_accepting()

    def asks_for(self, text: bytes) -> bool:
        """Whether the text must go on with these bytes, whoever says it."""
        forced: bytes = self._matcher.compute_ff_bytes()
        return forced.startswith(text)

    def allows(self, token: int) -> bool:
        """Whether the token may come next."""
        return self._matcher.validate_tokens([token]) == 1

    def allowed(self) -> "npt.NDArray[np.bool_]":
        """For each token of the vocabulary, whether it may come next."""
        import numpy as np

        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        self._check()
        return np.unpackbits(bits, count=self._vocab_size, bitorder="little").view(np.bool_)

    def take(self, token: int) -> None:
        """Go on with a token that may come next."""
        self._matcher.consume_token(token)
        self._check()

    def _check(self) -> None:
        if self._matcher.is_error():
            reason = self._matcher.get_error().strip().split("\n")[0]
            told = "nothing fits it" if reason.startswith("NoExtension") else reason
            raise EngineError(f"The answer can't be held to its grammar any longer: {told}.", "Change the grammar.")


@dataclass(frozen=True, slots=True)
class _Tokens:
    """A vocabulary as llguidance's TokenizerWrapper wants to see one."""

    vocabulary: Vocabulary
    eos_token_id: int
    tokens: Sequence[bytes]
    special_token_ids: Sequence[int]
    bos_token_id: int | None = None

    def __call__(self, text: bytes | str) -> list[int]:
        plain = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        return self.vocabulary.tokenize([Segment(plain)])[0]


def _indexed(vocabulary: Vocabulary) -> "LLTokenizer":
    """llguidance's view of a vocabulary.

    Without its slices: they take as long again to make, for masks that few tokens need.
    """
    from llguidance import LLTokenizer, TokenizerWrapper

    names = vocabulary.names()
    pieces = vocabulary.pieces()
    for token, name in names.items():
        pieces[token] = name.encode()
    ends = sorted(vocabulary.end_tokens)
    tokens = _Tokens(vocabulary, ends[0], pieces, sorted(names))
    return LLTokenizer(TokenizerWrapper(tokens), n_vocab=vocabulary.size, eos_token=ends, slices=[])
