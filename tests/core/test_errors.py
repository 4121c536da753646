"""An error is one sentence that a person can read, whatever a file says in it."""

from g4local.core.errors import G4Error


def test_a_message_never_gets_as_long_as_a_name_in_a_file() -> None:
    error = G4Error(f"config.json: {'a' * 100_000!r} must be a number.", "Mend it.")
    assert len(error.message) == len(str(error)) == 1000
    assert error.message.startswith("config.json: ")
    assert error.message.endswith("must be a number.")
    assert G4Error("a" * 1000).message == "a" * 1000
