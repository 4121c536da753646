"""What g4local is, who answers, and what it needs."""

from demo.phrases.intent import Intent

INTENTS = (
    Intent(
        "who",
        "who I am",
        (
            (
                "I am g4local's built-in demo model, a tiny Gemma 4 with 6 million parameters. I know g4local and"
                " not much else."
            ),
            "I'm the demo model that ships with g4local: 6 million parameters, made to show how g4local works.",
        ),
        (
            "who are you",
            "what are you",
            "what is your name",
            "what's your name",
            "{tell me|say something} about yourself",
            "who am i talking to",
            "what model {are you|is this|am i talking to}",
            "which model are you",
            "are you {chatgpt|gemma|a robot|an ai|a human|a person|google|real|gpt}",
            "introduce yourself",
            "do you have a name",
            "who is this",
            "are you a {real|language|big|small} model",
        ),
        unseen=(
            "hi, who is there",
            "what should i call you",
            "can you tell me who you are",
            "so what model do i have here",
        ),
    ),
    Intent(
        "size",
        "my size",
        ("I have 6 million parameters: about a thousandth of the smallest real Gemma 4.",),
        (
            "how {big|large|small} are you",
            "how many parameters do you have",
            "what is your size",
            "how many {weights|parameters} {does this model have|are in this model}",
            "what's your parameter count",
            "are you a small model",
            "how big is {this model|the demo model|the built-in model}",
            "what is the size of {this|the demo} model",
        ),
        unseen=(
            "tell me your number of parameters",
            "how large is this demo model",
            "parameters: how many have you got",
        ),
    ),
    Intent(
        "maker",
        "who made me",
        ("The g4local project trained me from scratch on made-up conversations. Gemma 4 itself is by Google.",),
        (
            "who {made|built|created|trained|wrote|programmed} you",
            "who is your {maker|creator|author}",
            "where do you come from",
            "what were you trained on",
            "how were you {trained|made}",
            "what is your training data",
            "did google {make|train} you",
            "who developed you",
            "are you made by google",
        ),
        unseen=("which people built you", "what data were you trained on", "who was it that trained you"),
    ),
    Intent(
        "abilities",
        "what I can do",
        (
            (
                "I answer questions about g4local, think if you want it, and use four tools: calculate, clock, "
                "list_files and read_file."
            ),
        ),
        (
            "what can you do",
            "what can i ask {you|}",
            "what are you able to do",
            "what do you know",
            "how can you help {me|}",
            "help",
            "help me",
            "what are your {abilities|skills|features}",
            "what should i ask {you|}",
            "what are you {good at|good for|useful for}",
            "can you help me",
            "what is possible {here|with you}",
            "i need help",
        ),
        unseen=(
            "which things can you do for me",
            "what kind of questions can you answer",
            "tell me what you are good at",
        ),
    ),
    Intent(
        "what",
        "what g4local is",
        (
            (
                "g4local runs Gemma 4 models on your own machine: it converts a checkpoint to a quantized GGUF, "
                "and you chat with it in the terminal."
            ),
        ),
        (
            "what is g4local",
            "what's g4local",
            "what does g4local do",
            "{tell me|explain} {about |what is |}g4local",
            "what is this {program|tool|software|project|thing|app}",
            "what can g4local do",
            "what is g4local {for|good for|about}",
            "what is the purpose of g4local",
            "describe g4local",
            "what am i using",
            "what does this {program|tool|software|app} do",
            "give me an overview of g4local",
            "why should i use g4local",
        ),
        unseen=("explain to me what g4local does", "g4local, what is that", "in a few words, what is this project"),
    ),
    Intent(
        "gemma",
        "Gemma 4",
        (
            (
                "Gemma 4 is Google's family of open models: E2B, E4B, 12B, 26B-A4B and 31B. g4local runs them on "
                "your own machine."
            ),
        ),
        (
            "what is gemma {4|}",
            "what is a gemma {model|}",
            "what does gemma mean",
            "tell me about gemma {4|}",
            "who made gemma {4|}",
            "which {gemma models|gemma 4 models|models of gemma} {are there|exist}",
            "what sizes {does gemma 4 have|are there|of gemma 4 exist}",
            "what models are in the gemma 4 family",
            "explain gemma 4",
        ),
        unseen=("what exactly is gemma 4", "what are the sizes of gemma 4", "is gemma a family of models"),
    ),
    Intent(
        "which_model",
        "which model fits a machine",
        (
            (
                "Quantized, E2B takes about 4 GB of memory, E4B 6, 12B 9, 26B-A4B 18 and 31B 21. Take the largest"
                " that fits well; E4B suits most laptops."
            ),
        ),
        (
            "which model {should i use|is best|do you recommend|should i take|should i choose}",
            "which model {fits|is good for|runs on|suits} my {laptop|computer|machine|pc}",
            "which gemma {should i use|is the best|is right for me|do i need}",
            "what model {should i run|is best|do i need} {on my laptop|for my laptop|with 16 gb|with 8 gb of memory|}",
            "can i run {the 31b|the 12b|the 26b|e4b|e2b} on my {laptop|computer|machine}",
            "how much {ram|memory} {do i need|does it need|does a model need|is needed}",
            "what are the memory requirements",
            "is {8|16|32} gb {of ram|of memory|} enough",
            "best model for a {small|slow|normal|old} {laptop|computer}",
            "how much memory does {12b|e4b|e2b|31b|the 26b} {need|take|use}",
            "what can i run with {8|16|24|32|64} gb",
        ),
        unseen=(
            "my laptop has 16 gb, which model do you recommend",
            "how much ram would the 12b need",
            "recommend a model for my computer",
        ),
    ),
    Intent(
        "licence",
        "the licence",
        ("g4local and I are under the Apache 2.0 licence. Google's Gemma 4 models are under Apache 2.0 too.",),
        (
            "what is {the|your|its} {licence|license}",
            "which {licence|license} {does g4local have|do you have|is it under}",
            "is {g4local|it|this} {free|open source|free software}",
            "can i use {it|g4local|this} {for work|commercially|at work|in my company}",
            "how much does {it|g4local} cost",
            "do i have to pay",
            "what is the {licence|license} of {gemma|gemma 4|the models|g4local}",
            "is it open source",
        ),
        unseen=("under which license is g4local", "does g4local cost money", "is this program free to use at work"),
    ),
    Intent(
        "offline",
        "working offline",
        ("Yes, g4local works offline. A model runs on your own machine and nothing needs the network.",),
        (
            "does {g4local|it|this} work {offline|without internet|without the internet|without a network}",
            "can i use {g4local|it|this} {offline|without internet|on a plane|without network}",
            "do i need {internet|the internet|a connection|a network|to be online}",
            "is {internet|a network|a connection} {needed|required}",
            "can it run offline",
            "will it work on a plane",
            "does it need {internet|the internet|a network|the cloud}",
            "are you online",
            "can you {search|access|use} the {internet|web}",
        ),
        tasks=("use it offline", "work offline", "run a model without internet"),
        unseen=(
            "i have no internet here, does it still work",
            "is an internet connection required",
            "offline use possible",
        ),
    ),
    Intent(
        "privacy",
        "privacy",
        ("Yes, it is private: everything stays on your machine. g4local sends nothing anywhere.",),
        (
            "is {it|g4local|this|my data} {private|safe|secure}",
            "do you {send|share|upload|sell} my {data|messages|chats|words}",
            "who can {read|see} {my messages|my chats|what i write|my data}",
            "where does my data go",
            "is my data sent {anywhere|to google|to the cloud|to a server}",
            "do you {spy on me|collect data|track me}",
            "what about {privacy|my privacy|my data}",
            "does g4local {collect|send|share} {data|my data}",
            "is there telemetry",
            "does anyone see my chats",
        ),
        unseen=("does anything leave my computer", "will google see my messages", "how private is this chat"),
    ),
    Intent(
        "requirements",
        "what g4local needs",
        ("g4local needs Linux or macOS, Python 3.11 or later, make and a C++ compiler. No GPU is needed.",),
        (
            "what {are the requirements|do i need to install it|does g4local need}",
            "which python {version|} {do i need|is needed|does it need|is required}",
            "what python version {do i need|does g4local need|is needed}",
            "does {it|g4local} run on {linux|mac|macos|a mac|windows|my mac}",
            "which operating systems {are supported|work|does it run on}",
            "is {windows|linux|macos} supported",
            "system requirements",
            "do i need a {compiler|c++ compiler|special computer}",
            "can i use python 3.{10|11|12|13}",
        ),
        unseen=("what must be installed first", "which version of python does it want", "will this run on macos"),
    ),
    Intent(
        "gpu",
        "the GPU",
        (
            (
                "A GPU is not needed. If llama.cpp was built for yours, g4local uses it; --gpu-layers 0 keeps "
                "everything on the CPU."
            ),
        ),
        (
            "{do i need|does it need|does g4local need} a {gpu|graphics card}",
            "can {it|g4local} use {my|the|a} {gpu|graphics card|nvidia card}",
            "does {it|g4local} {run on|support|use} {a gpu|the gpu|gpus|cuda|metal|my gpu}",
            "what does --gpu-layers do",
            "is {cuda|a gpu|metal|my gpu} {supported|used|needed}",
            "what about {gpus|my gpu|gpu support}",
            "does it work without a gpu",
        ),
        tasks=("use my gpu", "use the gpu", "run it on the gpu", "turn off the gpu", "set the gpu layers"),
        unseen=("i have no graphics card, is that a problem", "will my nvidia gpu be used", "gpu support"),
    ),
    Intent(
        "speed",
        "speed",
        ("A smaller model or a stronger quantization such as Q4_K_M is faster. --stats shows the tokens per second.",),
        (
            "how fast {is it|is g4local|are you|will it be}",
            "why is it {so |}slow",
            "it is {too |very |so |}slow",
            "how many tokens per second {do i get|}",
            "is it fast",
            "what does --stats {do|show}",
            "the model is {too |}slow",
            "why does it take so long",
        ),
        tasks=("make it faster", "speed it up", "see the speed", "measure the speed", "get more tokens per second"),
        unseen=("my answers come slowly", "how can it be made faster", "where do i see tokens per second"),
    ),
)
