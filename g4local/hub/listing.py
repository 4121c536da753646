"""What lies in a repository of the hub: its files at one commit, with their sizes and hashes."""

import json
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from threading import Event
from time import monotonic
from typing import Any, Literal
from urllib.parse import quote

from g4local.core import offline, split
from g4local.core.errors import ModelNotFound, NetworkError
from g4local.hub import client
from g4local.hub.patience import persistently, stopped

Kind = Literal["model", "mmproj", "drafter", "other"]
"""What a file is for, as far as its name tells; what it holds is known when it is here."""

_PREFERRED = ("Q4_K_M", "Q4_0", "UD-Q4_K_XL", "Q8_0")
"""Quants of which the first that there is is taken when nobody says which."""
_PREFERRED_TYPES = ("F16", "BF16", "Q8_0", "")
"""The same for towers and drafters."""
_CHECKPOINT = re.compile(r"model[^/]*\.safetensors|[^/]+\.(json|jinja|model)|additional_chat_templates/[^/]+\.jinja")
"""What a conversion reads of a checkpoint's repository."""
_QUANT = re.compile(
    r"(?:^|[-_.])((?:UD-)?(?:I?Q\d[A-Z\d_]*|BF16|F16|F32|MXFP4(?:_MOE)?|TQ\d_\d))(?=[-_.]|$)", re.IGNORECASE
)
_COMMIT = re.compile(r"[0-9a-f]{40,64}")
_DIGEST = re.compile(r"[0-9a-f]{64}|[0-9a-f]{40}")
_MOST_NBYTES = 1 << 25
"""Of an answer; a repository with thousands of files has a few million."""
_MOST_SECONDS = 120.0
"""That an answer may take."""
_LARGEST = 1 << 60
"""Bytes of a file; no disk holds more."""
_LONGEST_NAME = 255
"""Bytes of a file's name on most disks."""
_BESIDE_NAME = len("-" + 12 * "r" + "-" + "." + 16 * "d" + ".part")
"""What a name may get here, beside the repository's: a revision, and what tells a part."""
_MODELS = (".gguf", ".safetensors")
_WAITS = 2
"""Tries after the first one; before anything came, a person wants to know soon that there is no network."""


@dataclass(frozen=True, slots=True)
class Remote:
    """A file of a repository, at one commit."""

    repo: str
    commit: str
    path: str
    nbytes: int
    digest: str
    """SHA-256 in hex; of small files that git itself keeps, git's SHA-1 of them as a blob."""

    @property
    def name(self) -> str:
        """The file's own name."""
        return PurePosixPath(self.path).name

    @property
    def stem(self) -> str:
        """The name without its ending and, of a model in several files, without the number."""
        part = split.part(self.name)
        return part.stem if part else PurePosixPath(self.path).stem

    @property
    def quant(self) -> str:
        """The quant that the name tells, in capitals; empty when it tells none."""
        found = _QUANT.findall(self.stem)
        return found[-1].upper() if found else ""

    @property
    def kind(self) -> Kind:
        """What the name says that the file is for."""
        name = self.path.lower()
        if not name.endswith(".gguf") or "imatrix" in name:
            return "other"
        if "mmproj" in name:
            return "mmproj"
        return "drafter" if re.search(r"(^|[-_/.])mtp([-_/.]|$)", name) else "model"


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository at one commit."""

    name: str
    commit: str
    files: tuple[Remote, ...]
    refused: tuple[str, ...] = ()
    """Files of models whose names could lead elsewhere, can't be had here, or have no hash to be checked by."""

    def file(self, path: str) -> Remote:
        """The file of this path, or of this name anywhere; ModelNotFound with the GGUFs that there are."""
        for file in self.files:
            if path in (file.path, file.name):
                return file
        if any(path in (each, PurePosixPath(each).name) for each in self.refused):
            raise self._unsafe(path)
        known = ", ".join(file.path for file in self.files if file.path.endswith(".gguf"))
        raise ModelNotFound(f"{self.name} has no file {path!r}.", f"GGUFs there: {known or 'none'}.")

    def model(self, quant: str | None) -> tuple[Remote, ...]:
        """The files of the model in a quant, more than one if it is split; without a quant, in a usual one."""
        models = [file for file in self.files if file.kind == "model"]
        quants = list(dict.fromkeys(file.quant for file in models))
        if not models:
            raise self._lacking("GGUF", ".gguf", _without_gguf(self))
        if quant is None:
            wanted = next((each for each in _PREFERRED if each in quants), quants[0] if len(quants) == 1 else None)
        else:
            wanted = quant.upper() if quant.upper() in quants else None
        if wanted is None:
            lacking = f"no {quant.upper()}" if quant else f"{len(quants)} quants and none of the usual ones"
            raise ModelNotFound(f"{self.name} has {lacking}.", f"Quants there: {', '.join(filter(None, quants))}.")
        return self.whole(next(file for file in models if file.quant == wanted))

    def whole(self, first: Remote) -> tuple[Remote, ...]:
        """All files of the model that this one is a part of; ModelNotFound where one of them is missing."""
        part = split.part(first.path)
        if part is None:
            return (first,)
        by_path = {file.path: file for file in self.files}
        files = [by_path[path] for number in range(1, part.count + 1) if (path := part.name(number)) in by_path]
        if len(files) != part.count:
            raise ModelNotFound(
                f"{self.name} has only {len(files)} of the {part.count} files of {part.stem}.",
                "Take another quant, or tell its owner.",
            )
        return tuple(files)

    def sidecar(self, kind: Kind) -> Remote:
        """The towers or the drafter; those nearest to the top, in 16 bits rather than in 8."""
        there = [file for file in self.files if file.kind == kind]
        if not there:
            raise ModelNotFound(f"{self.name} has no {kind}.", "Leave it out, or name another repository.")
        order = {quant: place for place, quant in enumerate(_PREFERRED_TYPES)}
        return min(there, key=lambda file: (file.path.count("/"), order.get(file.quant, len(order)), file.path))

    def checkpoint(self) -> tuple[Remote, ...]:
        """What a conversion needs; ModelNotFound when there are no safetensors."""
        files = tuple(file for file in self.files if _CHECKPOINT.fullmatch(file.path))
        if not any(file.path.endswith(".safetensors") for file in files):
            raise self._lacking("safetensors", ".safetensors", "Name the repository of a checkpoint.")
        return files

    def _lacking(self, what: str, ending: str, hint: str) -> ModelNotFound:
        refused = [path for path in self.refused if path.endswith(ending)]
        return self._unsafe(refused[0]) if refused else ModelNotFound(f"{self.name} has no {what}.", hint)

    def _unsafe(self, path: str) -> ModelNotFound:
        return ModelNotFound(
            f"{self.name} has {path!r}, but what the hub says of it is not safe to use.",
            "Names must be short and lead to no other folder, and a hash must be there; tell its owner.",
        )


def listing(repo: str, revision: str | None, cancel: Event) -> Repository:
    """What a repository holds; the errors of `client.told`, NetworkError when the answer makes no sense, or offline."""
    offline.expect_network(repo)

    def ask() -> Repository:
        try:
            answer = json.loads(_answer(repo, revision, cancel))
        except (ValueError, RecursionError) as error:
            raise _no_hub(repo) from error
        match answer:
            case {"sha": str(commit), "siblings": list(entries)} if _COMMIT.fullmatch(commit):
                return _repository(repo, commit, entries)
        raise _no_hub(repo)

    return persistently(ask, cancel, _WAITS)


def _answer(repo: str, revision: str | None, cancel: Event) -> bytes:
    """What the hub says of a repository, as JSON; NetworkError where it is longer, or slower, than a listing can be."""
    client.prepare()
    from huggingface_hub import constants
    from huggingface_hub.utils import validate_repo_id

    at = f"/revision/{quote(revision, safe='')}" if revision else ""
    url = f"{constants.ENDPOINT}/api/models/{repo}{at}"
    headers = {**client.headers(), "Accept-Encoding": "identity"}
    limit, body = monotonic() + _MOST_SECONDS, bytearray()
    with client.told(repo):
        validate_repo_id(repo)
        with client.session().stream(
            "GET", url, params={"blobs": "true"}, headers=headers, timeout=client.timeout()
        ) as response:
            client.expect_success(response)
            if response.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise _no_hub(repo)  # a few bytes could become any number
            for chunk in response.iter_raw():
                body += chunk
                if cancel.is_set():
                    raise stopped()
                if len(body) > _MOST_NBYTES or monotonic() > limit:
                    raise _no_hub(repo)
    return bytes(body)


def _repository(repo: str, commit: str, entries: list[Any]) -> Repository:
    files, refused = list[Remote](), list[str]()
    for entry in entries:
        path = entry.get("rfilename") if isinstance(entry, dict) else None
        if not isinstance(path, str):
            continue
        if file := _remote(repo, commit, path, entry):
            files.append(file)
        elif path.lower().endswith(_MODELS):
            refused.append(path)
    return Repository(repo, commit, tuple(sorted(files, key=lambda file: file.path)), tuple(sorted(refused)))


def _remote(repo: str, commit: str, path: str, entry: dict[str, Any]) -> Remote | None:
    """A file with a size, a hash to be checked by, and a path that can be had here; None for others."""
    match entry:
        case {"lfs": {"size": int(nbytes), "sha256": str(digest)}} | {"size": int(nbytes), "blobId": str(digest)}:
            is_sound = 0 <= nbytes <= _LARGEST and _DIGEST.fullmatch(digest) and _is_safe(path, repo)
            return Remote(repo, commit, path, nbytes, digest) if is_sound else None
    return None


def _is_safe(path: str, repo: str) -> bool:
    """Whether a path leads to no other folder and hides nothing, and its names leave room for what they get here."""
    room = _LONGEST_NAME - _BESIDE_NAME - len(repo)
    names = path.split("/")
    return (
        path.isprintable()
        and "\\" not in path
        and all(name and not name.startswith(".") and len(name.encode(errors="replace")) <= room for name in names)
    )


def _without_gguf(repository: Repository) -> str:
    if any(file.path.endswith(".safetensors") for file in repository.files):
        return "It holds a checkpoint: `g4local pull --from-checkpoint` converts it."
    return "Name another repository."


def _no_hub(repo: str) -> NetworkError:
    return NetworkError(
        f"What answered for {repo} is no Hugging Face hub.",
        "Check HF_ENDPOINT, and whether a login page is in the way.",
    )
