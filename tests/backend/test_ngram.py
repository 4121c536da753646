"""What the n-gram drafter says is what followed the same tokens before; its index is that of a search over the text."""

from hypothesis import given
from hypothesis import strategies as st

from g4local.backend.draft.ngram import SIZE, Ngrams

texts = st.lists(st.integers(0, 3), max_size=60)


def fed(text: list[int], begun: int) -> Ngrams:
    ngrams = Ngrams()
    ngrams.begin(text[:begun])
    for token in text[begun:]:
        ngrams.feed(token)
    return ngrams


def continuations(text: list[int], most: int) -> list[list[int]]:
    """What followed the last few tokens wherever they came before, the last place first; a copy goes on by itself."""
    found = []
    for end in reversed(range(SIZE, len(text))):
        if text[end - SIZE : end] == text[-SIZE:]:
            longer = list(text)
            for place in range(end, end + most):
                longer.append(longer[place])
            found.append(longer[len(text) :])
    return found


@given(texts, st.integers(0, 60), st.integers(1, 12))
def test_a_draft_is_what_followed_the_last_tokens_before(text: list[int], begun: int, most: int) -> None:
    draft = fed(text, begun).draft(-1, most)
    possible = [each[: len(draft)] for each in continuations(text, most)]
    assert (draft and draft in possible) if possible else draft == []


@given(texts, st.integers(1, 12))
def test_after_a_prompt_it_is_one_token_that_followed_them_the_last_time(text: list[int], most: int) -> None:
    assert fed(text, len(text)).draft(-1, most) == next(iter(continuations(text, most)), [])[:1]


@given(st.lists(st.integers(0, 2), min_size=SIZE, max_size=40))
def test_a_text_that_comes_again_is_foretold_to_its_end(passage: list[int]) -> None:
    """The longer it holds, the further; also where its parts come more than once: what is followed is not left for a
    later place that ends alike."""
    start = [100, 101, 102]
    ngrams = Ngrams()
    ngrams.begin([*start, *passage, 103, *start])
    for place in range(len(passage)):
        count = 1 if place < 1 else 3 if place < 4 else len(passage)
        assert ngrams.draft(-1, len(passage) - place) == passage[place:][:count]
        ngrams.feed(passage[place])


def test_what_repeats_itself_is_foretold_beyond_its_end() -> None:
    assert fed([1, 2] * 5, 0).draft(-1, 5) == [1, 2, 1, 2, 1]
    assert fed([7] * 9, 2).draft(-1, 12) == [7] * 12


def test_a_new_text_forgets_the_old_one() -> None:
    ngrams = fed([1, 2, 3, 4, 1, 2, 3], 0)
    assert ngrams.draft(-1, 1) == [4]
    for text in ([], [1], [1, 2, 3]):
        ngrams.begin(text)
        assert ngrams.draft(-1, 1) == []
