"""What drafts for a model: an assistant that fits it, n-grams, or nothing; and how an assistant is opened."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import llama_cpp.llama_cpp as llama

from g4local.backend.draft import drafts
from g4local.backend.draft.drafts import Cost, Drafter
from g4local.backend.draft.mtp import Mtp
from g4local.backend.draft.ngram import Ngrams
from g4local.backend.engine import LoadOptions
from g4local.backend.fit import fitting
from g4local.backend.fit.fitting import Fit, Resources
from g4local.backend.fit.shape import Model
from g4local.backend.llamacpp import nextn
from g4local.backend.llamacpp.stop import StopFlag
from g4local.backend.model import assistant, loading
from g4local.backend.model.assistant import Assistant
from g4local.backend.model.loading import Context
from g4local.core.errors import Cancelled, DoesNotFit, EngineError, G4Error, UsageError


@dataclass(frozen=True, slots=True)
class Choice:
    """What drafts where drafts are wanted: an assistant, or n-grams."""

    assistant: Assistant | None = None
    warning: str = ""
    """Why it is not the assistant that was found or asked for."""


def settle(options: LoadOptions, model: Model, resources: Resources) -> tuple[Choice, Fit]:
    """What drafts for a model, and how both are loaded on this machine; the errors of `fitting.settle`.

    An assistant that was only found (`auto`) and can't be used is a warning; one that was asked for is an error.
    """
    try:
        choice = _choice(options, model)
        nbytes = choice.assistant.nbytes if choice.assistant else 0
        return choice, fitting.settle(options, model, resources, nbytes)
    except G4Error as error:
        if options.draft != "auto" or options.drafter is None:
            raise
        fit = fitting.settle(options, model, resources)
        return _passed_over(
            "there is too little memory for it" if isinstance(error, DoesNotFit) else error.message
        ), fit


@contextmanager
def opened(
    choice: Choice, options: LoadOptions, fit: Fit, target: Context, stop: StopFlag
) -> Iterator[tuple[Drafter | None, Choice]]:
    """The drafter for a target that is open for as long, None where drafts are off, and the choice that came true.

    An assistant that llama.cpp refuses is what it is in `settle`; the errors of loading.
    """
    with ExitStack() as closing:
        drafter: Drafter | None = None if options.draft == "off" else Ngrams()
        if choice.assistant is not None:
            try:
                drafter = _assisted(choice.assistant, options, fit, target, stop, closing)
            except G4Error as error:
                if options.draft != "auto" or isinstance(error, Cancelled):
                    raise
                closing.close()
                choice = _passed_over(error.message)
        yield drafter, choice


def cost(choice: Choice, model: Model, *, repacked: bool) -> Cost:
    """What drafts cost: their rows, and the assistant's weights beside the model's own."""
    rows = drafts.row_cost(model.shape, repacked=repacked)
    if choice.assistant is None:
        return rows
    read = model.weights.total - model.weights.table - sum(model.weights.experts)
    return replace(rows, draft=choice.assistant.nbytes / max(read, 1))


def _assisted(
    found: Assistant, options: LoadOptions, fit: Fit, target: Context, stop: StopFlag, closing: ExitStack
) -> Mtp:
    """An assistant at work, which is freed with the stack."""
    model = loading.load_assistant(found, options, fit, stop)
    closing.callback(llama.llama_model_free, model)
    context = loading.open_assistant(model, target)
    closing.callback(llama.llama_free, context)
    stop.watch(context)
    drafter = Mtp(context, target.handle, llama.llama_model_n_embd_out(model), found.vocab_size)
    closing.callback(drafter.close)
    if target.threads is not None:
        target.threads.share(context)
    return drafter


def _passed_over(why: str) -> Choice:
    return Choice(warning=f"The assistant beside the model is not used: {why.removesuffix('.')}.")


def _choice(options: LoadOptions, model: Model) -> Choice:
    if options.draft in ("off", "ngram"):
        return Choice()
    if options.drafter is None:
        if options.draft == "mtp":
            raise UsageError(
                f"No assistant for {options.path.stem} lies beside it.",
                "Give one with --draft-model; g4local convert makes one of Google's -assistant checkpoints.",
            )
        return Choice()
    if nextn.functions() is None:
        raise EngineError("This llama.cpp has no functions for assistants.", "Leave it out (--draft ngram).")
    return Choice(assistant.read(options.drafter, model.shape))
