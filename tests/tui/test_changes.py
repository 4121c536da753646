"""What is changed in a conversation between two turns."""

from dataclasses import replace

from g4local.opening.request import Request
from g4tui.talk import Opened
from g4tui.workers import changes
from tests.chat.talk import TOOLS, conversation
from tests.fakes import INFO


def test_tools_of_servers_that_were_switched_off_can_be_switched_on_again() -> None:
    served = replace(TOOLS[0], name="files__add", served=True)
    talk, _ = conversation(tools=(served,))
    opened = Opened(Request("scripted"), INFO, (), None, (served,))
    assert "Tools: none." in changes.tools(talk, "off", opened).told
    assert talk.tools == ()
    assert "files__add" in changes.tools(talk, "files__add clock", opened).told
    assert [tool.name for tool in talk.tools] == ["clock", "files__add"]
