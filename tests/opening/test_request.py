"""What a front end can ask for, and the flags that ask for it."""

from dataclasses import fields

import pytest

from g4local.cli.request import CHAT_FLAGS, FLAGS, RUN_FLAGS, ChatRequest, RunRequest
from g4local.opening.request import Request

WITHOUT_A_FLAG = {"keep_alive"}
"""Fields that only `chat` has a flag for; a run ends anyway."""


@pytest.mark.parametrize(
    ("request_type", "flags", "without"),
    [(Request, FLAGS, WITHOUT_A_FLAG), (RunRequest, RUN_FLAGS, WITHOUT_A_FLAG), (ChatRequest, CHAT_FLAGS, set())],
)
def test_each_field_has_a_flag(request_type: type, flags: dict[str, object], without: set[str]) -> None:
    assert {field.name for field in fields(request_type)} - without == set(flags)
