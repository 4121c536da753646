"""Where files live. `G4LOCAL_HOME` puts everything into one folder; otherwise the platform's own places are used."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from g4local.core import units
from g4local.core.errors import UsageError

HOME_VARIABLE = "G4LOCAL_HOME"
SNAPSHOT_VARIABLE = "G4LOCAL_SNAPSHOT_BYTES"
SNAPSHOT_BYTES = 4 << 30
"""What snapshots may take, unless the variable says otherwise."""

SHELL_VARIABLE = "G4LOCAL_SHELL_LIMIT"
SHELL_SECONDS = 60.0
"""How long a command of `run_shell` may take, unless the variable or a flag says otherwise."""
SHELL_LEAST, SHELL_MOST = 1.0, 3600.0
"""What may be said."""


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
    snapshots: Path
    """What models remember of conversations, so that these go on quickly; safe to delete."""
    sessions: Path
    """The conversations: an SQLite database."""
    checkpoints: Path
    """Checkpoints that are downloaded to be converted; deleted afterwards, unless the user keeps them."""
    permissions: Path
    """Which tools may run: a file for people to read and to write."""
    mcp: Path
    """Which MCP servers there are: a file that other programs use, too."""
    config: Path
    """The app's theme and keys: a file for people to read and to write."""

    @property
    def own(self) -> tuple[Path, ...]:
        """Folders that hold nothing but g4local's, and files that may be links: file tools write none of it."""
        folders = (self.sessions.parent, self.permissions.parent, self.cache, self.logs)
        return (*folders, self.sessions, self.permissions, self.mcp, self.config)


def paths(environ: Mapping[str, str]) -> Paths:
    """The places for this user, from the environment given."""
    if home := environ.get(HOME_VARIABLE):
        try:
            root = Path(home).expanduser().absolute()
        except RuntimeError as error:
            raise UsageError(f"{HOME_VARIABLE} is {home!r}: {error}.", "Set it to a folder.") from error
        return _paths(root, root / "cache", root / "logs", root)
    from platformdirs import PlatformDirs  # `g4local --version` needs no paths

    dirs = PlatformDirs("g4local", appauthor=False)
    return _paths(*map(Path, (dirs.user_data_dir, dirs.user_cache_dir, dirs.user_log_dir, dirs.user_config_dir)))


def snapshot_bytes(environ: Mapping[str, str]) -> int:
    """What snapshots may take together, from the environment given; 0: none are kept."""
    value = environ.get(SNAPSHOT_VARIABLE) or str(SNAPSHOT_BYTES)
    try:
        return units.nbytes(value)
    except ValueError as error:
        hint = "Set it to a size such as 500MB or 4GB; 0 keeps no snapshots."
        raise UsageError(f"{SNAPSHOT_VARIABLE} is {value!r}.", hint) from error


def _paths(data: Path, cache: Path, logs: Path, config: Path) -> Paths:
    return Paths(
        data / "models",
        cache / "converted",
        cache,
        logs,
        cache / "snapshots",
        data / "sessions.db",
        data / "checkpoints",
        config / "permissions.json",
        config / "mcp.json",
        config / "config.toml",
    )
