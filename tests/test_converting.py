"""What a conversion begins with: the folder, the places of its files, and what they will lack."""

import os
from pathlib import Path

import pytest

from g4convert.mmproj import Senses
from g4local import converting
from g4local.core.errors import ModelNotFound, UsageError
from g4local.settings import paths


def test_only_a_folder_can_be_converted(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    converting.expect_folder(tmp_path)
    with pytest.raises(UsageError, match="is a file"):
        converting.expect_folder(tmp_path / "file")
    with pytest.raises(ModelNotFound, match="There is no folder"):
        converting.expect_folder(tmp_path / "nothing")
    with pytest.raises(ModelNotFound):
        converting.expect_folder(tmp_path / ("n" * 5000))


def test_the_place_is_in_the_models_folder_and_named_after_both() -> None:
    place = converting.place("tiny", "Q8_0", paths(os.environ))
    assert place.parent.is_dir()
    assert place == paths(os.environ).models / "tiny-Q8_0.gguf"


def test_a_target_is_written_over_only_when_it_is_a_gguf_and_that_was_wanted(tmp_path: Path) -> None:
    target = tmp_path / "a.gguf"
    converting.expect_free(target, force=False)
    target.write_bytes(b"GGUF")
    with pytest.raises(UsageError, match="is there already"):
        converting.expect_free(target, force=False)
    converting.expect_free(target, force=True)
    target.write_bytes(b"dear diary")
    with pytest.raises(UsageError, match="is no GGUF"):
        converting.expect_free(target, force=True)
    with pytest.raises(UsageError, match="is a folder"):
        converting.expect_free(tmp_path, force=True)


def test_what_is_announced_and_missing_is_told() -> None:
    assert converting.missing(Senses(True, True, ())) == ()
    (told,) = converting.missing(Senses(True, False, ("audio",)))
    assert "announces sound" in told
    assert "only text and images will work" in told
