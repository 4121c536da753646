"""Places on the disk, installing and removing, formats, and what runs underneath."""

from demo.phrases.intent import Intent

INTENTS = (
    Intent(
        "places",
        "where files live",
        (
            (
                "`g4local doctor` shows the folders. Set G4LOCAL_HOME to keep models, cache and logs in one "
                "folder of your choice."
            ),
        ),
        (
            "where {are|do} {my |the |}{models|files} {stored|live|kept|saved|}",
            "where {is|are} {my models|the models folder|the cache|the logs|the files|the log|the settings}",
            "what is G4LOCAL_HOME",
            "what does G4LOCAL_HOME do",
            "which folder {does it use|are models in|is used}",
            "where does g4local {keep|store|put|save} {things|models|its files|files}",
            "where do converted models go",
            "in which folder are the {models|logs}",
        ),
        tasks=(
            "change the {models folder|folder|cache folder}",
            "move {my|the} models",
            "find the {logs|models folder|cache|log file}",
            "store models on another disk",
            "keep models somewhere else",
        ),
        unseen=(
            "which directory holds the logs",
            "can i put the models onto another disk",
            "on which place of my disk are the files",
        ),
    ),
    Intent(
        "uninstall",
        "removing g4local",
        (
            (
                "Delete the folder of g4local, with its .venv, and the folders that `g4local doctor` shows. "
                "Nothing else is left."
            ),
        ),
        (
            "what does it leave behind",
            "how do i get rid of {it|g4local}",
            "is there an uninstaller",
        ),
        tasks=(
            "{uninstall|remove|delete} {g4local|it|this|the program}",
            "free {disk space|space|my disk}",
            "delete {a model|the cache|all models|the models}",
            "remove {a model|the cache|everything}",
        ),
        unseen=(
            "i no longer want g4local, how do i remove it",
            "is uninstalling easy",
            "everything of it should go from my disk",
        ),
    ),
    Intent(
        "install",
        "installing g4local",
        (
            (
                "In the folder of g4local type `make demo`. It sets up everything by itself; the first time takes"
                " some minutes."
            ),
        ),
        (
            "what does make demo do",
            "what does make test do",
            "how long does the {installation|setup} take",
            "is it easy to install",
            "why does the first start take so long",
        ),
        tasks=("{install|set up} {g4local|it|this}", "get started", "start", "begin", "build it", "try it"),
        unseen=("i am new here, how do i set it up", "what is the first step", "installation instructions"),
    ),
    Intent(
        "version",
        "the version",
        ("Type `g4local --version`.",),
        (
            "{what|which} version {is this|do i have|of g4local is this|am i using|is installed}",
            "what is the version",
            "is this the latest version",
            "version",
        ),
        tasks=(
            "see {the|my|which} version {i have|}",
            "find out the version",
            "check the version",
            "print the version",
        ),
        unseen=("tell me the version of g4local", "which release is this", "my version number"),
    ),
    Intent(
        "formats",
        "file formats",
        ("g4local reads Hugging Face checkpoints (safetensors) and GGUF files, and writes GGUF.",),
        (
            "which {formats|file formats|files} {does it read|are supported|can it read|do you support}",
            "what is {a |}gguf {file|}",
            "what is {a |}safetensors {file|}",
            "what is a checkpoint",
            "does it {read|support|write} {safetensors|gguf|pytorch files|onnx}",
            "what file format {does it use|do i need|is used}",
            "what does gguf mean",
        ),
        unseen=("which kinds of files may i give to it", "can it open safetensors", "explain the gguf format"),
    ),
    Intent(
        "media",
        "images and sound",
        ("Not in this release, which is text only. And I am too small to see or hear.",),
        (
            "can you {see|read|describe|understand} {images|pictures|an image|a photo|photos|videos}",
            "can you {hear|understand} {audio|sound|music|me|speech}",
            "do you support {images|audio|video|vision|pictures}",
            "can you {draw|paint|make} {a picture|an image|pictures|something}",
            "does g4local {support|read} {images|audio|vision|video}",
        ),
        tasks=(
            "send {an image|a picture|a photo|audio|a video}",
            "use images",
            "attach {an image|a picture|a photo}",
            "show you a picture",
        ),
        unseen=("may i give you a photo", "is vision supported", "i have an image for you"),
    ),
    Intent(
        "server",
        "a server",
        ("There is no server in this release. Scripts use `g4local run --json`.",),
        (
            "is there {a server|an api|a rest api|an http server|a web interface|a web ui}",
            "does it have {a server|an api|an openai api|a web interface|a gui}",
            "can i use it {over the network|from another machine|in the browser|with the openai api}",
            "do you have an api",
        ),
        tasks=("start {a|the} server", "use the api", "serve a model", "open it in the browser", "call it over http"),
        unseen=("i want an http api", "could other machines talk to it", "running it as a server"),
    ),
    Intent(
        "threads",
        "CPU threads",
        ("Use --threads 4, or leave it out: 0 takes what suits this machine.",),
        (
            "how many {threads|cores|cpus} {does it use|are used|should i use}",
            "what does --threads do",
            "does it use all {cores|cpus|threads|my cores}",
            "why is my {cpu|fan} so {busy|loud}",
        ),
        tasks=(
            "set the {threads|number of threads|number of cores}",
            "use {more|fewer|less|all} {threads|cores}",
            "limit the cpu {use|usage|}",
            "change the threads",
        ),
        unseen=("could it use fewer cores", "the number of cpu threads", "my computer gets hot and loud"),
    ),
    Intent(
        "crash",
        "crashes",
        (
            (
                "The model runs in a process of its own. If that dies, you get an error, your chat stays, and the"
                " next message starts it again."
            ),
        ),
        (
            "what happens when {it|the model|llama.cpp|the engine} {crashes|dies}",
            "what {if|happens if} the model {crashes|dies}",
            "is my chat lost {after a crash|when it crashes|}",
            "why is there a {second|child|worker} process",
            "does a crash end the chat",
        ),
        unseen=("suppose the engine dies, is everything lost", "will a crash kill my chat", "what about crashes"),
    ),
    Intent(
        "llamacpp",
        "llama.cpp",
        (
            (
                "llama.cpp does the computing: g4local converts the model, writes the prompt and reads the "
                "answer, llama.cpp runs it."
            ),
        ),
        (
            "what is llama.cpp",
            "do you use llama.cpp",
            "{is g4local|is this} {the same as|like} {ollama|llama.cpp|lm studio}",
            "what {runs|computes|is behind} {the model|it}",
            "how does {g4local|it|this} work",
            "which engine {is used|do you use|does it use}",
            "what is the difference {to|between g4local and} {ollama|llama.cpp|lm studio}",
        ),
        unseen=("is llama.cpp inside", "how does it all work inside", "which inference engine runs the models"),
    ),
)
