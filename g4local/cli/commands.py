"""The commands: where each is written, and what the list of all says of it."""

COMMANDS = {
    "run": ("run:run", "Ask a model once; without a question it is a chat."),
    "chat": ("chat:chat", "Talk with a model, in the app or line by line (--plain)."),
    "pull": ("pull:pull", "Download a model, or go on with a download; prints the path."),
    "fit": ("fit:fit", "Tell whether a model fits into memory here; without one, which."),
    "convert": ("convert:convert", "Turn a Gemma 4 checkpoint into a GGUF; prints the paths."),
    "quantize": ("quantize:quantize", "Quantize a GGUF that is not quantized yet; prints the path."),
    "quants": ("quants:quants", "List the quants, and how large they make models."),
    "imatrix": ("measure:imatrix", "Compute an importance matrix, which makes quants better."),
    "compare": ("measure:compare", "Compare a quantized model with what it was made of."),
    "bench": ("bench:bench", "Measure how fast a model is here: tokens a second, memory."),
    "ls": ("models:ls", "List the models that have a name here."),
    "show": ("show:show", "Show what a GGUF holds and where it comes from."),
    "doctor": ("doctor:doctor", "Check that models can run here; say where everything lies."),
    "prompt": ("prompt:prompt", "Print the exact prompt that a model sees."),
    "import": ("importing:import_", "Give GGUFs that lie elsewhere a name here; prints the paths."),
    "rm": ("removal:rm", "Remove models, with what belongs to them alone."),
    "prune": ("removal:prune", "Remove what nothing uses: half files, what lost its model."),
    "verify": ("verify:verify", "Tell whether models are what they were, by their hashes."),
    "pack": ("packing:pack", "Copy a model, with what belongs to it, into a folder to carry."),
    "unpack": ("packing:unpack", "Take the model out of a pack; prints the paths."),
    "du": ("du:du", "Show what lies where on this disk, and how much."),
    "schema": ("schema:schema", "Print the JSON Schema of a command's --json; list all."),
    "sessions": ("sessions:sessions", "List, show, find, fork, export, import or remove sessions."),
    "tools": ("tools:tools", "List, show, run, allow or deny the tools that models can use."),
}
"""By the name that is typed, in the list's order: the module and what it calls the command; its docstring's sentence.

So the list is printed without an import.
"""

ELSEWHERE = {
    **dict.fromkeys(("logs", "history", "log"), "`g4local sessions` lists the conversations that were kept."),
    **dict.fromkeys(("list", "models"), "`g4local ls` lists the models here, `g4local ls --remote` those on the hub."),
    "ps": "No model stays loaded between two commands; `g4local ls` lists the models here.",
    "version": "`g4local --version` prints it.",
    "help": "`g4local --help` lists the commands, and each has a --help of its own.",
    "serve": "g4local has no server; `g4local run --json` and `--batch` are for scripts.",
    **dict.fromkeys(("download", "get"), "`g4local pull` downloads a model."),
    **dict.fromkeys(("delete", "remove"), "`g4local rm` removes a model, `g4local sessions rm` a session."),
}
"""What other programs call what is here, or have and g4local has not: the hint for who types it."""
