"""What one generation costs: its tokens, its drafts and its seconds."""

from time import perf_counter

from g4local.backend.draft.drafts import Drafts
from g4local.backend.engine import Completion, EndReason


class Account:
    """Counts and times one generation."""

    def __init__(self, prompt_tokens: int, seed: int, drafts: Drafts | None) -> None:
        self.reused = 0
        self.said = 0
        self.thought_cut = False
        self.warnings: tuple[str, ...] = ()
        self.drafts = drafts
        self._prompt_tokens = prompt_tokens
        self._seed = seed
        self._started_at = perf_counter()
        self._prefilled_at = self._started_at

    def prefilled(self) -> None:
        """Note that the prompt is decoded."""
        self._prefilled_at = perf_counter()

    def completion(self, reason: EndReason, end_token: int | None = None) -> Completion:
        """The account of a generation that ends now."""
        return Completion(
            reason=reason,
            end_token=end_token,
            prompt_tokens=self._prompt_tokens,
            reused_tokens=self.reused,
            completion_tokens=self.said,
            prefill_seconds=self._prefilled_at - self._started_at,
            decode_seconds=perf_counter() - self._prefilled_at,
            seed=self._seed,
            thought_cut=self.thought_cut,
            drafted_tokens=self.drafts.drafted if self.drafts else 0,
            warnings=self.warnings,
            accepted_tokens=self.drafts.accepted if self.drafts else 0,
        )
