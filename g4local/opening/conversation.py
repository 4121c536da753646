"""From what was asked for to a conversation with a model, and to the engine behind it."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from os import environ
from pathlib import Path
from threading import Event

from g4local import library
from g4local.backend.client import WorkerEngine
from g4local.backend.engine import Constraint, LoadOptions, Sampling
from g4local.backend.generation import grammar
from g4local.chat.answers import schema
from g4local.chat.conversation import Conversation, ConversationOptions
from g4local.core.errors import UsageError, reason
from g4local.core.progress import Report
from g4local.opening import keeping, offering
from g4local.opening.approval import Approval, Ask, Scope
from g4local.opening.request import CONTEXT, Request, is_json
from g4local.settings import Paths, paths, snapshot_bytes


@contextmanager
def conversation(
    request: Request,
    report: Report,
    cancel: Event,
    *,
    ask: Ask,
    warn: Callable[[str], None],
    raw: bool = False,
) -> Iterator[tuple[Conversation, Request]]:
    """A conversation with the model asked for, whose engine is closed at the end; and what was asked for in full.

    It goes on with a session, or begins one, as the request says. A checkpoint folder is converted first; the model
    itself is loaded with the first question. `ask` is called for tools that no rule allows or denies.
    """
    with (
        keeping.opened(request, raw=raw) as kept,
        offering.offered(kept.request, report, cancel, warn, kept.session) as tools,
    ):
        request, recording = kept.request, kept.recording
        options = conversation_options(request, constraint(request), raw=raw)
        scope = Scope(paths(environ).permissions, request.folder, lambda: (recording or kept).session)
        approval = Approval(scope, everything=request.yes, ask=ask, warn=warn)
        with engine(replace(request, snapshots=request.snapshots and not raw), report, cancel, warn) as model:
            if recording:
                recording.settings.update(keeping.settings(request, model.path))
            talk = Conversation(
                model,
                tools=tools,
                approve=approval.ask,
                options=options,
                messages=kept.messages,
                recording=recording,
            )
            yield talk, request


def conversation_options(request: Request, constraint: Constraint | None, *, raw: bool = False) -> ConversationOptions:
    """How the request wants the model to be asked; the constraint is the one that it means."""
    return ConversationOptions(
        system=request.system,
        thinking=bool(request.think),
        sampling=sampling(request),
        max_tokens=request.max_tokens,
        think_budget=request.think_budget,
        constraint=constraint,
        loop_guard=request.loop_guard,
        raw=raw,
    )


@contextmanager
def engine(request: Request, report: Report, cancel: Event, warn: Callable[[str], None]) -> Iterator[WorkerEngine]:
    """The engine for the model asked for."""
    places, most = paths(environ), snapshot_bytes(environ)
    found = library.find(request.model, places)
    gguf = library.gguf(found, request.quant, places, report, cancel)
    drafter: Path | None = None
    if request.draft_model:
        drafter = _drafter(request, places, report, cancel)
    elif request.draft in ("auto", "mtp"):
        # Conversions of checkpoints that have nothing to do with each other lie side by side.
        drafter = library.drafter(gguf, warn if found.kind == "gguf" else lambda _: None)
    load = LoadOptions(
        gguf,
        context=CONTEXT if request.ctx is None else request.ctx,
        threads=request.threads,
        gpu_layers=request.gpu_layers,
        kv_type=request.kv_type,
        lazy_ple=request.lazy_ple,
        draft="mtp" if request.draft_model else request.draft,
        drafter=drafter,
        force=request.force_load,
        snapshots=places.snapshots if request.snapshots and request.save and most else None,
        snapshot_bytes=most,
    )
    model = WorkerEngine(load, cache=places.cache, logs=places.logs, keep_alive=request.keep_alive)
    try:
        yield model
    finally:
        model.close()


@contextmanager
def tokenizer(model: str, report: Report, cancel: Event) -> Iterator[WorkerEngine]:
    """The vocabulary of the model asked for, without its weights: an engine that can be started, and tokenizes."""
    places = paths(environ)
    gguf = library.gguf(library.find(model, places), None, places, report, cancel)
    with closing(WorkerEngine(LoadOptions(gguf, vocabulary_only=True), cache=places.cache, logs=places.logs)) as words:
        yield words


def _drafter(request: Request, places: Paths, report: Report, cancel: Event) -> Path:
    """The assistant that is asked for; UsageError for flags that contradict."""
    if request.draft not in ("auto", "mtp"):
        raise UsageError(f"--draft {request.draft} has no use for --draft-model.", "Leave out one of them.")
    found = library.find(request.draft_model or "", places)
    return library.gguf(found, None, places, report, cancel, drafter=True)


def constraint(request: Request) -> Constraint | None:
    """What an answer must be by the request; UsageError when it can't be held to that."""
    asked = [each for each in (request.schema, request.regex, request.grammar) if each is not None]
    if not asked:
        return None
    if len(asked) > 1:
        raise UsageError("An answer is held to one of --schema, --regex and --grammar.", "Give one of them.")
    if request.schema is not None:
        wanted = schema(request.schema if is_json(request.schema) else _text(Path(request.schema)))
    elif request.regex is not None:
        wanted = Constraint("regex", request.regex)
    else:
        wanted = grammar.lark(_text(Path(request.grammar or "")))
    grammar.check(wanted)
    return wanted


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} can't be read: {reason(error)}.", "Give a UTF-8 file.") from error


def sampling(request: Request) -> Sampling:
    """How the request wants tokens to be picked."""
    return Sampling(
        temperature=request.temperature,
        top_k=request.top_k,
        top_p=request.top_p,
        min_p=request.min_p,
        repeat_penalty=request.repeat_penalty,
        seed=request.seed,
    )
