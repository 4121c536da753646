"""Damages files in every way that the fuzz tests know, the same way for the same seed."""

import json
import os
import struct
from pathlib import Path
from random import Random
from typing import Any

EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 3, 31, 32, 33, 2**31 - 1, 2**31, 2**53, 2**63, 2**64, -(2**63), 10**400),
    *(0.0, -0.0, 0.5, 1e-6, 1e-320, 1e30, 1e308, float("nan"), float("inf"), float("-inf")),
    *("", "a", "0", "-1", "\x00", "\n", "\ud800", "\U0010ffff", "\u2581" * 3, "../x", "/dev/zero", "a" * 5000),
    *("full_attention", "sliding_attention", "F32", "F64", "U8", "F8_E4M3", "model-00002-of-00002.safetensors"),
    *([], {}, [[]], [0], [-1, 2**64], {"a": 1}, [None] * 50, "DEEP", "HUGE"),
)
"""What is put into JSON; the last two become something that the writer of JSON can't write."""

_DIGITS = b'0123456789-+.eE,:"{}[] '


def json_file(path: Path, random: Random) -> str:
    """Damage a file of JSON; tells how."""
    kinds = (_json_value, _json_value, _json_value, _json_shape, _raw, _other_kind)
    return random.choice(kinds)(path, random)


def safetensors(path: Path, random: Random) -> str:
    """Damage a safetensors file: its header, the length of it, or its data."""
    kinds = (_header_value, _header_value, _header_shape, _length, _raw, _data, _other_kind)
    return random.choice(kinds)(path, random)


def gguf(raw: bytes, start: int, random: Random) -> bytes:
    """A GGUF with a damaged header; `start` is where its data begins."""
    changed = bytearray(raw)
    kind = random.randrange(6)
    if kind == 0:
        return bytes(changed[: random.randrange(random.choice([start, len(changed)]))])
    for _ in range(random.randint(1, 4)):
        at = random.choice([random.randrange(start), random.randrange(24)])
        if kind == 1:
            changed[at] ^= 1 << random.randrange(8)
        elif kind == 2:
            changed[at] = random.randrange(256)
        elif kind == 3:
            changed[at : at + 4] = struct.pack("<I", random.choice(EXTREMES) % 2**32)
        elif kind == 4:
            changed[at : at + 8] = struct.pack("<Q", random.choice(EXTREMES))
        else:
            other = random.randrange(start)
            length = random.choice([4, 8, 24, 60])
            changed[at : at + length] = changed[other : other + length]
    return bytes(changed)


def gguf_tensors(raw: bytes, start: int, random: Random) -> bytes:
    """A GGUF with damage in what it says of its tensors: their names, shapes, types and places end the header."""
    begin = start - 60 * struct.unpack_from("<Q", raw, 8)[0]
    changed = bytearray(raw)
    for _ in range(random.randint(1, 3)):
        at = random.randrange(begin, start - 8)
        small = random.choice([*range(42), 64, 128, 256, 4096, *EXTREMES])
        kind = random.randrange(4)
        if kind == 0:
            changed[at] ^= 1 << random.randrange(8)
        elif kind == 1:
            changed[at] = small % 256
        elif kind == 2:
            changed[at : at + 8] = struct.pack("<Q", small)
        else:
            other = random.randrange(begin, start - 60)
            changed[at : at + 24] = changed[other : other + 24]
    return bytes(changed[: len(raw)])


def gguf_data(raw: bytes, start: int, random: Random) -> bytes:
    """A GGUF with damaged weights: infinite, no numbers, or noise."""
    changed = bytearray(raw)
    for _ in range(random.randint(1, 20)):
        at = random.randrange(start, len(changed) - 64) // 4 * 4
        length = random.choice([2, 4, 18, 64])
        some = random.choice([b"\xff\xff\xff\x7f", b"\x00\x00\x80\x7f", b"\x80\x7f\x80\xff", b"\x00\x7c\x00\xfc"])
        changed[at : at + length] = random.choice([random.randbytes(length), (some * 16)[:length]])
    return bytes(changed)


def _json_value(path: Path, random: Random) -> str:
    content = json.loads(path.read_bytes())
    told = _change(content, random)
    path.write_text(_written(content), encoding="utf-8", errors="surrogatepass")
    return told


def _json_shape(path: Path, random: Random) -> str:
    """The whole is of another type, or says something twice."""
    text = path.read_text(encoding="utf-8")
    kind = random.choice(["[{}]", "{}{}", "null", "twice", "deep", '"{}"', "\ufeff{}", "{}\x00"])
    if kind == "twice":
        name = random.choice(list(json.loads(text)))
        text = "{" + json.dumps(name) + ": " + random.choice(["1", "{}", "null"]) + ", " + text.lstrip()[1:]
    elif kind == "deep":
        text = "[" * 100_000
    else:
        text = kind.replace("{}", text)
    path.write_text(text, encoding="utf-8")
    return kind


def _raw(path: Path, random: Random) -> str:
    """Bytes are changed, most near the beginning, without regard to what they mean."""
    raw = bytearray(path.read_bytes())
    kind = random.choice(["flip", "digits", "insert", "cut", "empty", "noise", "utf-16"])
    match kind:
        case "cut":
            del raw[random.randrange(len(raw)) :]
        case "empty":
            raw.clear()
        case "noise":
            raw = bytearray(random.randbytes(random.randint(1, 5000)))
        case "utf-16":
            raw = bytearray(bytes(raw[:5000]).decode("latin-1").encode("utf-16"))
        case _:
            for _ in range(random.randint(1, 5)):
                at = random.randrange(min(len(raw), 20_000))
                old = raw[at]
                new = {"flip": bytes([old ^ 1 << random.randrange(8)]), "digits": bytes([random.choice(_DIGITS)])}
                raw[at : at + (kind != "insert")] = new.get(kind, random.randbytes(random.randint(1, 9)))
    path.write_bytes(raw)
    return kind


def _other_kind(path: Path, random: Random) -> str:
    """Something that is no file stands in its place."""
    kind = random.choice(["folder", "fifo", "loop", "dangling", "device", "missing"])
    path.unlink()
    match kind:
        case "folder":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "loop":
            path.symlink_to(path.name)
        case "dangling":
            path.symlink_to("nowhere")
        case "device":
            path.symlink_to("/dev/zero")
    return kind


def _split(raw: bytes) -> tuple[dict[str, Any], bytes]:
    length = struct.unpack_from("<Q", raw)[0]
    return json.loads(raw[8 : 8 + length]), raw[8 + length :]


def _write_header(path: Path, header: str, data: bytes) -> None:
    raw = header.encode("utf-8", "surrogatepass")
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + data)


def _header_value(path: Path, random: Random) -> str:
    header, data = _split(path.read_bytes())
    told = _change(header, random)
    _write_header(path, _written(header), data)
    return told


def _header_shape(path: Path, random: Random) -> str:
    """Tensors change places, names, types and shapes with each other, or one is there twice."""
    header, data = _split(path.read_bytes())
    first, second = random.sample([name for name in header if name != "__metadata__"], 2)
    kind = random.choice(["swap", "data_offsets", "shape", "dtype", "twice", "drop", "overlap", "more"])
    if kind == "swap":
        header[first], header[second] = header[second], header[first]
    elif kind in ("data_offsets", "shape", "dtype"):
        header[first][kind] = header[second][kind]
    elif kind == "drop":
        del header[first]
    elif kind == "overlap":
        header[first]["data_offsets"] = [at + random.choice([-2, 2, 64]) for at in header[first]["data_offsets"]]
    elif kind == "more":
        data += bytes(random.randint(1, 100))
    text = _written(header)
    if kind == "twice":
        text = "{" + json.dumps(first) + ": " + json.dumps(header[first]) + ", " + text[1:]
    _write_header(path, text, data)
    return kind


def _length(path: Path, random: Random) -> str:
    raw = path.read_bytes()
    length = random.choice(
        [*EXTREMES, len(raw), len(raw) - 8, struct.unpack_from("<Q", raw)[0] + random.randint(-9, 9)]
    )
    path.write_bytes(struct.pack("<Q", length % 2**64) + raw[8:])
    return f"length {length}"


def _data(path: Path, random: Random) -> str:
    """Values that are no numbers, or too large for what they become."""
    header, data = _split(path.read_bytes())
    changed = bytearray(data)
    at = random.randrange(0, len(data) - 2, 2)
    changed[at : at + 2] = random.choice([b"\xff\xff", b"\x80\x7f", b"\x80\xff", b"\x7f\x7f", b"\x01\x00"])
    _write_header(path, _written(header), bytes(changed))
    return "value"


def _change(content: Any, random: Random) -> str:
    """Change one value anywhere in JSON, or its name."""
    place = content
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = random.choice(keys)
        if not isinstance(place[key], dict | list) or not place[key] or random.randrange(4) == 0:
            break
        place = place[key]
    kind = random.choice(["value", "value", "number", "drop", "name", "like another"])
    value = place[key]
    if kind == "drop" or (kind == "name" and isinstance(place, list)):
        del place[key]
    elif kind == "name":
        place[random.choice(["", "a", f"{key} ", str(key).upper(), "\ud800", "a" * 300])] = place.pop(key)
    elif kind == "number" and type(value) in (int, float):
        place[key] = random.choice([-value, value + 1, value - 1, value * 2, value // 2, float(value), str(value)])
    elif kind == "like another":
        place[key] = place[random.choice(keys)]
    else:
        place[key] = random.choice(VALUES)
    return f"{kind} of {str(key)[:60]!r}, which was {str(value)[:40]}"


def _written(content: Any) -> str:
    text = json.dumps(content)
    return text.replace('"DEEP"', "[" * 5000 + "]" * 5000).replace('"HUGE"', "1e999")
