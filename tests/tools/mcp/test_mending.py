"""Halves of surrogate pairs in JSON, against Python's own parser, which reads them; answers that can't be read."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from g4local.tools.mcp.mending import Mended, answered, mended

ANY = st.text(st.one_of(st.sampled_from('\\"u\ud83d\ude00\ud800\udfff9a'), st.characters(exclude_categories=())))


@given(ANY, st.data())
def test_halves_are_mended_and_all_else_stays_however_it_is_cut(text: str, data: st.DataObject) -> None:
    encoded = json.dumps({"text": text}).encode()
    whole = json.loads(encoded)["text"]
    wanted = "".join("\ufffd" if "\ud800" <= each <= "\udfff" else each for each in whole)
    assert json.loads(mended(encoded))["text"] == wanted
    cuts = sorted(data.draw(st.lists(st.integers(0, len(encoded)), max_size=5)))
    pieces = Mended()
    taken = [pieces.take(encoded[a:b]) for a, b in zip([0, *cuts], [*cuts, len(encoded)], strict=True)]
    assert pieces.rest() == b"", "nothing is held back once a text is whole"
    assert b"".join(taken) == mended(encoded)


@given(st.binary())
def test_any_bytes_become_utf_8(data: bytes) -> None:
    mended(data).decode("utf-8")


def test_upper_case_and_bytes_of_a_half_are_mended_too() -> None:
    assert json.loads(mended(rb'"\uD83D \uD83D\uDE00 \\ud83d"')) == "\ufffd \U0001f600 \\ud83d"
    assert "\ufffd" in json.loads(mended(b'"\xed\xa0\x80"'))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"id": 7, "result": [', [7]),
        ('{"id":"a","error":7}', ["a"]),
        ('{"id": 8, "result": [', []),
        ('{"jsonrpc": "2.0", "result": [', [7, "a"]),
        ('{"jsonrpc": "2.0", "id": null, "error": [', [7, "a"]),
        ('{"jsonrpc": "2.0", "method": "notifications/progress", "params": [', []),
        ('{"level": "warning", "error": "disk full"}', []),
        ("a line of a log", []),
        ("[" * 1000, []),
    ],
)
def test_what_can_not_be_read_is_an_answer_to_what_it_names_or_to_all(text: str, told: list[int | str]) -> None:
    assert answered(text.encode(), [7, "a"]) == told
