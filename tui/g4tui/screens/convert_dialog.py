"""Which checkpoint becomes a GGUF, and in which quant; what would be written is shown before it is."""

from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Button, Select, Static

from g4convert.recipes import RECIPES
from g4local import library
from g4local.core.units import human_bytes
from g4local.core.visible import in_one_line
from g4tui.screens.dialog import Dialog, field
from g4tui.tones import BAD, MUTED, POOR
from g4tui.widgets.choice import Tick
from g4tui.widgets.path_picker import PathPicker
from g4tui.workers import models
from g4tui.workers.models import Conversion

if TYPE_CHECKING:
    from g4convert.plan import Plan


class ConvertDialog(Dialog[Conversion]):
    """The answer is a conversion whose plan was shown."""

    def __init__(self, begin: Path) -> None:
        super().__init__("Convert a checkpoint", "Convert")
        self._begin = begin
        self._folder: Path | None = None
        self._planned: Conversion | None = None

    def fields(self) -> ComposeResult:
        """The folder, the quant, and the plan."""
        yield PathPicker(self._begin, "")
        names = [(Content(name), name) for name in RECIPES]
        recipe = Select(names, value=library.DEFAULT_RECIPE, allow_blank=False, id="recipe", compact=True)
        yield field("quant", recipe)
        yield Tick("a second file for images and sound, where it has towers", value=True, id="towers")
        yield Static("Choose a folder that holds config.json and *.safetensors.", id="told", markup=False)

    def on_mount(self) -> None:
        """Nothing can be converted yet."""
        self.query_one("#yes", Button).disabled = True

    @on(PathPicker.Picked)
    def _picked(self, event: PathPicker.Picked) -> None:
        self._folder = event.path
        self._plan()

    @on(Select.Changed)
    @on(Tick.Changed)
    def _plan(self) -> None:
        """Have it planned as things stand."""
        self._planned = None
        self.query_one("#yes", Button).disabled = True
        recipe = self.query_one("#recipe", Select).value
        if self._folder is None or not isinstance(recipe, str):
            return
        self._say(Content("Planning …"))
        wanted = Conversion(self._folder, recipe, self.query_one("#towers", Tick).value)
        job = partial(models.plan, self, wanted)
        self.run_worker(job, thread=True, group="plan", exclusive=True, exit_on_error=False)

    @on(models.Planned)
    def _show(self, event: models.Planned) -> None:
        wanted = event.conversion
        if (wanted.folder, wanted.recipe) != (self._folder, self.query_one("#recipe", Select).value):
            return  # another one is being planned by now
        self._planned = wanted
        self._say(_told(event))
        self.query_one("#yes", Button).disabled = False
        self.query_one("#yes").focus()

    @on(models.NotDone)
    def _refuse(self, event: models.NotDone) -> None:
        error = event.error
        self._say(Content.assemble(("✗ ", BAD), in_one_line(error.message), (f" {error.hint}", MUTED)))

    def _say(self, content: Content) -> None:
        self.query_one("#told", Static).update(content)

    def accept(self) -> None:
        """Close with what was planned."""
        if self._planned:
            self.dismiss(self._planned)


def _told(planned: models.Planned) -> Content:
    lines = [*_table(planned.conversion.name, planned.plan)]
    if planned.towers:
        lines += ["", *_table(f"towers, {planned.towers.recipe.name}", planned.towers)]
    text = Content("\n".join(in_one_line(line) for line in lines))
    warnings = [Content.styled(f"! {in_one_line(warning)}", POOR) for warning in planned.warnings]
    return Content("\n").join([text, *warnings])


def _table(name: str, plan: "Plan") -> Iterator[str]:
    """The tensors of a plan by type, the type with the most bytes first."""
    counts, sizes = Counter[str](), Counter[str]()
    for tensor in plan.tensors:
        counts[tensor.type.name] += 1
        sizes[tensor.type.name] += tensor.nbytes
    yield f"{name}: {len(plan.tensors)} tensors, {human_bytes(plan.nbytes)}"
    for kind, nbytes in sizes.most_common():
        yield f"  {kind:<8}{counts[kind]:>5} tensors  {human_bytes(nbytes):>9}"
