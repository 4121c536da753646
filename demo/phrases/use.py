"""How g4local is used: its commands and the chat."""

from demo.phrases.intent import Intent

INTENTS = (
    Intent(
        "chat",
        "how to chat",
        (
            (
                "Type `g4local chat MODEL`, for example `g4local chat demo`. MODEL is demo, a GGUF file or a "
                "checkpoint folder; /bye ends the chat."
            ),
        ),
        (
            "what does g4local chat do",
            "what is the chat command",
            "what does the chat command do",
            "is there a chat {mode|command|}",
        ),
        tasks=(
            "chat",
            "start a chat",
            "chat with {a model|you|gemma|the demo model}",
            "have a conversation",
            "talk to {a model|gemma|you}",
            "open a chat",
        ),
        unseen=(
            "how would i begin a conversation with a model",
            "where do i start chatting",
            "i'd love to chat with gemma, how",
        ),
    ),
    Intent(
        "run",
        "how to ask one question",
        (
            (
                'Type `g4local run MODEL "your question"`, for example `g4local run demo "Who are you?"`. It '
                "prints the answer and ends."
            ),
        ),
        (
            "what does g4local run do",
            "what is the run command {for|}",
            "what does the run command do",
            "what is the difference between run and chat",
            "run or chat",
        ),
        tasks=(
            "ask {one|a single|just one} question",
            "run a model",
            "run {gemma|g4local|the demo model}",
            "get one answer",
            "run a prompt",
            "ask a question from the {terminal|shell|command line}",
            "use the run command",
        ),
        unseen=(
            "how is run different from chat",
            "i only want a single answer, what do i type",
            "running a prompt once",
        ),
    ),
    Intent(
        "pipe",
        "how to pipe text",
        ('Text on standard input is added to the prompt: `cat notes.txt | g4local run demo "Explain this"`.',),
        (
            "can {i|it} {pipe|read} {text|stdin|standard input}",
            "does {it|run} read {stdin|standard input}",
            "can i use {it|g4local} in a pipe",
        ),
        tasks=(
            "pipe text into it",
            "pipe a file into g4local",
            "use standard input",
            "pass a file as a prompt",
            "give it text from a file",
            "use a pipe",
            "send stdin to the model",
        ),
        unseen=("could i pipe a log file into run", "reading from stdin, does that work", "how is piped text handled"),
    ),
    Intent(
        "pull",
        "how to download a model",
        (
            (
                "Pulling models is not in this release. Download the checkpoint yourself and give its folder or a"
                " GGUF to g4local: `g4local chat ./folder`."
            ),
        ),
        (
            "where do i {get|find|download} {models|a model|gemma|gemma 4|more models}",
            "where can i {get|find|download} {models|a model|a real model|gemma}",
            "can you {download|pull} {a model|models|gemma} {for me|}",
            "does g4local pull work",
            "what does g4local pull do",
            "is there a pull command",
            "can g4local download models",
        ),
        tasks=(
            "pull a model",
            "download {a model|gemma|gemma 4|models|the 12b}",
            "get {a model|gemma|another model|a bigger model}",
            "pull {gemma|e4b|from hugging face}",
            "fetch a model",
            "download from hugging face",
        ),
        unseen=(
            "please pull gemma 4 for me",
            "how would i get a bigger model onto this machine",
            "can it fetch models from hugging face",
        ),
    ),
    Intent(
        "convert",
        "how to convert",
        (
            (
                "Type `g4local convert FOLDER -o model.gguf --quant Q4_K_M`. FOLDER is a Hugging Face checkpoint;"
                " the result is a quantized GGUF."
            ),
        ),
        (
            "what does g4local convert do",
            "what does the convert command do",
            "can {it|g4local} {convert|make} {checkpoints|a gguf|safetensors|ggufs}",
            "what is the convert command",
        ),
        tasks=(
            "convert {a model|a checkpoint|a folder|safetensors|gemma}",
            "convert {a checkpoint|safetensors|a model|a hugging face model} to {gguf|a gguf}",
            "make a gguf",
            "create a gguf {file|}",
            "turn {a checkpoint|safetensors} into a gguf",
            "use the converter",
        ),
        unseen=(
            "i have safetensors and want a gguf",
            "which command makes a gguf of a checkpoint",
            "conversion of a model, how",
        ),
    ),
    Intent(
        "quantize",
        "how to quantize",
        ("Give --quant to convert: BF16, F16, Q8_0, Q4_0 or Q4_K_M. Q4_K_M is small and good; Q8_0 is nearly exact.",),
        (
            "what is quantization",
            "what {does quantize mean|does quantized mean|is a quant}",
            "which {quant|quantization|quantizations|quants} {should i use|is best|are there|do you support|can i use}",
            "what is q4_k_m",
            "what {is|does} {q8_0|q4_0|bf16|q4_k_m} {mean|}",
            "what does --quant do",
            "which quant types {are there|exist|are supported}",
            "what is the best quant",
            "explain quantization",
        ),
        tasks=(
            "quantize {a model|gemma|it|a checkpoint}",
            "make {a model|it} smaller",
            "choose {a|the} {quant|quantization}",
            "make a q4_k_m file",
            "shrink a model",
        ),
        unseen=("the model is too large, can i quantize it", "which quantization would you take", "q8_0 or q4_k_m"),
    ),
    Intent(
        "plan",
        "the plan of a conversion",
        ("Add --plan: `g4local convert FOLDER --plan` prints what would happen to each tensor and writes nothing.",),
        (
            "what does --plan do",
            "what is the plan {of a conversion|option|}",
            "can i see {the plan|what convert will do}",
            "is there a dry run",
        ),
        tasks=(
            "see the {plan|conversion plan}",
            "see what convert {does|would do|will do}",
            "do a dry run",
            "see the tensors before converting",
            "test a conversion without writing",
        ),
        unseen=("could i preview a conversion", "show the plan of convert", "a dry run of the conversion"),
    ),
    Intent(
        "list",
        "how to list models",
        ("Type `g4local ls`. It lists the built-in demo model and the GGUFs in your models folder.",),
        (
            "which models {do i have|are installed|are here|are available|can i use}",
            "what models {do i have|are installed|are there|are on this machine}",
            "what does g4local ls do",
            "what is the ls command",
            "is there a list of {my |}models",
        ),
        tasks=(
            "list {my|all|the} models",
            "see {my|all|the} models",
            "find out which models i have",
            "list what is installed",
            "get a list of models",
        ),
        unseen=("where do i see my models", "show all the models i have", "which models does this machine have"),
    ),
    Intent(
        "show",
        "how to see what a model is",
        ("Type `g4local show MODEL`. It tells the architecture, size, quantization, context and tensors of a model.",),
        (
            "what does g4local show do",
            "what is the show command",
            "what is in {a gguf|this gguf|a model file}",
            "is there a way to inspect a {model|gguf}",
        ),
        tasks=(
            "see {details|information|the details} of a model",
            "inspect a {model|gguf}",
            "look inside a {gguf|model file}",
            "see the metadata {of a model|}",
            "see the architecture of a model",
            "get info about a model",
        ),
        unseen=("i want details about a gguf", "how would i inspect a model file", "print the metadata of a model"),
    ),
    Intent(
        "doctor",
        "what doctor does",
        ("Type `g4local doctor`. It checks Python, llama.cpp, memory and folders and says what is wrong.",),
        (
            "what does g4local doctor do",
            "what is the doctor {command|}",
            "something is {broken|wrong|not working}",
            "{it|g4local} does not {work|start|run}",
            "is my {installation|setup|system} {ok|fine|good}",
            "is everything {ok|installed|set up}",
            "i have a problem",
            "it {fails|crashes|crashed}",
        ),
        tasks=(
            "check my {installation|setup|system|machine}",
            "find {the problem|out what is wrong}",
            "test my installation",
            "use doctor",
            "fix {a problem|it|g4local}",
            "diagnose a problem",
        ),
        unseen=(
            "g4local seems broken on my machine",
            "how would i check that everything works",
            "what can doctor tell me",
        ),
    ),
    Intent(
        "prompt",
        "the prompt command",
        (
            (
                "Type `g4local prompt FILE.jsonl`. It prints the exact prompt that a model sees; with --model and"
                " --ids also its tokens."
            ),
        ),
        (
            "what does g4local prompt do",
            "what is the prompt command",
            "what does the model {really |}see",
            "what is the chat template",
            "which template {is used|do you use}",
        ),
        tasks=(
            "see the {exact |}prompt",
            "see the prompt template",
            "print the prompt",
            "see what the model sees",
            "see the token ids",
            "count tokens",
            "see the tokens {of a prompt|}",
        ),
        unseen=(
            "which exact text does the model get",
            "i want to see the token ids of a prompt",
            "what prompt is sent to the model",
        ),
    ),
    Intent(
        "system",
        "system prompts",
        (
            (
                'Use --system: `g4local chat demo --system "Answer briefly."`. I am too small to follow one well;'
                " a full Gemma 4 does."
            ),
        ),
        (
            "what is a system prompt",
            "what does --system do",
            "can i {give|set|use} a system prompt",
            "can you play a role",
            "do you support system prompts",
        ),
        tasks=(
            "set {a|the} system prompt",
            "give {you|the model|it} {instructions|a role|a personality}",
            "use a system prompt",
            "change the system prompt",
            "tell the model how to behave",
        ),
        unseen=("where does the system prompt go", "how would i give the model a role", "setting a system message"),
    ),
    Intent(
        "commands",
        "the commands",
        (
            (
                "The commands are run, chat, convert, ls, show, doctor and prompt. `g4local --help` lists them, "
                "`g4local run --help` explains one."
            ),
        ),
        (
            "{what|which} commands {are there|do you have|does g4local have|can i use|exist}",
            "list {all|the} commands",
            "what are the commands",
            "where is the {help|manual|documentation}",
            "is there a {manual|help page|documentation}",
            "show me {all|the} commands",
            "what does --help do",
        ),
        tasks=(
            "see all commands",
            "get help {on a command|for a command|}",
            "find the options {of a command|}",
            "see the options",
        ),
        unseen=("which commands does it offer", "give me the list of commands", "what can i type after g4local"),
    ),
    Intent(
        "model_argument",
        "what MODEL can be",
        (
            (
                "MODEL is demo, a name that `g4local ls` shows, a path to a GGUF, or a checkpoint folder. A "
                "folder is converted once and kept."
            ),
        ),
        (
            "what is MODEL",
            "what can {i give|i use|i write} as {a |the |}model",
            "what does MODEL mean",
            (
                "can i {use|run|load} {a gguf|my own model|my own gguf|another model|a checkpoint folder|my own "
                "checkpoint}"
            ),
            "what can MODEL be",
            "does it run {any gguf|other models|ggufs}",
            "how do i give it {a|my} model",
        ),
        tasks=(
            "use {my own|another|a different} {model|gguf}",
            "load {a gguf|a model|my gguf|a checkpoint}",
            "run {a gguf|my own gguf|a checkpoint folder}",
            "switch to another model",
            "open a gguf",
        ),
        unseen=("i have a gguf file already, how do i use it", "may MODEL be a folder", "loading my own model"),
    ),
)
