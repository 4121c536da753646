"""Pulling what is no model, or none of this family: it is refused when it begins to come."""

import pytest

from g4local import pins
from g4local.core.errors import BadGguf
from g4local.settings import Paths
from tests.hubs import Hub, noise
from tests.test_pulling import REPO, names, pull
from tests.test_pulling import places as places


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (b"\x7fELF" * 500_000, "gemma-tiny-Q8_0.gguf", "is no GGUF"),
        (b"MZ", "gemma-tiny-Q8_0.gguf", "is no GGUF"),
        (noise(2_000_000, 0, "llama"), "gemma-tiny-Q8_0.gguf", "'llama', not Gemma 4"),
        (noise(2_000_000, 0, "gemma4-assistant"), "gemma-tiny-Q8_0.gguf", "only guesses for a larger model"),
        (noise(2_000_000, 0, "gemma4"), "mmproj-F16.gguf", "is no mmproj"),
    ],
)
def test_what_nothing_can_be_done_with_is_refused_when_it_begins_to_come(
    here: Hub, places: Paths, content: bytes, name: str, words: str
) -> None:
    here.put(REPO, "gemma-Q4_K_M.gguf", noise(2000))
    here.put(REPO, name, content)
    here.rate(2_000_000)
    choice = {"mmproj": True} if name.startswith("mmproj") else {}
    with pytest.raises(BadGguf, match=words) as caught:
        pull(REPO if choice else f"{REPO}:q8_0", places, **choice)
    assert caught.value.exit_code == 4 and "owner/gemma-tiny-GGUF/" in caught.value.message
    assert here.sent() < 1_500_000
    assert not [name for name in names(places) if name != "gemma-Q4_K_M.gguf"]


def test_a_file_that_was_named_is_pulled_for_what_it_is(here: Hub, places: Paths) -> None:
    here.put(REPO, "gemma-guesses-Q8_0.gguf", noise(2000, 0, "gemma4-assistant"))
    told: list[str] = []
    (pulled,) = pull(f"{REPO}:gemma-guesses-Q8_0.gguf", places, told)
    assert [pin.kind for pin in pins.read(places.models).values()] == ["drafter"]
    assert (pulled.pin.kind, told) == ("drafter", [])
