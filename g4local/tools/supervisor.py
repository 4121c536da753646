"""Programs that tools start, and what these start, end with us, however we end: also when nobody could tell them to.

Between us and each program is a small process, which runs this file alone. It waits for the end of a pipe of which
only we hold the other side, and then kills all that is below it. On Linux it becomes the parent of what is orphaned
there, so that a process which left its group is found, too; elsewhere such a one stays.
"""

import os
import select
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from time import monotonic, sleep
from typing import NoReturn

KILLING_SECONDS = 5.0
"""How long it tries to kill what starts new processes faster than they can be found."""

_PR_SET_CHILD_SUBREAPER = 36
_MOMENT = 0.002
_CHUNK = 4096


class Lifeline:
    """The pipe that keeps a program running: its process is given one side, ours ends with us."""

    def __init__(self) -> None:
        self.given, self._ours = os.pipe()

    def pass_on(self) -> None:
        """The process has its side by now, so that ours is the only other one."""
        _close(self.given)
        self.given = -1

    def cut(self) -> None:
        """Let the program be killed, with all that it started."""
        _close(self._ours)
        self._ours = -1


@contextmanager
def lifeline() -> Iterator[Lifeline]:
    """A lifeline that is cut at the end."""
    line = Lifeline()
    try:
        yield line
    finally:
        line.pass_on()
        line.cut()


def supervised(command: Sequence[str], given: int) -> list[str]:
    """The command that runs this one under supervision; the descriptor must be passed on to it.

    It ends as the command does: with its exit code, or by the same signal. SIGTERM is passed on to the command's group.
    """
    return [sys.executable, "-I", "-S", __file__, str(given), *command]


def _supervise(lifeline: int, command: Sequence[str]) -> NoReturn:
    """Run a command to its end, or to that of the lifeline; kill what is left of it, and end as it did."""
    os.set_inheritable(lifeline, False)
    _adopt_orphans()
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, frame: None)
    child = _started(command)
    signal.signal(signal.SIGTERM, lambda number, frame: _kill_group(child, signal.SIGTERM))
    _let_go_of_its_pipes()
    events = select.poll()
    for descriptor in (lifeline, woken):
        events.register(descriptor, select.POLLIN)
    status = None
    while status is None:
        if any(descriptor == lifeline for descriptor, _ in events.poll()):
            break
        os.read(woken, _CHUNK)
        status = _reaped(child)
    _end_as(_killed(child, status))


def _adopt_orphans() -> None:
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _started(command: Sequence[str]) -> int:
    """The command in a process group of its own, with the signals as programs expect them."""
    child = os.fork()
    if child:
        return child
    try:
        os.setpgid(0, 0)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.execvp(command[0], [*command])
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode("utf-8", "replace"))
    finally:
        os._exit(127)


def _let_go_of_its_pipes() -> None:
    """They are the command's: who listens to it sees their end, and not that of this process."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)


def _reaped(child: int) -> int | None:
    """Take leave of the processes that have ended; how the child did, if it is among them."""
    status = None
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == child:
                status = ended[1]
    return status


def _killed(child: int, status: int | None) -> int:
    """Kill the group and the orphans; how the child ended."""
    _kill_group(child, signal.SIGKILL)
    end = monotonic() + KILLING_SECONDS
    with suppress(ChildProcessError):  # there are no more
        while monotonic() < end:
            pid, ended = os.waitpid(-1, os.WNOHANG)
            if pid == child:
                status = ended
            if not pid:
                for orphan in _children():
                    with suppress(ProcessLookupError, PermissionError):
                        os.kill(orphan, signal.SIGKILL)
                sleep(_MOMENT)
    return signal.SIGKILL if status is None else status


def _children() -> list[int]:
    """The processes whose parent this is, where the system tells."""
    found = []
    with suppress(OSError), os.scandir("/proc") as entries:
        for each in entries:
            with suppress(OSError, ValueError, IndexError):  # it is no process, or has just ended
                parent = _read(f"{each.path}/stat").rpartition(b")")[2].split()[1]
                if int(parent) == os.getpid():
                    found.append(int(each.name))
    return found


def _read(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, _CHUNK)
    finally:
        os.close(descriptor)


def _close(descriptor: int) -> None:
    if descriptor >= 0:
        os.close(descriptor)


def _kill_group(leader: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # nothing is left, or only what another user's rights keep
        os.killpg(leader, number)


def _end_as(status: int) -> NoReturn:
    if os.WIFSIGNALED(status):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        number = os.WTERMSIG(status)
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    _supervise(int(sys.argv[1]), sys.argv[2:])
