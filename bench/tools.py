"""llama.cpp's own programs, to compare with: llama-bench, llama-completion and llama-server."""

import json
import os
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, perf_counter, sleep
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from bench.plain import Setting

_LOAD_SECONDS = 600


def rates(program: Path, model: Path, setting: Setting, prompt: int, answer: int) -> tuple[float, float]:
    """llama-bench's tokens of a prompt, and of an answer behind such a prompt, in a second."""
    command = [str(program), "-m", str(model), "-r", "1", "-o", "json", "--repack", str(int(setting.repack))]
    command += ["-fa", "auto" if setting.flash else "off"]
    return (
        rate([*command, "-t", str(setting.batch_threads), "-p", str(prompt), "-n", "0"]),
        rate([*command, "-t", str(setting.threads), "-p", "0", "-n", str(answer), "-d", str(prompt)]),
    )


def rate(command: Sequence[str]) -> float:
    """The tokens in a second of llama-bench's only test; RuntimeError when it fails, or had another number of tests."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    try:
        [test] = json.loads(done.stdout)
        return float(test["avg_ts"])
    except (ValueError, KeyError, TypeError) as error:
        raise RuntimeError(f"{command[0]} ended with {done.returncode} and without a result.") from error


def completion(program: Path, model: Path, setting: Setting, prompt: str) -> list[str]:
    """The command by which llama-completion says eight tokens after a prompt."""
    command = [str(program), "-m", str(model), "-p", prompt, "-n", "8", "--temp", "0"]
    return [*command, "-no-cnv", "--no-display-prompt", *_flags(setting)]


def first_byte(command: Sequence[str], environment: Mapping[str, str]) -> float:
    """Seconds from a program's start to the first byte that it says on stdout; RuntimeError when it says nothing."""
    began = perf_counter()
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    ) as process:
        assert process.stdout is not None
        said = os.read(process.stdout.fileno(), 1)
        seconds = perf_counter() - began
        process.stdout.read()
    if not said:
        raise RuntimeError(f"{command[0]} said nothing; it ended with {process.returncode}.")
    return seconds


class Server:
    """A running llama-server."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int) -> None:
        self.pid = process.pid
        self._process = process
        self._address = f"http://127.0.0.1:{port}"

    def answer(self, messages: Sequence[Mapping[str, str]], tokens: int) -> str:
        """The text of the next message, with the likeliest tokens."""
        content = {"messages": messages, "max_tokens": tokens, "temperature": 0, "ignore_eos": True}
        choice: dict[str, Any] = self._post("/v1/chat/completions", content)["choices"][0]["message"]
        return str(choice.get("content") or choice.get("reasoning_content") or "")

    def wait(self) -> None:
        """Until the model is loaded; RuntimeError when the program ends before."""
        end = monotonic() + _LOAD_SECONDS
        while monotonic() < end and self._process.poll() is None:
            try:
                with urlopen(f"{self._address}/health", timeout=5):
                    return
            except (URLError, OSError):
                sleep(0.1)
        raise RuntimeError("llama-server did not start.")

    def _post(self, path: str, content: Mapping[str, object]) -> dict[str, Any]:
        request = Request(self._address + path, json.dumps(content).encode(), {"Content-Type": "application/json"})
        with urlopen(request, timeout=_LOAD_SECONDS) as answer:
            value: dict[str, Any] = json.load(answer)
        return value


@contextmanager
def server(program: Path, model: Path, setting: Setting) -> Iterator[Server]:
    """A llama-server for one chat, on this machine only."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(program), "-m", str(model), "--host", "127.0.0.1", "--port", str(port), "--no-webui", "-np", "1"]
    process = subprocess.Popen([*command, *_flags(setting)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        running = Server(process, port)
        running.wait()
        yield running
    finally:
        process.terminate()
        process.wait()


def _flags(setting: Setting) -> list[str]:
    flags = ["-t", str(setting.threads), "-tb", str(setting.batch_threads), "-c", str(setting.context)]
    return [*flags, "-fa", "auto" if setting.flash else "off", *([] if setting.repack else ["--no-repack"])]
