"""Programs that tools start, and what these start, end with us, however we end: also when nobody could tell them to.

Between us and each program are two small processes, which run this file alone. Each waits for the end of a pipe of
which only we hold the other side, and for that of what is below it, and then kills all that is left there. They are
two because a program can kill or stop what is above it: one does the work of both. On Linux they become the parents of
what is orphaned below, so that a process which left its group is found, too; elsewhere such a one stays.
"""

import os
import select
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from mmap import mmap
from time import monotonic, sleep
from typing import NoReturn

KILLING_SECONDS = 5.0
"""How long it tries to kill what starts new processes faster than they can be found."""

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_MOMENT = 0.002
_CHUNK = 4096
_WORD = 8
"""Bytes of a process id in the memory that those who supervise share."""


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


def wake(session: int) -> None:
    """Let those who supervise go on, where the program has stopped them. They lead the session and its first group."""
    _kill_group(session, signal.SIGCONT)


def end_rest(session: int) -> None:
    """Kill what is left of a session whose leader has ended before its time, where the system tells what that is.

    If one of those who supervise is left, it is given the time to do that, for it finds what has left the session, too.
    """
    begun = monotonic()
    while (left := _members(session)) and (seconds := monotonic() - begun) < 2 * KILLING_SECONDS:
        if session in left.values() and seconds < KILLING_SECONDS:
            wake(session)
        else:
            for pid in left:
                _kill(pid)
        sleep(_MOMENT)


def _supervise(lifeline: int, command: Sequence[str]) -> NoReturn:
    """Run a command below two processes that watch over it, of which this is the first; end as it did."""
    os.set_inheritable(lifeline, False)
    group = mmap(-1, _WORD)
    _watch(lifeline, group, lambda: _watch(lifeline, group, lambda: _execute(command, group)))


def _watch(lifeline: int, group: mmap, begin: Callable[[], NoReturn]) -> NoReturn:
    """Let a child begin, wait for its end or that of the lifeline, kill what is left below, and end as the child did.

    The command's process group stands in `group` once there is one; SIGTERM is passed on to it.
    """
    _adopt_orphans()
    woken, waking = os.pipe()
    os.set_blocking(waking, False)
    signal.set_wakeup_fd(waking, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, frame: None)
    signal.signal(signal.SIGTERM, lambda number, frame: _kill_group(_number(group), signal.SIGTERM))
    child = os.fork() or begin()
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
    _end_as(_killed(child, group, status))


def _adopt_orphans() -> None:
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _execute(command: Sequence[str], group: mmap) -> NoReturn:
    """Become the command, in a process group of its own, with the signals as programs expect them."""
    try:
        os.setpgid(0, 0)
        group[:] = os.getpid().to_bytes(_WORD, sys.byteorder)
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.execvp(command[0], [*command])
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode("utf-8", "replace"))
    finally:
        os._exit(127)


def _number(group: mmap) -> int:
    return int.from_bytes(group[:], sys.byteorder)


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


def _killed(child: int, group: mmap, status: int | None) -> int:
    """Kill the child, the command's group and the orphans; how the child ended."""
    if status is None:
        _kill(child)
    _kill_group(_number(group), signal.SIGKILL)
    end = monotonic() + KILLING_SECONDS
    with suppress(ChildProcessError):  # there are no more
        while monotonic() < end:
            pid, ended = os.waitpid(-1, os.WNOHANG)
            if pid == child:
                status = ended
            if not pid:
                for orphan in _children():
                    _kill(orphan)
                sleep(_MOMENT)
    return signal.SIGKILL if status is None else status


def _children() -> list[int]:
    """The processes whose parent this is, where the system tells."""
    return [pid for pid, fields in _processes() if int(fields[1]) == os.getpid()]


def _members(session: int) -> dict[int, int]:
    """The processes of a session that have not ended, and the group of each, where the system tells."""
    return {pid: int(fields[2]) for pid, fields in _processes() if int(fields[3]) == session and fields[0] not in b"ZX"}


def _processes() -> Iterator[tuple[int, list[bytes]]]:
    """All processes; of each its state, its parent, its group and its session, where the system tells."""
    with suppress(OSError), os.scandir("/proc") as entries:
        for each in entries:
            with suppress(OSError, ValueError):  # it is no process, or has just ended
                state, parent, group, session = _read(f"{each.path}/stat").rpartition(b")")[2].split()[:4]
                yield int(each.name), [state, parent, group, session]


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
    if leader:
        with suppress(ProcessLookupError, PermissionError):  # nothing is left, or only what another user's rights keep
            os.killpg(leader, number)


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


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
