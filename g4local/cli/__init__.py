"""The command line: each command is a function in a module of its own; errors become exit codes here.

Modules of this package import nothing heavy at the top, so that `g4local --help` is quick.
"""

import os
import sys
from typing import Annotated

import typer

from g4local import __version__
from g4local.cli import coercion, manual, output, shells
from g4local.cli.group import Group
from g4local.core import offline
from g4local.core.errors import Cancelled, G4Error

_BROKEN_PIPE = 141
"""What a shell reports for a program that wrote into a pipe which nobody reads any more."""

app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line; the only place where an error becomes a sentence and an exit code."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    shells.prepare()
    coercion.prepare()
    try:
        app()
    except G4Error as error:
        output.error(error.message, error.hint)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        raise SystemExit(Cancelled.exit_code) from None
    except output.OutputLost as lost:
        _forget_stdout()
        if lost.reason:
            output.error(f"The answer can't be written: {lost.reason}.", "Check where stdout goes.")
        raise SystemExit(G4Error.exit_code if lost.reason else _BROKEN_PIPE) from None


def _forget_stdout() -> None:
    """Keep Python from writing what is left for stdout at its end, and from complaining that it can't."""
    if sys.stdout:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _go_offline(wanted: bool) -> None:
    if wanted:
        offline.enforce()


def _print_version(wanted: bool) -> None:
    if wanted:
        output.line(f"g4local {__version__}")
        raise typer.Exit


@app.callback(epilog=manual.EXIT_CODES)
def _global_options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
    offline: Annotated[
        bool,
        typer.Option(
            "--offline",
            callback=_go_offline,
            is_eager=True,
            expose_value=False,
            envvar=offline.VARIABLE,
            help="Make every network connection impossible.",
        ),
    ] = False,
) -> None:
    """Run Google's Gemma 4 on this machine. Try: g4local run demo "What can you do?" """
