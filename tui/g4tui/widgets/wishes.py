"""What a person wants done with something in the transcript; the screen does it."""

from textual.message import Message


class CopyWanted(Message):
    """A text is to be copied."""

    def __init__(self, text: str, what: str) -> None:
        """`what` names it in a word: question, answer, code, result, thought, address."""
        super().__init__()
        self.text = text
        self.what = what


class QuoteWanted(Message):
    """A text is to be quoted in the prompt."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text


class EditWanted(Message):
    """A question is to be asked in other words, in a branch of its own."""

    def __init__(self, index: int, text: str) -> None:
        """`index` counts the questions of the conversation from 0."""
        super().__init__()
        self.index = index
        self.text = text


class BranchWanted(Message):
    """Another version of a question is to be shown, with all that followed it."""

    def __init__(self, index: int, step: int) -> None:
        """`step` is 1 for the next version, -1 for the one before."""
        super().__init__()
        self.index = index
        self.step = step
