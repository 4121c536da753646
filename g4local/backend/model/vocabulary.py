"""A loaded model's vocabulary: prompts become token ids, token ids become text."""

import codecs
import ctypes
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

import llama_cpp.llama_cpp as llama

from g4local.core.errors import BadGguf, EngineError
from g4local.core.prompt import Segment

END_NAMES = ("<eos>", "<turn|>", "<|tool_response>")
"""Tokens that end a reply."""
NEEDED_NAMES = ("<bos>", "<|turn>", "<turn|>")
"""Tokens that every chat has."""
MEDIA_NAMES = ("<|image>", "<image|>", "<|image|>", "<|audio>", "<audio|>", "<|audio|>", "<|video|>")
"""Tokens that stand for images, sounds and films in a prompt; a reply that holds one is a slip."""

_MARKUP = re.compile(r"<\|.*|.*\|>", re.DOTALL)
"""The names of Gemma 4's own tokens; other user-defined tokens would be words like any other."""


class Vocabulary:
    """The tokens of a model; belongs to the model and is of no use after it is freed."""

    def __init__(self, model: int) -> None:
        self._vocab = llama.llama_model_get_vocab(model)
        self.size: int = llama.llama_vocab_n_tokens(self._vocab)
        attributes = [llama.llama_vocab_get_attr(self._vocab, token) for token in range(self.size)]
        special = llama.LLAMA_TOKEN_ATTR_CONTROL | llama.LLAMA_TOKEN_ATTR_USER_DEFINED
        self.special: Mapping[str, int] = {
            llama.llama_vocab_get_text(self._vocab, token).decode("utf-8", "replace"): token
            for token, attribute in enumerate(attributes)
            if attribute & special
        }
        self.end_tokens = frozenset(self.special[name] for name in END_NAMES if name in self.special)
        if missing := [name for name in NEEDED_NAMES if name not in self.special]:
            raise BadGguf(f"The model has no token {missing[0]}.", "g4local runs Gemma 4 that was tuned for chats.")
        self._parsed = _occurrences(
            name
            for name, token in self.special.items()
            if not attributes[token] & llama.LLAMA_TOKEN_ATTR_CONTROL and _MARKUP.fullmatch(name)
        )

    def tokenize(self, prompt: Sequence[Segment]) -> tuple[list[int], set[int]]:
        """A prompt's ids, and the lengths at which its restorable segments end.

        Neighbouring texts are tokenized together; a restorable one is the last of its neighbours.
        """
        tokens: list[int] = []
        marks: set[int] = set()
        text: list[str] = []
        for segment in prompt:
            if segment.special:
                tokens += self._text_tokens("".join(text))
                text.clear()
                tokens.append(self._special_token(segment.text))
            else:
                text.append(segment.text)
            if segment.restorable:
                tokens += self._text_tokens("".join(text))
                text.clear()
                marks.add(len(tokens))
        tokens += self._text_tokens("".join(text))
        return tokens, marks

    def document(self, text: str, *, parse_special: bool) -> list[int]:
        """A text's ids as llama.cpp's own tools have them, with what the vocabulary puts at the beginning.

        They find user-defined tokens (`<|tool_call>`) in any text, and control tokens (`<|turn>`) if asked to.
        """
        return self._llama_tokens(text, add_special=True, parse_special=parse_special)

    @cached_property
    def first(self) -> int | None:
        """The token that begins every text; None when there is none."""
        return llama.llama_vocab_bos(self._vocab) if llama.llama_vocab_get_add_bos(self._vocab) else None

    def exceeds(self, prompt: Sequence[Segment], most: int) -> bool:
        """Whether a prompt has more than `most` tokens already by its bytes, which takes no tokenizing.

        No token stands for more bytes than the longest, so what is not told here may still have more.
        """
        markup = sum(segment.special for segment in prompt)
        nbytes = sum(len(_encoded(segment.text)) for segment in prompt if not segment.special)
        return markup + nbytes > most and markup + -(-nbytes // self._longest) > most

    @cached_property
    def _longest(self) -> int:
        """Bytes of the longest token; counting takes a third of a second, and few prompts need it."""
        return max(map(len, self.pieces()))

    def pieces(self) -> list[bytes]:
        """The bytes of every token."""
        size = 256
        buffer = ctypes.create_string_buffer(size)

        def piece(token: int) -> bytes:
            written = llama.llama_token_to_piece(self._vocab, token, buffer, size, 0, False)
            return ctypes.string_at(buffer, written) if written >= 0 else self.piece(token)

        return [piece(token) for token in range(self.size)]

    def names(self) -> dict[int, str]:
        """The tokens that are markup and no text, and their names."""
        return {token: name for name, token in self.special.items() if _MARKUP.fullmatch(name) or not self.piece(token)}

    def suppressed(self) -> set[int]:
        """Tokens that must not be generated: the model's own list, and stray media."""
        items = ctypes.c_int32()
        own = llama.llama_vocab_get_suppress_tokens(self._vocab, ctypes.byref(items))
        return {*own[: items.value], *(self.special[name] for name in MEDIA_NAMES if name in self.special)}

    def piece(self, token: int) -> bytes:
        """A token's bytes, possibly a part of a character; none for control tokens."""
        size = 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            written: int = llama.llama_token_to_piece(self._vocab, token, buffer, size, 0, False)
            if written >= 0:
                return buffer.raw[:written]
            size = -written

    def _special_token(self, name: str) -> int:
        if name not in self.special:
            raise EngineError(f"The model has no token {name}.", "g4local runs Gemma 4; convert the model again.")
        return self.special[name]

    def _text_tokens(self, text: str) -> Iterator[int]:
        """Text as text: llama.cpp looks for user-defined tokens in it (`<|tool_call>`) in spite of parse_special=False.

        So it is cut after the first character of each of their names, and the parts are tokenized one by one.
        """
        start = 0
        for match in self._parsed.finditer(text):
            yield from self._part_tokens(text[start : match.start() + 1])
            start = match.start() + 1
        yield from self._part_tokens(text[start:])

    def _part_tokens(self, text: str) -> list[int]:
        return self._llama_tokens(text, add_special=False, parse_special=False) if text else []

    def _llama_tokens(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        data = _encoded(text)
        room = len(data) + 8
        buffer = (llama.llama_token * room)()
        items: int = llama.llama_tokenize(self._vocab, data, len(data), buffer, room, add_special, parse_special)
        if items < 0:
            raise EngineError(f"llama.cpp can't tokenize a text of {len(data)} bytes.", "Send less at once.")
        return list(buffer[:items])


def _encoded(text: str) -> bytes:
    """Text as llama.cpp takes it; a lone surrogate, which UTF-8 can't hold, is a question mark."""
    return text.encode("utf-8", "replace")


class Utf8Text:
    """Token bytes put together to whole characters."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, token: int) -> str:
        """The text that became whole with this token; bytes that make no character become U+FFFD.

        An end token completes nothing, so what is pending then is broken.
        """
        return self._decoder.decode(self._vocabulary.piece(token), final=token in self._vocabulary.end_tokens)


def _occurrences(names: Iterable[str]) -> re.Pattern[str]:
    """Matches, without taking characters, wherever one of the names begins; overlapping ones are all found."""
    alternatives = "|".join(re.escape(name) for name in names)
    return re.compile(f"(?={alternatives})" if alternatives else r"(?!)")
