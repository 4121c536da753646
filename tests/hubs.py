"""A hub of one's own for each test, and huggingface_hub led to it."""

import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from tests import hub_server
from tests.hub_server import Fault

_OPENER = build_opener(ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class Hub:
    """The server, which runs in a process of its own."""

    root: Path
    port: int

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def put(self, repo: str, name: str, content: bytes) -> bytes:
        """A file of a repository."""
        path = self.root / repo / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return content

    def faults(self, *faults: Fault) -> None:
        """What goes wrong from now on; what was logged is forgotten."""
        self._post("/_faults", hub_server.fault_json(*faults))

    def rate(self, bytes_per_second: float) -> None:
        self._post("/_rate", json.dumps(bytes_per_second).encode())

    def log(self) -> list[dict[str, str]]:
        return self._get()["requests"]

    def sent(self) -> int:
        """Bytes of files that were sent."""
        return self._get()["sent"]

    def environment(self, home: Path) -> dict[str, str]:
        """The environment of a program that uses this hub and nothing else."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
        return {
            **kept,
            "G4LOCAL_HOME": str(home),
            "HF_HOME": str(home / "hf"),
            "HF_ENDPOINT": self.endpoint,
            "HF_HUB_DOWNLOAD_TIMEOUT": "2",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }

    def _get(self) -> dict:
        return json.loads(_OPENER.open(f"{self.endpoint}/_log").read())

    def _post(self, path: str, body: bytes) -> None:
        _OPENER.open(Request(self.endpoint + path, body)).read()


def noise(nbytes: int, seed: int = 0, architecture: str = "gemma4") -> bytes:
    """What begins as a GGUF does, and goes on as nobody's."""
    key, value = b"general.architecture", architecture.encode()
    head = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", len(key)) + key + struct.pack("<I", 8)
    return (head + struct.pack("<Q", len(value)) + value + Random(seed).randbytes(nbytes))[:nbytes]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    root = tmp_path_factory.mktemp("hub")
    process = subprocess.Popen([sys.executable, hub_server.__file__, str(root)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    yield Hub(root, int(process.stdout.readline()))
    process.kill()
    process.communicate()


@pytest.fixture
def hub(server: Hub) -> Hub:
    """A hub that holds nothing yet."""
    for owner in server.root.iterdir():
        shutil.rmtree(owner)
    server.rate(0)
    server.faults()
    return server


@pytest.fixture
def here(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The hub, to which this process's own huggingface_hub is led; nothing waits long but for what must end."""
    import huggingface_hub
    from huggingface_hub import constants

    from g4local.hub import downloading, patience

    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.5)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(patience, "WAITS", (0.01,) * 5)
    monkeypatch.setattr(downloading, "_LAST_SECONDS", 60.0)
    huggingface_hub.close_session()
    yield hub
    huggingface_hub.close_session()
