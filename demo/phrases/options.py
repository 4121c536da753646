"""Flags, and output for scripts."""

from demo.phrases.intent import Intent

INTENTS = (
    Intent(
        "think",
        "thinking",
        (
            (
                "Start with --think, or type /think in a chat. Then I write a short thought before I answer; "
                "--no-think is the default."
            ),
        ),
        (
            "can you think",
            "do you {think|reason}",
            "what does --think do",
            "what is thinking {mode|}",
            "what is a thought",
            "is there a {thinking|reasoning} mode",
            "think about it",
            "what does /think do",
        ),
        tasks=(
            "{turn on|switch on|enable|use|see} {thinking|the thoughts|reasoning}",
            "make you think",
            "let you think",
            "turn off thinking",
            "see what you think",
            "hide the thoughts",
        ),
        unseen=("could you think before you answer", "where do i enable reasoning", "i'd like to see your thoughts"),
    ),
    Intent(
        "tools",
        "tools",
        (
            (
                "Start with --tools for all four tools, or --tool calculate for one. You are asked before a tool "
                "runs; --yes allows it always."
            ),
        ),
        (
            "{what|which} tools {do you have|are there|can you use|can i use|exist}",
            "can you use tools",
            "do you have tools",
            "what does --tools do",
            "what is a tool",
            "what is {tool calling|tool use|function calling}",
            "what does --yes do",
            "what does /tools do",
            "do you support {tools|function calling|tool calls}",
        ),
        tasks=(
            "{turn on|switch on|enable|use|allow} {tools|the tools|tool use|a tool}",
            "give you tools",
            "use function calling",
            "allow a tool without asking",
            "run tools without asking",
        ),
        unseen=("could you use a calculator tool", "tell me which tools exist", "how would i turn tools on"),
    ),
    Intent(
        "sampling",
        "sampling",
        (
            (
                "The defaults are Google's: --temperature 1.0, --top-k 64, --top-p 0.95. Temperature 0 always "
                "takes the likeliest token."
            ),
        ),
        (
            "what is {temperature|the temperature|top k|top p|sampling|min p}",
            "what does {--temperature|--top-k|--top-p|--temp} do",
            "which sampling settings {are there|should i use}",
            "what are the {sampling |}defaults",
            "what temperature {should i use|is best|is the default}",
        ),
        tasks=(
            "{change|set|lower|raise} the temperature",
            "set {top k|top p|the sampling}",
            "get less random answers",
            "make answers {more creative|less random|more random}",
            "change the sampling",
        ),
        unseen=("the answers are too random", "which temperature is the default one", "can the sampling be changed"),
    ),
    Intent(
        "seed",
        "seeds",
        ("Use --seed 42 (any number) and you get the same answer again. Temperature 0 needs no seed.",),
        (
            "what is {a|the} seed",
            "what does --seed do",
            "why {is the answer different|are the answers different} each time",
            "is there a seed",
            "why do you answer differently each time",
        ),
        tasks=(
            "get the same answer {again|twice|every time}",
            "set {a|the} seed",
            "make {the answer|answers|it} {repeatable|reproducible|deterministic}",
            "repeat an answer exactly",
        ),
        unseen=("i want reproducible replies", "every time i get another answer", "how would i fix the seed"),
    ),
    Intent(
        "context",
        "the context size",
        ("Use --ctx 8192 to set the context size in tokens; 0 takes all that the model allows. Mine is at most 4096.",),
        (
            "what is {the|a} context {size|window|length|}",
            "how {long|big|large} is {your|the} context {window|}",
            "what does --ctx do",
            "how many tokens can {you|the model} {remember|read|see}",
            "how much can you {remember|read}",
            "what happens when the context is full",
            "the context is full",
            "how long can {a chat|a conversation|my text} be",
        ),
        tasks=(
            "set the context size",
            "change the context {size|length}",
            "use a {longer|bigger|larger} context",
            "make the context bigger",
        ),
        unseen=(
            "it says that the context is full",
            "what is your maximum context length",
            "could the context window be larger",
        ),
    ),
    Intent(
        "max_tokens",
        "the length of answers",
        ("Use --max-tokens 200 to end an answer after 200 tokens; 0 lets it run as long as there is room.",),
        (
            "what does --max-tokens do",
            "how long can {an answer|a reply|your answers} be",
            "is there a limit to the answer",
            "why {is the answer cut|does the answer stop|was the answer cut off}",
        ),
        tasks=(
            "limit the {answer|length of an answer|reply|output}",
            "get {shorter|longer} answers",
            "set the maximum {length|tokens|number of tokens}",
            "make answers shorter",
        ),
        unseen=(
            "your replies are too long, can i limit them",
            "the maximum length of a reply",
            "cap the number of tokens",
        ),
    ),
    Intent(
        "json",
        "JSON output",
        (
            (
                'Use --json: `g4local run demo --json "Hello"` prints one JSON object with text, tool calls, '
                "usage and timing. --stream-json prints events, one a line."
            ),
        ),
        (
            "what does --json do",
            "what does --stream-json do",
            "is there {json|machine readable} output",
            "can {it|g4local} {print|write|output} json",
            "what is in the json",
        ),
        tasks=(
            "get json",
            "{get|print} {json output|output as json|the answer as json}",
            "use it in a script",
            "parse the output",
            "use g4local from {a script|python|bash}",
            "stream events",
            "get machine readable output",
        ),
        unseen=("my script needs json", "which flag prints json", "how would a program read the answer"),
    ),
    Intent(
        "exit_codes",
        "exit codes",
        (
            (
                "0 is ok, 1 an error, 2 wrong usage, 3 model not found, 4 not a usable model file, 5 context "
                "full, 130 Ctrl-C."
            ),
        ),
        (
            "what are the exit codes",
            "which exit {codes|code} {are there|does it have|do you use}",
            "what does exit code {1|2|3|4|5|130} mean",
            "what is exit code {1|2|3|4|5|130}",
            "{exit|return} codes",
            "what exit status {do i get|does it return}",
            "why did it exit with {1|2|3|4|5}",
            "explain the exit codes",
        ),
        tasks=("check for errors in a script", "see if it failed in a script", "use the exit code"),
        unseen=(
            "it ended with code 3, what is that",
            "list the return codes",
            "which code means that a model was not found",
        ),
    ),
    Intent(
        "raw",
        "the raw output",
        ("Use --raw: the prompt is taken as it is and the answer shows its special tokens.",),
        ("what does --raw do", "what is raw {mode|output}", "is there a raw mode", "can i see the special tokens"),
        tasks=(
            "see {the|} raw {output|text|reply}",
            "see the special tokens",
            "use raw mode",
            "send a raw prompt",
            "see the markup",
        ),
        unseen=("i want the unprocessed reply", "print the special tokens too", "what happens with --raw"),
    ),
    Intent(
        "cancel",
        "stopping an answer",
        ("Press Ctrl-C: it stops the answer and keeps what was said. The chat goes on.",),
        (
            "what does ctrl-c do",
            "stop",
            "can i {stop|cancel|interrupt} {an answer|you|it}",
            "you {talk|write} too much",
        ),
        tasks=(
            "stop {an answer|the answer|you|the model|it}",
            "cancel {an answer|the answer|it}",
            "interrupt {you|the model|an answer}",
            "abort an answer",
        ),
        unseen=("you won't stop writing, what can i press", "is it possible to interrupt a reply", "which key cancels"),
    ),
)
