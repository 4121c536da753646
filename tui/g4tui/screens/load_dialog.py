"""How a model is to be loaded: context, keys and values, embeddings, GPU layers, drafts; and what that would take."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args

from textual import on
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Input, Static

from g4local.backend.engine import DraftKind, KvType, LoadOptions
from g4local.backend.fit import fitting
from g4local.backend.fit.fitting import Resources
from g4local.core.units import human_bytes
from g4local.core.visible import in_one_line
from g4local.opening.request import Request
from g4tui.screens.dialog import Dialog, field
from g4tui.shelf import Row
from g4tui.tones import POOR
from g4tui.widgets.choice import Choice, Tick
from g4tui.widgets.model_table import FITS

_KV: Mapping[str, KvType] = {each: each for each in get_args(KvType)}
_LAZY: Mapping[str, Literal["auto", "on", "off"]] = {"auto": "auto", "on": "on", "off": "off"}
_DRAFT: Mapping[str, DraftKind] = {each: each for each in get_args(DraftKind)}


class LoadDialog(Dialog[Request]):
    """Options as `g4local chat` has them; the answer is a request with the model and these."""

    def __init__(self, row: Row, there: Resources, context: int) -> None:
        super().__init__(f"Load {in_one_line(row.name)}", "Load")
        self._row = row
        self._there = there
        self._tokens = min(context, row.trained or context)

    def fields(self) -> ComposeResult:
        """One line an option, and what they come to."""
        yield field("context", Input(str(self._tokens), id="ctx", compact=True, max_length=9))
        yield field("keys, values", Choice([*_KV], "f16", id="kv"))
        yield field("embeddings", Choice([*_LAZY], "auto", id="lazy"))
        yield field("GPU layers", Input("", "as many as fit", id="gpu", compact=True, max_length=5))
        yield field("drafts", Choice([*_DRAFT], "auto", id="draft"))
        yield Tick("load it also where it does not fit", id="force")
        yield Static("", id="told", markup=False)

    def on_mount(self) -> None:
        """Tell what it would take as things stand; begin with the button, since that may be all."""
        told = "context: tokens, or max. embeddings: read row by row or not; for E2B and E4B."
        self.query_one("#fields").tooltip = told
        self.query_one("#yes").focus()
        self._tell()

    @on(Input.Changed)
    @on(Choice.Changed)
    def _tell(self) -> None:
        self.query_one("#told", Static).update(self._told())

    def accept(self) -> None:
        """Close with the request, if the numbers are some."""
        options = self._options()
        if options is None:
            self._tell()
            return
        self.dismiss(
            Request(
                self._row.asked_for,
                ctx=options.context,
                kv_type=options.kv_type,
                lazy_ple=options.lazy_ple,
                gpu_layers=options.gpu_layers,
                draft=options.draft,
                force_load=self.query_one("#force", Tick).value,
            )
        )

    def _options(self) -> LoadOptions | None:
        """What is chosen; None where a number is none."""
        context, layers = self.query_one("#ctx", Input).value.strip(), self.query_one("#gpu", Input).value.strip()
        is_number = context.isdecimal() and context.isascii()
        if not (is_number or context == "max") or not (not layers or layers.removeprefix("-").isdecimal()):
            return None
        return LoadOptions(
            Path(self._row.name),
            context=int(context) if is_number else "max",
            kv_type=_KV[self.query_one("#kv", Choice).value],
            lazy_ple=_LAZY[self.query_one("#lazy", Choice).value],
            gpu_layers=int(layers) if layers else None,
            draft=_DRAFT[self.query_one("#draft", Choice).value],
        )

    def _told(self) -> Content:
        options = self._options()
        if options is None:
            return Content.styled("The context is a number of tokens or max; GPU layers are a number.", POOR)
        fit = self._row.fit(options, self._there)
        if fit is None or self._row.candidate is None:
            return Content.styled("It can't be told what that takes.", POOR)
        word, colour = FITS[fit.verdict]
        there = f" of {human_bytes(self._there.available)}" if self._there.available is not None else ""
        line = f"{human_bytes(fit.need.total)}{there} with {fit.setting.context:,} tokens: "
        if fit.verdict == "yes":
            return Content.assemble(line, (word, colour))
        way = fitting.way_out(fit, self._row.candidate.model, self._there, options.gpu_layers)
        return Content.assemble(line, (word if word == "tight" else "too much", colour), f". {way}")
