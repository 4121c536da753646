"""Flags that several commands share, so that they have one name, one meaning and one help text."""

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", help="demo, a name that `ls` shows, a GGUF, or a checkpoint folder.", show_default=False
    ),
]
Quant = Annotated[
    str | None,
    typer.Option(
        "--quant",
        "-q",
        metavar="NAME",
        help="Quantization for a checkpoint folder (default Q4_K_M).",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else on stdout.")]

System = Annotated[str, typer.Option("--system", "-s", metavar="TEXT", help="System prompt.", show_default=False)]
Think = Annotated[bool, typer.Option("--think/--no-think", help="Let the model think before it answers.")]
Tools = Annotated[bool, typer.Option("--tools", help="Offer all built-in tools to the model.")]
Tool = Annotated[
    list[str] | None,
    typer.Option("--tool", "-T", metavar="NAME", help="Offer this tool (repeatable).", show_default=False),
]
Folder = Annotated[
    Path, typer.Option("--folder", metavar="DIR", help="The folder that the file tools may read.", file_okay=False)
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Run tools without asking.")]

Temperature = Annotated[
    float, typer.Option("--temperature", "--temp", min=0.0, help="0 always takes the likeliest token.")
]
TopK = Annotated[int, typer.Option("--top-k", min=1)]
TopP = Annotated[float, typer.Option("--top-p", min=0.0, max=1.0)]
MinP = Annotated[float, typer.Option("--min-p", min=0.0, max=1.0)]
RepeatPenalty = Annotated[float, typer.Option("--repeat-penalty", min=0.01, help="1 is none; Gemma 4 needs none.")]
Seed = Annotated[
    int | None, typer.Option("--seed", min=0, max=2**32 - 2, help="Makes a reply repeatable.", show_default=False)
]
MaxTokens = Annotated[
    int, typer.Option("--max-tokens", "-n", min=0, help="Longest reply; 0 is as long as there is room.")
]
Context = Annotated[
    int, typer.Option("--ctx", min=0, help="Tokens of context; 0 is all that the model was trained for.")
]
Threads = Annotated[int, typer.Option("--threads", "-t", min=0, help="CPU threads; 0 takes what suits this machine.")]
GpuLayers = Annotated[int, typer.Option("--gpu-layers", min=-1, help="Layers on the GPU; -1 is all.")]
Stats = Annotated[bool, typer.Option("--stats", "--verbose", help="Tokens and speeds on stderr at the end.")]
