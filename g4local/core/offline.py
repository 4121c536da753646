"""Offline: from `enforce` on, no socket of this process reaches anything.

Python asks its audit hooks (PEP 578) before a socket is made, bound, connected or sent from, and before a name is
looked up; a hook can't be taken away again. Native code is not asked: llama.cpp opens no sockets, which
`g4local doctor` checks.
"""

import errno
import os
import socket
import sys
from functools import cache
from typing import Any

from g4local.core.errors import NetworkError

VARIABLE = "G4LOCAL_OFFLINE"
"""Set to 1, it means for a program and its children what --offline does."""

_OFF = ("", "0", "f", "false", "n", "no", "off")
"""What the variable is when it asks for nothing."""
_FORBIDDEN = {
    f"socket.{event}"
    for event in (
        "bind",
        "connect",
        "getaddrinfo",
        "gethostbyaddr",
        "gethostbyname",
        "getnameinfo",
        "sendmsg",
        "sendto",
    )
}


@cache
def enforce() -> None:
    """Forbid every connection, in this process and in those of g4local's that it starts, until they end."""
    os.environ[VARIABLE] = "1"
    sys.addaudithook(_refuse)


def is_on() -> bool:
    """Whether connections are forbidden, or are to be."""
    return os.environ.get(VARIABLE, "").lower() not in _OFF


def holds() -> bool:
    """Whether this process is refused a socket that could reach another machine; it is tried, and nothing is sent."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM):
            return False
    except PermissionError:
        return True


def expect_network(what: str) -> None:
    """NetworkError where what is wanted lies on another machine and connections are forbidden."""
    if is_on():
        raise NetworkError(
            f"{what} can't be reached: --offline forbids every connection.",
            f"Leave out --offline, and {VARIABLE} where it is set.",
        )


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    """A pair of connected local sockets, which event loops wake up by, is all that may be made."""
    if event in _FORBIDDEN or (event == "socket.__new__" and arguments[1] != socket.AF_UNIX):
        raise PermissionError(errno.EPERM, "--offline forbids every connection")
