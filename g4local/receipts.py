"""Quality receipts: how far a quantized model is from what it was made of, kept as JSON beside its file.

{"schema": "g4local.receipt/1",
 "model": {"name": ..., "bytes": ..., "sha256": ...}, "base": {the same},
 "text": {"names": [...], "sha256": ..., "chunk_tokens": 512, "parse_special": false},
 "result": {each field of Comparison},
 "g4local": version}
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event
from typing import Any

from g4local import __version__, library
from g4local.backend import measuring
from g4local.backend.measures import Comparison, ComparisonRequest, Reading
from g4local.backend.measuring import Process
from g4local.core.errors import G4Error
from g4local.core.files import read_json, write_whole
from g4local.core.messages import Json
from g4local.core.progress import Report
from g4local.settings import Paths
from g4local.texts import Texts

SCHEMA = "g4local.receipt/1"


@dataclass(frozen=True, slots=True)
class Request:
    """The comparison that is wanted."""

    model: Path
    """A GGUF."""
    base: Path
    """The GGUF that it was made of, or one with the same weights in more bits."""
    texts: Texts
    reading: Reading


@dataclass(frozen=True, slots=True)
class Receipt:
    """What came of a comparison, and of what."""

    content: Mapping[str, Json]
    """As it is kept."""
    result: Comparison
    names: tuple[str, ...]
    """The files of the text as they were given."""

    @property
    def model_sha256(self) -> str:
        """Of the file that was compared; of several, of their hashes."""
        model = self.content["model"]
        return str(model.get("sha256", "")) if isinstance(model, dict) else ""

    @property
    def line(self) -> str:
        """The result in one line."""
        return ", ".join(f"{name} {told}" for name, told in self._figures.items())

    @property
    def table(self) -> Mapping[str, str]:
        """The result with what it was measured on, by name."""
        names = ", ".join(Path(name).name for name in self.names)
        return {**self._figures, "measured on": f"{self.result.tokens:,} tokens of {names}"}

    @property
    def _figures(self) -> Mapping[str, str]:
        told = self.result
        return {
            "KL": f"{told.kl_mean:.4f} nats (99 %: {told.kl_99:.4f}, most: {told.kl_max:.4f})",
            "same top token": f"{100 * told.same_top:.2f} %",
            "perplexity": f"{told.perplexity:.2f} (base: {told.base_perplexity:.2f})",
        }


def made(request: Request, paths: Paths, report: Report, cancel: Event) -> Receipt:
    """Compare the two; the errors of `measuring.comparison`."""
    wanted = ComparisonRequest(request.model, request.base, request.texts.content, request.reading)
    result = measuring.comparison(wanted, Process(paths.logs), report, cancel)
    content: dict[str, Json] = {
        "schema": SCHEMA,
        "model": _file(request.model, paths, report, cancel),
        "base": _file(request.base, paths, report, cancel),
        "text": {
            "names": list[Json](request.texts.names),
            "sha256": request.texts.sha256,
            "chunk_tokens": request.reading.chunk_tokens,
            "parse_special": request.reading.parse_special,
        },
        "result": dict[str, Json](asdict(result)),
        "g4local": __version__,
    }
    return Receipt(content, result, request.texts.names)


def place(model: Path) -> Path:
    """Where the receipt of a GGUF lies."""
    return model.with_name(model.name.removesuffix(".gguf") + ".receipt.json")


def keep(receipt: Receipt, model: Path) -> Path:
    """Write it beside the GGUF, in place of an older one; G4Error when that can't be."""
    target = place(model)
    try:
        write_whole(target, json.dumps(receipt.content, indent=1) + "\n")
    except OSError as error:
        raise G4Error(
            f"{target} can't be written: {error.strerror}.", "Check the disk and your rights there."
        ) from error
    return target


def kept(model: Path) -> Receipt | None:
    """The receipt that lies beside a GGUF, if it is one of a file of this size."""
    with suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
        content = read_json(place(model))
        json.dumps(content, allow_nan=False)  # what Python reads as infinite or no number is no JSON
        if content["schema"] == SCHEMA and content["model"]["bytes"] == model.stat().st_size:
            return Receipt(content, _result(content["result"]), tuple(map(str, content["text"]["names"])))
    return None


def _result(told: Mapping[str, Any]) -> Comparison:
    """The figures of a receipt; TypeError or ValueError when they are none."""
    result = Comparison(**told)
    figures = asdict(result)
    version = figures.pop("llama_cpp")
    if not isinstance(version, str) or not all(
        type(each) in (int, float) and 0 <= each < 1e300 for each in figures.values()
    ):
        raise ValueError
    return result


def forget(model: Path) -> None:
    """Delete the receipt of a GGUF that has been written anew."""
    with suppress(OSError):
        place(model).unlink(missing_ok=True)


def _file(path: Path, paths: Paths, report: Report, cancel: Event) -> dict[str, Json]:
    digest = library.gguf_hash(path, paths, report, cancel)
    return {"name": path.name, "bytes": path.stat().st_size, "sha256": digest}
