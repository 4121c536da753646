"""The first line of the models screen: for which context is reckoned, and what there is to run models on."""

from textual.content import Content
from textual.widgets import Static

from g4local.backend.fit.fitting import Resources
from g4local.core import offline
from g4local.core.units import human_bytes
from g4tui.tones import MUTED


class ModelsHeading(Static):
    """One line."""

    def __init__(self) -> None:
        super().__init__("Models  looking …", markup=False)

    def show(self, context: int, there: Resources, counts: tuple[int, int], left: int) -> None:
        """Show for how many tokens memory is reckoned, what can be had, how many models of all are shown.

        And how many bytes of unfinished files there are.
        """
        shown, total = counts
        count = f"{shown}" if shown == total else f"{shown} of {total}"
        parts = [count, f"context {context:,} (+ -)"]
        if there.available is not None:
            parts.append(f"{human_bytes(there.available)} memory")
        parts += [f"{human_bytes(gpu.free_bytes)} of {gpu.name}" for gpu in there.gpus]
        if left:
            parts.append(f"{human_bytes(left)} unfinished")
        if offline.is_on():
            parts.append("offline")
        self.update(Content.assemble(("Models ", "bold"), (" · ".join(parts), MUTED)))
