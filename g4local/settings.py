"""Where files live. `G4LOCAL_HOME` puts everything into one folder; otherwise the platform's own places are used."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from g4local.core.errors import UsageError

HOME_VARIABLE = "G4LOCAL_HOME"


@dataclass(frozen=True, slots=True)
class Paths:
    """Every place that g4local writes to; nothing is created before something is written."""

    models: Path
    """GGUFs that the user made or put there; `ls` lists them and their names can be run."""
    converted: Path
    """GGUFs made of checkpoint folders that were named in `run` and `chat`; safe to delete."""
    cache: Path
    """Small files that can be made again: the start probe's result, hashes of checkpoint files."""
    logs: Path
    """What llama.cpp said."""


def paths(environ: Mapping[str, str]) -> Paths:
    """The places for this user, from the environment given."""
    if home := environ.get(HOME_VARIABLE):
        try:
            root = Path(home).expanduser().absolute()
        except RuntimeError as error:
            raise UsageError(f"{HOME_VARIABLE} is {home!r}: {error}.", "Set it to a folder.") from error
        return Paths(root / "models", root / "cache" / "converted", root / "cache", root / "logs")
    from platformdirs import PlatformDirs  # `g4local --version` needs no paths

    dirs = PlatformDirs("g4local", appauthor=False)
    cache = Path(dirs.user_cache_dir)
    return Paths(Path(dirs.user_data_dir) / "models", cache / "converted", cache, Path(dirs.user_log_dir))
