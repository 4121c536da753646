"""What lies in a repository of the hub: its files at one commit, with their sizes and hashes."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from threading import Event
from typing import TYPE_CHECKING, Literal

from g4local.core import offline, split
from g4local.core.errors import ModelNotFound, NetworkError
from g4local.hub import client
from g4local.hub.patience import persistently

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoSibling

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

    def file(self, path: str) -> Remote:
        """The file of this path, or of this name anywhere; ModelNotFound with the GGUFs that there are."""
        for file in self.files:
            if path in (file.path, file.name):
                return file
        known = ", ".join(file.path for file in self.files if file.path.endswith(".gguf"))
        raise ModelNotFound(f"{self.name} has no file {path!r}.", f"GGUFs there: {known or 'none'}.")

    def model(self, quant: str | None) -> tuple[Remote, ...]:
        """The files of the model in a quant, more than one if it is split; without a quant, in a usual one."""
        models = [file for file in self.files if file.kind == "model"]
        quants = list(dict.fromkeys(file.quant for file in models))
        if not models:
            raise ModelNotFound(f"{self.name} has no GGUF.", _without_gguf(self))
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
            raise ModelNotFound(f"{self.name} has no safetensors.", "Name the repository of a checkpoint.")
        return files


def listing(repo: str, revision: str | None, cancel: Event) -> Repository:
    """What a repository holds; the errors of `client.told`, NetworkError when the answer makes no sense, or offline."""
    offline.expect_network(repo)

    def ask() -> Repository:
        hub = client.api()
        client.session()
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError

        with client.told(repo):
            try:
                found = hub.model_info(repo, revision=revision, files_metadata=True, timeout=client.timeout())
            except (HfHubHTTPError, HFValidationError):
                raise
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                raise _no_hub(repo) from error  # it is no JSON, or none of a hub
        if not (isinstance(found.sha, str) and _COMMIT.fullmatch(found.sha)):
            raise _no_hub(repo)
        files = [file for entry in found.siblings or () if (file := _remote(repo, found.sha, entry))]
        return Repository(repo, found.sha, tuple(sorted(files, key=lambda file: file.path)))

    return persistently(ask, cancel, _WAITS)


def _remote(repo: str, commit: str, entry: "RepoSibling") -> Remote | None:
    """A file with a size, a hash to be checked by, and a path that leads to no other folder; None for others."""
    nbytes, digest = (entry.lfs.size, entry.lfs.sha256) if entry.lfs else (entry.size, entry.blob_id)
    match entry.rfilename, nbytes, digest:
        case str(path), int(nbytes), str(digest) if nbytes >= 0 and _DIGEST.fullmatch(digest):
            parts = PurePosixPath(path).parts
            is_inside = bool(parts) and path.isprintable() and not path.startswith("/") and ".." not in parts
            return Remote(repo, commit, path, nbytes, digest) if is_inside else None
        case _:
            return None


def _without_gguf(repository: Repository) -> str:
    if any(file.path.endswith(".safetensors") for file in repository.files):
        return "It holds a checkpoint: `g4local pull --from-checkpoint` converts it."
    return "Name another repository."


def _no_hub(repo: str) -> NetworkError:
    return NetworkError(
        f"What answered for {repo} is no Hugging Face hub.",
        "Check HF_ENDPOINT, and whether a login page is in the way.",
    )
