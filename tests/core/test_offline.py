"""What --offline forbids, tried in processes of their own: an audit hook can't be taken away again."""

import subprocess
import sys
from textwrap import dedent

import pytest

from g4local.core.offline import VARIABLE, expect_network, is_on

BEFORE = """
import asyncio, socket
listener = socket.create_server(("127.0.0.1", 0))
address = listener.getsockname()
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
connected = socket.create_connection(address)
from g4local.core import offline
assert not offline.holds()
offline.enforce()
offline.enforce()
assert offline.holds()
"""


def tried(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BEFORE + dedent(code)], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    "attempt",
    [
        "socket.socket()",
        "socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)",
        "socket.socket(fileno=listener.fileno())",
        "socket.create_connection(address)",
        "socket.create_server(('127.0.0.1', 0))",
        "datagrams.connect(address)",
        "datagrams.connect_ex(address)",
        "datagrams.sendto(b'x', address)",
        "datagrams.sendmsg([b'x'], [], 0, address)",
        "datagrams.bind(('127.0.0.1', 0))",
        "socket.socket(socket.AF_UNIX).connect('/run/nobody')",
        "socket.getaddrinfo('localhost', 80)",
        "socket.gethostbyname('localhost')",
        "socket.gethostbyaddr('127.0.0.1')",
        "socket.getnameinfo(('127.0.0.1', 80), 0)",
        "__import__('urllib.request').request.urlopen(f'http://127.0.0.1:{address[1]}', timeout=5)",
    ],
)
def test_every_way_out_is_refused(attempt: str) -> None:
    done = tried(attempt)
    assert done.returncode == 1 and "--offline forbids every connection" in done.stderr.splitlines()[-1], done.stderr


def test_event_loops_and_children_still_run() -> None:
    done = tried("""
        import subprocess, sys
        async def work():
            process = await asyncio.create_subprocess_exec(sys.executable, "-c", "print(5)", stdout=-1)
            return (await process.communicate())[0]
        print(asyncio.run(work()).decode(), offline.is_on())
    """)
    assert done.stdout.split() == ["5", "True"], done.stderr


def test_the_variable_is_read_as_the_command_line_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from g4local.core.errors import NetworkError

    for value, on in (("1", True), ("TRUE", True), ("yes", True), ("0", False), ("False", False), ("", False)):
        monkeypatch.setenv(VARIABLE, value)
        assert is_on() is on
    monkeypatch.delenv(VARIABLE)
    expect_network("owner/repo")
    monkeypatch.setenv(VARIABLE, "1")
    with pytest.raises(NetworkError, match="owner/repo"):
        expect_network("owner/repo")
