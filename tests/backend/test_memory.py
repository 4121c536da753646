"""The bytes that are reckoned beforehand are those that llama.cpp allocates for models that are really loaded."""

from pathlib import Path

import llama_cpp.llama_cpp as llama
import pytest

from g4local.backend.engine import KvType
from g4local.backend.fit import memory
from g4local.backend.fit.memory import Setting
from g4local.backend.model import header
from g4local.core.progress import silent
from tests import checkpoints
from tests.backend import dry
from tests.backend.conftest import Loader
from tests.backend.prompts import GREEDY
from tests.conftest import Tiny

settings = pytest.mark.parametrize(
    ("context", "kv_type"), [(256, "f16"), (1024, "f16"), (4096, "f16"), (1024, "q8_0")], ids=str
)


@settings
@pytest.mark.parametrize("kind", checkpoints.KINDS)
def test_a_loaded_model_takes_what_was_reckoned(
    kind: checkpoints.Kind,
    context: int,
    kv_type: KvType,
    tiny: Tiny,
    load: Loader,
    capfd: pytest.CaptureFixture[str],
) -> None:
    check(tiny(kind), context, kv_type, load, capfd)


@settings
def test_so_does_the_built_in_one(
    context: int, kv_type: KvType, demo: Path, load: Loader, capfd: pytest.CaptureFixture[str]
) -> None:
    check(demo, context, kv_type, load, capfd)


def check(path: Path, context: int, kv_type: KvType, load: Loader, capfd: pytest.CaptureFixture[str]) -> None:
    model = header.read(path).model
    capfd.readouterr()
    engine = load(path, context=context, kv_type=kv_type)
    said = dry.sums(capfd.readouterr().err)
    need = memory.need(model, Setting(context, kv_type))
    assert said.kv_full == pytest.approx(need.kv_full / dry.MIB, abs=0.006)
    assert said.kv_sliding == pytest.approx(need.kv_sliding / dry.MIB, abs=0.006)
    assert said.output == pytest.approx(need.output / dry.MIB, abs=0.006), "a buffer for drafts is made with the first"
    flash = memory.flash_attention(model.shape, context, kv_type, on_gpu=False)
    assert 0.8 * said.compute <= memory.compute_bytes(model.shape, context, flash=flash) / dry.MIB <= 1.2 * said.compute
    handle = llama.llama_get_model(engine._context)
    assert llama.llama_model_size(handle) == model.weights.total == need.weights


def test_a_checkpoint_takes_what_was_reckoned(tiny: Tiny, load: Loader) -> None:
    """A state of a window, which is full by then; its own header is some bytes a token."""
    for kind in checkpoints.KINDS:
        engine = load(tiny(kind), context=1024)
        list(engine.extend([5] * 300, {280}, GREEDY, 1, silent))
        [checkpoint] = engine._cache.checkpoints.values()
        need = memory.need(header.read(tiny(kind)).model, Setting(1024))
        assert need.checkpoint == pytest.approx(len(checkpoint.state), rel=0.15)
