"""llama.cpp's own converter, from the source distribution of the llama-cpp-python that is installed."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from importlib.util import find_spec
from pathlib import Path

PACKAGE = "llama-cpp-python"
CONVERTER = Path("vendor", "llama.cpp", "convert_hf_to_gguf.py")


def unpacked() -> Path:
    """The unpacked source: G4LOCAL_LLAMA_CPP_SDIST, or a copy that is downloaded once and kept outside the checkout."""
    given = os.environ.get("G4LOCAL_LLAMA_CPP_SDIST")
    if given:
        return Path(given)
    import platformdirs

    version = importlib.metadata.version(PACKAGE)
    kept = platformdirs.user_cache_path("g4local-reference") / f"{PACKAGE}-{version}"
    if not (kept / CONVERTER).is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            _extract(_downloaded(version, Path(folder)), Path(folder) / "source")
            shutil.rmtree(kept, ignore_errors=True)
            next((Path(folder) / "source").iterdir()).rename(kept)
    return kept


def convert(folder: Path, target: Path, outtype: str, *flags: str) -> None:
    """Run llama.cpp's converter in a process of its own; it needs torch and transformers."""
    script = unpacked() / CONVERTER
    command = [sys.executable, str(script), str(folder), "--outtype", outtype, "--outfile", str(target), *flags]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def _downloaded(version: str, folder: Path) -> Path:
    """The archive, by the user's own pip and its settings (uv has no download command, but can lend a pip)."""
    pip = [sys.executable, "-m", "pip"]
    if find_spec("pip") is None:
        pip = ["uv", "run", "--no-project", "--python", sys.executable, "--with", "pip", "python", "-m", "pip"]
    command = [*pip, "download", "--quiet", "--no-deps", "--no-binary", PACKAGE, "--dest", str(folder)]
    subprocess.run([*command, f"{PACKAGE}=={version}"], check=True, capture_output=True)
    return next(folder.glob("*.tar.gz"))


def _extract(archive: Path, folder: Path) -> None:
    """Unpack the converter and what it imports."""
    needed = ("convert_hf_to_gguf.py", "conversion/", "gguf-py/")
    with tarfile.open(archive) as content:
        members = [
            member
            for member in content.getmembers()
            if "/".join(Path(member.name).parts[3:]).startswith(needed) and "/vendor/llama.cpp/" in member.name
        ]
        content.extractall(folder, members, filter="data")
