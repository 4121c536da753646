"""Conversations as token ids, tokenized as the engine does it, and which of them the model itself must say."""

from collections.abc import Callable, Iterable
from pathlib import Path

from demo.conversation import Conversation
from demo.vocabulary import special_id
from g4local.chat.template import render
from g4local.core.prompt import Segment

Encode = Callable[[str], list[int]]


def encoder(folder: Path) -> Encode:
    """The tokenizer of a checkpoint folder for plain text."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids


def segments(conversation: Conversation, *, turns: int | None = None) -> list[Segment]:
    """The rendered conversation; the prompt for a reply to its first `turns` messages when these are given."""
    messages = conversation.messages if turns is None else conversation.messages[:turns]
    return render(
        messages,
        tools=conversation.declarations,
        variant="edge",
        enable_thinking=conversation.thinking,
        add_generation_prompt=turns is not None,
    )


def example(conversation: Conversation, encode: Encode) -> tuple[list[int], list[bool]]:
    """Token ids, and for each whether it is the model's own: text, thoughts and calls with the token that ends them.

    In a conversation with thoughts only the last turn counts: thoughts of earlier turns are left out of prompts.
    """
    ids: list[int] = []
    own: list[bool] = []
    speaking = False
    previous = ""
    for segment in segments(conversation):
        if segment.special:
            ids.append(special_id(segment.text))
            own.append(speaking)
            if segment.text in ("<turn|>", "<|tool_response>"):
                speaking = False
            elif segment.text == "<tool_response|>":
                own[-1] = False
                speaking = True
        else:
            said = segment.text
            if previous == "<|turn>" and said.startswith("model\n"):
                _extend(ids, own, encode("model\n"), False)
                speaking, said = True, said.removeprefix("model\n")
                if conversation.thinking:
                    own[:] = [False] * len(own)
            _extend(ids, own, encode(said), speaking)
        previous = segment.text
    return ids, own


def texts(conversations: Iterable[Conversation]) -> list[str]:
    """The plain text of conversations, to learn a vocabulary from."""
    return [segment.text for each in conversations for segment in segments(each) if not segment.special]


def _extend(ids: list[int], own: list[bool], more: list[int], mine: bool) -> None:
    ids += more
    own += [mine] * len(more)
