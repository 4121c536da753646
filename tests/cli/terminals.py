"""A program in a pseudo-terminal: what is typed there, and what is seen."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence


class Terminal:
    """A terminal that starts a program; closed by who opens it."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], columns: int = 0, typed: str = ""
    ) -> None:
        """`columns` is its width; with 0 it does not say. `typed` is typed before the program starts."""
        self._side, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 24 if columns else 0, columns, 0, 0))
        os.write(self._side, typed.encode())
        self._process = subprocess.Popen(
            command, stdin=other, stdout=other, stderr=other, env=dict(environment), start_new_session=True
        )
        os.close(other)
        self.screen = ""
        """What was shown since something was typed last."""

    def wait_for(self, *texts: str, seconds: float = 60) -> str:
        """The first of the texts that appears."""
        end = time.monotonic() + seconds
        while not any(text in self.screen for text in texts):
            assert time.monotonic() < end, f"none of {texts} is in {self.screen!r}"
            assert self._read(0.1), f"none of {texts} is in {self.screen!r}, and the program has ended"
        return next(text for text in texts if text in self.screen)

    def wait_more(self) -> None:
        """Wait until something else appears."""
        before = self.screen
        while self.screen == before:
            assert self._read(0.1), f"nothing comes after {self.screen!r}, and the program has ended"

    def type(self, text: str, *, clear: bool = True) -> None:
        if clear:
            self.screen = ""
        os.write(self._side, text.encode())

    def echoes(self) -> bool:
        """Whether what is typed is shown."""
        return bool(termios.tcgetattr(self._side)[3] & termios.ECHO)

    def ended(self, seconds: float = 60) -> int:
        """The exit code of the program, which ends by itself."""
        end = time.monotonic() + seconds
        while self._process.poll() is None and time.monotonic() < end:
            self._read(0.1)
        while self._read(0):
            pass
        return self._process.wait(timeout=1)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._side)

    def _read(self, seconds: float) -> bool:
        """Whether there may be more to read; False once the program has gone, or nothing comes in no time."""
        if not select.select([self._side], [], [], seconds)[0]:
            return seconds > 0
        try:
            self.screen += os.read(self._side, 65536).decode("utf-8", "replace")
        except OSError:
            return False
        return True
