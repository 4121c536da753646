"""What is shown of texts of others can be written, and steers nothing."""

from hypothesis import given
from hypothesis import strategies as st

from g4local.core.visible import in_one_line, printable

ANY = st.text(st.characters(exclude_categories=()))
"""Also halves of characters, as names of files hold that are no UTF-8."""


@given(ANY)
def test_any_text_can_be_written_and_holds_no_control(text: str) -> None:
    shown = printable(text)
    shown.encode()
    assert len(shown) == len(text)
    assert all(letter in "\n\t" or (letter >= " " and not "\x7f" <= letter < "\xa0") for letter in shown)
    assert not set(in_one_line(text)) & set("\n\t")


def test_a_text_without_controls_stays_as_it_is() -> None:
    assert printable("Grüße, 漢字 🙂\n\tא") == "Grüße, 漢字 🙂\n\tא"
