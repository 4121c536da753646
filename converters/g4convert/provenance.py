"""The `g4local.*` keys: which program made a GGUF, how, and of what. They stand last and change nothing a model says.

    g4local.version               of the program
    g4local.recipe                what was asked for, such as Q4_K_M
    g4local.types                 types given by hand, as they were given, where there are any
    g4local.qat                   true where weights that were trained for Q4_0 are kept exactly
    g4local.source.name           the repository, the folder or the GGUF, never the way to it
    g4local.source.index_sha256   of model.safetensors.index.json; where there is none, or the source is a GGUF:
    g4local.source.header_sha256  of all that stands before the data, file after file
    g4local.source.source.name    and so on, where the source tells what it was made of itself

The hashes are cheap, since no weight is read. They tell two checkpoints apart by the names, shapes and places of their
tensors, but not by a weight.
"""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from g4convert import metadata
from g4convert.checkpoint import INDEX, Checkpoint
from g4convert.choice import Guidance
from g4convert.gguf import Gguf, Value, boolean, string, strings
from g4convert.plan import Plan
from g4local import __version__
from g4local.core.errors import BadCheckpoint, BadGguf

PREFIX = "g4local."


def of_checkpoint(source: Checkpoint, plan: Plan, given: Guidance | None = None) -> dict[str, Value]:
    """The keys of a GGUF that is made of a checkpoint."""
    index = source.folder / INDEX
    try:
        if index.is_file():
            digest = {"index_sha256": sha256(index.read_bytes()).hexdigest()}
        else:
            digest = {"header_sha256": _hash_of_heads(_data_starts(source))}
    except OSError as error:
        raise BadCheckpoint(f"{source.folder} can't be read: {error.strerror}.", "Check your rights there.") from error
    name = metadata.repository(source.folder) or metadata.name(source.folder)
    return _keys(plan, given or Guidance(), {"name": name, **digest})


def of_gguf(source: Gguf, plan: Plan, given: Guidance) -> dict[str, Value]:
    """The keys of a GGUF that is made of another; what that tells of its own making is kept."""
    try:
        digest = _hash_of_heads({source.path: source.data_start})
    except OSError as error:
        raise BadGguf(f"{source.path.name} can't be read: {error.strerror}.", "Check your rights there.") from error
    before = {
        f"{PREFIX}source.{name.removeprefix(PREFIX)}": value
        for name, value in source.keys.items()
        if name.startswith(PREFIX)
    }
    name = source.path.name.encode(errors="replace").decode()
    return _keys(plan, given, {"name": name, "header_sha256": digest}) | before


def _keys(plan: Plan, given: Guidance, source: Mapping[str, str]) -> dict[str, Value]:
    by_hand = [entry.said for entry in given.overrides]
    if given.embedding:
        by_hand.append(f"--embedding-type {given.embedding.name}")
    told = {
        "version": string(__version__),
        "recipe": string(plan.recipe.name),
        **({"types": strings(by_hand)} if by_hand else {}),
        **({"qat": boolean(True)} if any(tensor.lattice for tensor in plan.tensors) else {}),
        **{f"source.{name}": string(text) for name, text in source.items()},
    }
    return {f"{PREFIX}{name}": value for name, value in told.items()}


def _data_starts(source: Checkpoint) -> dict[Path, int]:
    """Where the data of each file begins, in the order of the files' names."""
    starts: dict[Path, int] = {}
    for tensor in source.tensors.values():
        starts[tensor.path] = min(tensor.start, starts.get(tensor.path, tensor.start))
    return dict(sorted(starts.items()))


def _hash_of_heads(starts: Mapping[Path, int]) -> str:
    digest = sha256()
    for path, start in starts.items():
        with path.open("rb") as file:
            digest.update(file.read(start))
    return digest.hexdigest()
