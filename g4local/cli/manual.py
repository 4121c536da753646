"""What the help of each command says: its flags, then examples, then the exit codes."""

import re
from typing import Any

import typer
from typer._click.exceptions import NoSuchOption
from typer.core import TyperCommand

from g4local.core.errors import UsageError

EXIT_CODES = (
    "Exit codes: 0 ok, 1 error, 2 usage, 3 no such model, 4 unusable file or too little memory, 5 context full, "
    "6 cut off, 7 network, 130 Ctrl-C."
)

EXAMPLES: dict[str, tuple[str, ...]] = {
    "run": (
        'run demo "What can you do?"',
        'run 26b --think --tools "How many days until Christmas?"',
        'git diff | g4local run e4b -s "You review code." "What is wrong with this?"',
        "run demo --json --regex '[0-9]{3}' \"Say a number\"",
        'run demo -c "And in short?"',
        "run 26b --batch questions.jsonl -o answers.jsonl",
    ),
    "chat": ("chat demo", "chat 26b --ctx max --think", "chat -c", "chat demo --no-save < questions.txt"),
    "pull": (
        "pull 26b",
        "pull e2b:q8_0 --mmproj",
        "pull ggml-org/gemma-4-E2B-it-GGUF:q8_0",
        "pull e4b --from-checkpoint -q IQ4_XS",
    ),
    "fit": ("fit", "fit 26b --ctx 32768", "fit e2b -q Q8_0 --json"),
    "convert": (
        "convert gemma-4-E2B-it -q Q4_K_M -o e2b.gguf",
        "convert gemma-4-E4B-it -q IQ4_XS --imatrix e4b.imatrix.gguf --receipt notes.txt",
        "convert gemma-4-12b-it --plan",
    ),
    "quantize": ("quantize gemma-4-E2B-it-BF16.gguf -q Q5_K_M", "quantize big-00001-of-00002.gguf -o small.gguf"),
    "quants": ("quants",),
    "imatrix": ("imatrix gemma-4-E4B-it notes.txt letters.txt -o e4b.imatrix.gguf",),
    "compare": ("compare gemma-4-E4B-it-Q4_K_M gemma-4-E4B-it notes.txt --save",),
    "bench": ("bench demo", "bench 26b --tune", "bench e2b -p 1500 -n 64 --json"),
    "ls": ("ls", "ls --remote"),
    "show": ("show demo", "show e2b.gguf --tensors --json"),
    "doctor": ("doctor", "doctor --json"),
    "schema": ("schema", "schema run", "schema sessions show"),
    "rm": ("rm 26b", "rm gemma-4-E2B-it-Q4_K_M --dry-run"),
    "prune": ("prune --dry-run", "prune -y --json"),
    "verify": ("verify", "verify 26b"),
    "pack": ("pack 26b /media/usb/26b",),
    "unpack": ("unpack /media/usb/26b",),
    "du": ("du", "du --json"),
    "import": ("import ~/models/gemma-4-E2B-it-Q8_0.gguf", "import big-00001-of-00003.gguf --copy --name big"),
    "prompt": ("prompt messages.jsonl", "prompt - --model demo --ids < messages.jsonl"),
    "sessions": ("sessions", 'sessions search "pet pelican"', "sessions show 3f2a"),
    "sessions ls": ("sessions ls --all",),
    "sessions show": ("sessions show", "sessions show 3f2a --branches"),
    "sessions search": ("sessions search '\"pet pelican\" name'",),
    "sessions fork": ("sessions fork 3f2a --at 17",),
    "sessions replay": ("sessions replay 3f2a", "sessions replay 3f2a --at 4"),
    "sessions export": ("sessions export 3f2a > chat.md", "sessions export --all -f jsonl > chats.jsonl"),
    "sessions import": ("sessions import ~/.lmstudio/conversations chatgpt-export.zip",),
    "sessions rm": ("sessions rm 3f2a", "sessions rm --older-than 30d --dry-run"),
    "sessions backup": ("sessions backup sessions-copy.db",),
    "tools": ("tools", "tools ls 26b", "tools set read_file allow"),
    "tools ls": ("tools ls --json",),
    "tools show": ("tools show calculate",),
    "tools call": ('tools call calculate \'{"expression": "2 + 2"}\'',),
    "tools set": (
        "tools set run_shell deny",
        "tools set write_file ask --folder notes",
        "tools set clock allow --session 3f2a",
    ),
}
"""How each command may be called, behind the program's name unless that is named already."""


_TYPE = re.compile(r" <(.*)>$")
_HUGE = re.compile(r"(; )?[\d.]+<=x<=2147483647")
_RANGE = re.compile(r"([\d.]+)<=x<=([\d.]+)")


class Command(TyperCommand):
    """A command whose help has no Python types, and ranges in words."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command line; who names the model by a flag, as elsewhere, is told where it stands here."""
        try:
            return super().parse_args(ctx, args)
        except NoSuchOption as error:
            takes_model = any(each.name == "model" and each.param_type_name == "argument" for each in self.params)
            if takes_model and error.option_name in ("-m", "--model"):
                hint = f"Such as `g4local {ctx.info_name} demo`."
                raise UsageError("The model is no flag: MODEL is the first argument.", hint) from error
            raise

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments and flags, each with its help."""
        for kind, title, shown in (("argument", "Arguments", ""), ("option", "Options", r" \1")):
            records = [each.get_help_record(ctx) for each in self.get_params(ctx) if each.param_type_name == kind]
            if rows := [(_TYPE.sub(shown, name), _in_words(says)) for name, says in filter(None, records)]:
                with formatter.section(title):
                    formatter.write_dl(rows)


def furnish(app: typer.Typer, group: str = "") -> None:
    """Give all commands of an app such a help; `group` is what is typed before their names."""
    for command in app.registered_commands:
        name = command.name or getattr(command.callback, "__name__", "")
        command.cls, command.epilog = Command, epilog(f"{group} {name}".lstrip())


def epilog(command: str) -> str:
    """What a command's help ends with; click takes a paragraph that begins with \\b as it is."""
    lines = [each if "g4local " in each else f"g4local {each}" for each in EXAMPLES.get(command, ())]
    examples = ("\b", "Examples:", *(f"  {line}" for line in lines), "") if lines else ()
    return "\n".join((*examples, EXIT_CODES))


def _in_words(says: str) -> str:
    return _RANGE.sub(r"\1 to \2", _HUGE.sub("", says)).replace("x>=", "at least ")
