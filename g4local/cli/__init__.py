"""The command line: each command is a function in a module of its own; errors become exit codes here.

Modules of this package import nothing heavy at the top, so that `g4local --help` is quick.
"""

import os
import sys
from typing import Annotated

import typer

from g4local import __version__
from g4local.cli import manual, output, shells
from g4local.cli.bench import bench
from g4local.cli.chat import chat
from g4local.cli.convert import convert
from g4local.cli.doctor import doctor
from g4local.cli.du import du
from g4local.cli.fit import fit
from g4local.cli.group import Group
from g4local.cli.importing import import_
from g4local.cli.measure import compare, imatrix
from g4local.cli.models import ls
from g4local.cli.packing import pack, unpack
from g4local.cli.prompt import prompt
from g4local.cli.pull import pull
from g4local.cli.quantize import quantize
from g4local.cli.quants import quants
from g4local.cli.removal import prune, rm
from g4local.cli.run import run
from g4local.cli.schema import schema
from g4local.cli.sessions import sessions
from g4local.cli.show import show
from g4local.cli.tools import tools
from g4local.cli.verify import verify
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
for command in (run, chat, pull, fit, convert, quantize, quants, imatrix, compare, bench, ls, show, doctor, prompt):
    app.command()(command)
app.command("import")(import_)
for command in (rm, prune, verify, pack, unpack, du, schema):
    app.command()(command)
for name, group in (("sessions", sessions), ("tools", tools)):
    manual.furnish(group, name)
    app.add_typer(group, name=name, epilog=manual.epilog(name))
manual.furnish(app)


def main() -> None:
    """Run the command line; the only place where an error becomes a sentence and an exit code."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    shells.prepare()
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
