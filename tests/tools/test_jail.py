"""More than two hundred ways out of the working folder: none leads to what lies outside, to read it or to change it."""

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import product
from pathlib import Path
from threading import Event, Thread

import pytest

from g4local.core.messages import Json
from g4local.tools import files, jail
from g4local.tools.tool import Tool, ToolError

SECRET = "what lies outside"
WRITTEN = "what a tool wrote"

UPWARDS = (
    "..", "../", "./..", ".//..", "../.", "folder/../..", "folder/../../", "folder/inner/../../..",
    "./folder/./../..",
    "nowhere/../..", "folder/deep.txt/../../..", "inside/../..", "inside/inner/../../..", "up", "up/.",
    "up/../outside",
    "chain", "chain/.", "absolute", "folder/up", "folder/inner/up", "folder/up/../outside", "rooted", "twice/up",
)  # fmt: skip
"""Paths that lead to the folder in which the jail lies, or to one beside or above it."""
LOOK_ALIKES = (
    "\uff0e\uff0e", "\u2025", "\u2024\u2024", "\uff0e.", ".\uff0e", "..\u200b", "\u200b..", "..\ufeff", "%2e%2e",
    "%2E%2E", "..%00", "..%2f", "..\\..", "..;", "..\u2215..",
    "..\uff0f..", "..\u2044..", "\u202e..", "..\t", " ..", ".. ", "...", "....//", "~", "~root", "$HOME",
    "${PWD}/..", "`pwd`", "C:\\", "\\\\host\\share",
    "file://..", "..\n", "..\r", "\x1b..", "\udc2e\udc2e", "..\udcff",
)  # fmt: skip
"""What is only a name here, but not everywhere."""
ABSOLUTE = (
    "/", "//", "///etc/passwd", "/etc/passwd", "/proc/self/environ", "/proc/self/cwd/../outside/secret.txt",
    "/proc/self/fd/0",
    "/proc/self/root/etc/passwd", "/dev/null", "/dev/zero", "/dev/tty", "/dev/stdin", "/tmp/../etc/passwd",
)  # fmt: skip
TARGETS = ("secret.txt", "outside/secret.txt", "jail-break/secret.txt")
ATTEMPTS = (
    *(f"{way}/{target}" for way, target in product((*UPWARDS, *LOOK_ALIKES), TARGETS)),
    *UPWARDS,
    *ABSOLUTE,
    "secret-link", "chain-link", "folder/secret-link", "inside/secret-link", "dangling-out", "new-out", "loop",
    "loop/secret.txt",
    "folder/loop", "\0", "a\0/../../secret.txt", "../secret.txt\0", "x" * 5000, "../" * 2000 + "etc/passwd",
    "../" * 40 + "etc/passwd",
    "pipe", "socket", "", ".", "./", "folder/..",
)  # fmt: skip


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder full of links to what lies around it."""
    for folder in ("", "outside", "jail-break"):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "secret.txt").write_text(SECRET)
    root = tmp_path / "jail"
    (root / "folder" / "inner").mkdir(parents=True)
    (root / "folder" / "deep.txt").write_text("deep")
    links = {
        "up": "..", "folder/up": "../..", "folder/inner/up": "../../..", "chain": "up/outside",
        "absolute": str(tmp_path),
        "rooted": "/", "inside": "folder", "twice": "inside/inner", "secret-link": "../secret.txt",
        "chain-link": "chain/secret.txt",
        "folder/secret-link": "../../outside/secret.txt", "dangling-out": "../nowhere.txt",
        "new-out": "../outside/new/file.txt",
        "loop": "loop", "folder/loop": "../folder/loop",
    }  # fmt: skip
    for name, target in links.items():
        (root / name).symlink_to(target)
    os.mkfifo(root / "pipe")
    monkeypatch.chdir(root)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        yield root


def tools(root: Path) -> dict[str, Callable[..., str]]:
    """The file tools by name, as functions; what one complains of is what it says."""

    def use(tool: Tool) -> Callable[..., str]:
        def used(**arguments: Json) -> str:
            try:
                return str(tool.run(arguments, Event()))
            except ToolError as error:
                return error.message

        return used

    return {tool.name: use(tool) for tool in files.tools(root)}


def outside(root: Path) -> dict[str, object]:
    """All that lies around the working folder: names, contents, rights."""
    return {
        str(path): (path.lstat().st_mode, path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
        for path in root.parent.rglob("*")
        if root not in path.parents and path != root
    }


def test_there_are_two_hundred_of_them() -> None:
    assert len(set(ATTEMPTS)) >= 200


def test_no_attempt_reads_what_lies_outside(root: Path) -> None:
    use = tools(root)
    for attempt in ATTEMPTS:
        said = [use["read_file"](path=attempt), use["list_files"](folder=attempt)]
        said.append(use["search_files"](text=SECRET[:8], folder=attempt))
        assert not any(SECRET in each for each in said), attempt
        assert "jail-break" not in said[1].replace(repr(attempt), ""), attempt


def test_no_attempt_writes_what_lies_outside(root: Path) -> None:
    use, before = tools(root), outside(root)
    for attempt in ATTEMPTS:
        use["write_file"](path=attempt, text=WRITTEN)
        use["edit_file"](path=attempt, old=SECRET, new=WRITTEN)
        assert outside(root) == before, attempt


def test_a_hard_link_to_something_outside_is_parted_from_it_by_writing(root: Path) -> None:
    use, before = tools(root), outside(root)
    for name, arguments in (("write_file", {"text": WRITTEN}), ("edit_file", {"old": SECRET, "new": WRITTEN})):
        os.link(root.parent / "secret.txt", root / name)
        use[name](path=name, **arguments)
        assert (root / name).read_text() == WRITTEN
        assert outside(root) == before


def test_no_race_leads_outside(root: Path) -> None:
    """A folder, and a file, are swapped for links to the outside and back, all the time."""
    (root / "real").mkdir()
    (root / "real" / "secret.txt").write_text("harmless")
    (root / "out").symlink_to("../outside")
    (root / "swapped").mkdir()
    (root / "swapped" / "secret.txt").write_text("harmless")
    stop, swaps = Event(), [0]

    def swap() -> None:
        while not stop.is_set():
            with suppress(OSError):  # a tool has made a folder where one was missing
                (root / "swapped").rename(root / "kept")
                (root / "swapped").symlink_to("../outside")
                swaps[0] += 1
                (root / "swapped").unlink()
                (root / "kept").rename(root / "swapped")
            shutil.rmtree(root / "kept", ignore_errors=True)

    use, before, number = tools(root), outside(root), 0
    thread = Thread(target=swap)
    thread.start()
    try:
        while number < 300 or swaps[0] < 100:
            number += 1
            assert SECRET not in use["read_file"](path="swapped/secret.txt")
            assert SECRET not in use["search_files"](text=SECRET[:8], folder="swapped")
            use["write_file"](path="swapped/secret.txt", text="harmless")
            use["write_file"](path=f"swapped/new-{number % 3}/file.txt", text=WRITTEN)
            use["edit_file"](path="swapped/secret.txt", old="harmless", new="harmless!")
    finally:
        stop.set()
        thread.join()
    assert outside(root) == before


@pytest.mark.parametrize("swapped", ["folder", "folder/deep.txt"])
@pytest.mark.parametrize("name", ["write_file", "edit_file"])
def test_a_link_that_is_swapped_in_after_the_check_is_not_written_through(
    root: Path, swapped: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root.parent / "outside" / "deep.txt").write_text("deep")
    check = jail._inside

    def check_then_swap(root: Path, path: str) -> tuple[str, ...]:
        parts = check(root, path)
        (root / swapped).rename(root / "moved")
        (root / swapped).symlink_to(root.parent / "outside" / ("" if swapped == "folder" else "deep.txt"))
        return parts

    monkeypatch.setattr(jail, "_inside", check_then_swap)
    before = outside(root)
    text: dict[str, Json] = {"text": WRITTEN} if name == "write_file" else {"old": "deep", "new": WRITTEN}
    tools(root)[name](path="folder/deep.txt", **text)
    assert outside(root) == before


def test_what_is_searched_follows_no_links(root: Path) -> None:
    (root / "folder" / "inner" / "note.txt").write_text("the secret of tea\n")
    said = tools(root)["search_files"](text="secret")
    assert said == "folder/inner/note.txt:1: the secret of tea"
