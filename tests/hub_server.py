"""A hub on loopback: the API and the downloads that huggingface_hub asks for, and what goes wrong with them when told.

    python hub_server.py FOLDER     serves FOLDER/owner/repo/..., and prints its port

Files of more than 1 kB lie "in LFS": their address leads to another host (localhost instead of 127.0.0.1), as on the
real hub. `POST /_faults` takes a list of `Fault`s as JSON, `POST /_rate` the bytes that are sent in a second, `GET
/_log` tells what was asked for and how many bytes of files were sent.
"""

import hashlib
import json
import socket
import sys
import time
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from urllib.parse import unquote, urlsplit

LFS_NBYTES = 1000
PIECE = 32768
TOKEN = "hf_right"


@dataclass
class Fault:
    """What goes wrong with an answer."""

    where: str
    """"api", "resolve" or "cdn"."""
    match: str = ""
    """What the path contains."""
    times: int = 1_000_000
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None
    """Instead of the file or the API's answer."""
    stop_at: int = -1
    """The connection is closed at this byte of the file, as if it were lost."""
    stall_at: int = -1
    stall_seconds: float = 5
    flip_at: int = -1
    no_ranges: bool = False
    most: int = -1
    """Bytes of the longest answer that is given, as networks for content have it."""
    is_endless: bool = False
    """The body comes again and again, until nobody takes it any more."""
    trickle: bool = False
    """A byte now and then."""


@dataclass
class State:
    root: Path
    faults: list[Fault] = field(default_factory=list)
    log: list[dict[str, str]] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    """Bytes of each piece of a file; a new list with each reset, so that an answer begun before it counts no more."""
    rate: float = 0
    hashes: dict[tuple[str, int, int], tuple[str, str]] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def fault(self, where: str, path: str) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.where == where and fault.match in path and fault.times > 0:
                    fault.times -= 1
                    return fault
        return None

    def hashed(self, path: Path) -> tuple[str, str]:
        """The SHA-256 of a file, and git's SHA-1 of it."""
        about = path.stat()
        key = (str(path), about.st_size, about.st_mtime_ns)
        if key not in self.hashes:
            content = path.read_bytes()
            git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            self.hashes[key] = (hashlib.sha256(content).hexdigest(), git)
        return self.hashes[key]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: State

    def log_message(self, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if path == "/_log":
            self._json({"requests": self.state.log, "sent": sum(self.state.sent)})
            return
        asked = {name: self.headers.get(name, "") for name in ("Host", "Range", "Authorization", "User-Agent")}
        self.state.log.append({"method": self.command, "path": path, **asked})
        if path.startswith("/api/models/"):
            self._api(path.removeprefix("/api/models/"))
        elif "/resolve/" in path:
            repo, _, rest = path[1:].partition("/resolve/")
            self._resolve(repo, rest.partition("/")[2])
        elif path.startswith("/cdn/"):
            self._file("cdn", self.state.root / path.removeprefix("/cdn/"))
        else:
            self._refuse(404, {})

    do_HEAD = do_GET

    def do_POST(self) -> None:
        content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/_faults":
            self.state.faults = [Fault(**fault) for fault in content]
        else:
            self.state.rate = content
        self.state.log.clear()
        self.state.sent = []
        self._json({})

    def _api(self, path: str) -> None:
        repo = "/".join(path.split("/")[:2])
        if fault := self.state.fault("api", path):
            self._faulty(fault)
        elif not (self.state.root / repo).is_dir() or "/revision/gone" in path:
            code = "RevisionNotFound" if "/revision/gone" in path else "RepoNotFound"
            self._refuse(404, {"X-Error-Code": code})
        elif self._is_open(repo):
            self._json(self._listing(repo))

    def _is_open(self, repo: str) -> bool:
        """Whether the repository is shown to who asks; refuses if not."""
        if not (self.state.root / repo / ".gated").exists() or self.headers["Authorization"] == f"Bearer {TOKEN}":
            return True
        self._refuse(403 if self.headers["Authorization"] else 401, {"X-Error-Code": "GatedRepo"})
        return False

    def _listing(self, repo: str) -> dict[str, object]:
        siblings, whole = [], hashlib.sha1()
        for path in sorted((self.state.root / repo).rglob("*")):
            if not path.is_file() or path.name.startswith("."):
                continue
            sha256, git = self.state.hashed(path)
            whole.update(sha256.encode())
            nbytes = path.stat().st_size
            name = path.relative_to(self.state.root / repo).as_posix()
            lfs = {"sha256": sha256, "size": nbytes, "pointerSize": 130} if nbytes > LFS_NBYTES else None
            siblings.append({"rfilename": name, "size": nbytes, "blobId": git, "lfs": lfs})
        return {"id": repo, "sha": whole.hexdigest(), "siblings": siblings}

    def _resolve(self, repo: str, name: str) -> None:
        path = self.state.root / repo / name
        if fault := self.state.fault("resolve", self.path):
            self._faulty(fault)
        elif not path.is_file():
            self._refuse(404, {"X-Error-Code": "EntryNotFound"})
        elif not self._is_open(repo):
            pass
        elif path.stat().st_size > LFS_NBYTES:
            self.send_response(302)
            self.send_header("Location", f"http://localhost:{self.server.server_port}/cdn/{repo}/{name}?signed=yes")  # type: ignore[attr-defined]
            self.send_header("X-Linked-Etag", f'"{self.state.hashed(path)[0]}"')
            self.send_header("X-Linked-Size", str(path.stat().st_size))
            self.send_header("X-Repo-Commit", self._listing(repo)["sha"])  # type: ignore[arg-type]
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self._file("resolve", path)

    def _file(self, where: str, path: Path) -> None:
        fault = self.state.fault(where, str(path)) if where == "cdn" else None
        if fault and (fault.status or fault.body is not None):
            self._faulty(fault)
            return
        content = path.read_bytes()
        if fault and fault.flip_at >= 0:
            content = content[: fault.flip_at] + bytes([content[fault.flip_at] ^ 1]) + content[fault.flip_at + 1 :]
        start, total = 0, len(content)
        asked = self.headers.get("Range", "")
        is_partial = asked.startswith("bytes=") and not (fault and fault.no_ranges)
        if is_partial:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, content = int(first), content[: int(last) + 1 if last else total]
        if fault and 0 <= fault.most < len(content) - start:
            self._refuse(400, {})
            return
        self.send_response(206 if is_partial else 200)
        if is_partial:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{total}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if self.command == "GET":
            self._send(content, start, fault)

    def _send(self, content: bytes, start: int, fault: Fault | None) -> None:
        """Send a file from `start` on, in small pieces, and as badly as the fault wants it."""
        fault = fault or Fault("")
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * PIECE)
        size = 1 if fault.trickle else PIECE
        pause = 0.05 if fault.trickle else size / self.state.rate if self.state.rate else 0
        at, sent = start, self.state.sent
        while at < len(content) and at not in (fault.stop_at, fault.stall_at):
            end = min([at + size, len(content), *(limit for limit in (fault.stop_at, fault.stall_at) if limit > at)])
            try:
                self.connection.sendall(content[at:end])
            except OSError:
                break
            sent.append(end - at)
            at = end
            time.sleep(pause)
        if at == fault.stall_at:
            time.sleep(fault.stall_seconds)
        self.close_connection = at < len(content)

    def _faulty(self, fault: Fault) -> None:
        if fault.body is None:
            self._refuse(fault.status, fault.headers)
            return
        body = fault.body.encode()
        self.send_response(fault.status or 200)
        for name, value in fault.headers.items():
            self.send_header(name, value)
        if not fault.is_endless:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
            while fault.is_endless:
                self.wfile.write(body)
        except OSError:
            self.close_connection = True

    def _refuse(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": "0", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def _json(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *arguments: object) -> None:
        """A client that was killed is no news."""


def fault_json(*faults: Fault) -> bytes:
    """What `POST /_faults` takes."""
    return json.dumps([asdict(fault) for fault in faults]).encode()


if __name__ == "__main__":
    Handler.state = State(Path(sys.argv[1]))
    server = Server(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()
