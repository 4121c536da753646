"""A model's way in a real terminal: out of the hub with a pause, then into the chat."""

from pathlib import Path

from tests.conftest import Tiny
from tests.hubs import Hub
from tests.tui import test_tmux
from tests.tui.test_tmux import Tmux
from tests.tui.test_tmux import tmux as tmux

pytestmark = test_tmux.pytestmark


def test_a_model_is_pulled_with_a_pause_and_then_answers(tmux: Tmux, hub: Hub, tiny: Tiny, tmp_path: Path) -> None:
    hub.put("owner/tiny-gemma-GGUF", "gemma-Q8_0.gguf", tiny("ple", "Q8_0").read_bytes())
    hub.rate(200_000)
    variables = hub.environment(tmp_path)
    names = ("HF_ENDPOINT", "HF_HOME", "NO_PROXY", "no_proxy")
    tmux.start("chat", "demo", HF_HUB_OFFLINE="0", **{name: variables[name] for name in names})
    tmux.wait_for("context")
    tmux.type("F3")
    tmux.wait_for("e2b:q8_0")
    tmux.type("/")
    tmux.wait_for("Filter: words")
    tmux.type("owner/tiny-gemma-GGUF")
    tmux.wait_for("No model is like that")
    tmux.type("Enter")
    tmux.wait_for("Pull a model")
    tmux.type("Enter")
    tmux.wait_for(" left")
    tmux.type("Space")
    tmux.wait_for("paused at")
    hub.rate(0)
    tmux.type("Space")
    tmux.wait_for("is here, 4.5 MB")
    tmux.wait_for("gemma-Q8_0 ")
    tmux.type("Down")
    tmux.wait_for(" lies at   " + str(tmp_path)[:20])
    tmux.type("Enter")
    tmux.wait_for("Load gemma-Q8_0")
    tmux.type("Enter")
    tmux.wait_for("g4local  ·  gemma-Q8_0")
    tmux.type("C-q")
    tmux.wait_for(f"{test_tmux._LEFT} 0")
