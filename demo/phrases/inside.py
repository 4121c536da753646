"""What can be done inside a chat."""

from demo.phrases.intent import Intent

INTENTS = (
    Intent(
        "slash",
        "commands in the chat",
        ("In a chat you can type /set, /think, /tools, /clear, /help and /bye.",),
        (
            "what can i type in {a|the} chat",
            "{what|which} {slash commands|chat commands} {are there|do you have|exist}",
            "what does /{set|help} do",
            "what commands work in the chat",
            "what are the {slash|chat} commands",
        ),
        tasks=(
            "change settings in {the|a} chat",
            "get help in the chat",
            "set an option in the chat",
            "use slash commands",
        ),
        unseen=(
            "the list of slash commands",
            "which commands may i use while chatting",
            "i am in a chat, what can i enter",
        ),
    ),
    Intent(
        "quit",
        "leaving a chat",
        ("Type /bye or /exit, or press Ctrl-D.",),
        ("how do i get out of here", "let me out", "what does /{bye|exit} do", "is there an exit command"),
        tasks=(
            "{leave|exit|quit|end|close} {the chat|a chat|this|g4local|the program}",
            "get out {of here|of the chat|}",
            "quit",
            "exit",
        ),
        unseen=("i am done, how is the chat closed", "how would i leave this conversation", "quitting the chat"),
    ),
    Intent(
        "clear",
        "starting again",
        ("Type /clear: the chat starts again from nothing.",),
        (
            "what does /clear do",
            "forget {everything|it|all that|what i said}",
            "start {over|again}",
            "can you forget {everything|what i said}",
        ),
        tasks=(
            "{clear|reset|restart} {the chat|the conversation|everything}",
            "start over",
            "begin a new {chat|conversation}",
            "make you forget {everything|it}",
            "delete the conversation",
        ),
        unseen=("i'd like a fresh conversation", "wipe this chat", "how would i make you forget this"),
    ),
    Intent(
        "multiline",
        "several lines",
        ('Begin with """ and end with """: everything in between is one message.',),
        (
            "can i {write|paste|send|type} {several|many|more} lines",
            "can a message have {several|more than one} lines",
            'what does """ do',
        ),
        tasks=(
            "{write|paste|send|enter|type} {several lines|many lines|more than one line|a long text|multiple lines}",
            "write a multi-line message",
            "paste {code|a text}",
            "add a line break",
        ),
        unseen=(
            "my message has three lines, how do i enter it",
            "pasting a long text into the chat",
            "multiline input",
        ),
    ),
    Intent(
        "history",
        "the memory of chats",
        (
            (
                "Within a chat I see what was said before, as far as my context goes. In this release a chat is "
                "not kept when it ends."
            ),
        ),
        (
            "do you remember {me|our last chat|what i said yesterday|earlier chats}",
            "are {chats|conversations|my chats} {saved|kept|stored}",
            "where {are|is} {my chats|the history|my conversations} {saved|kept|stored|}",
            "is there a {history|chat history}",
            "will you remember this {tomorrow|later}",
        ),
        tasks=(
            "save {a|the|my} {chat|conversation}",
            "continue {a|my|the last} {chat|conversation}",
            "see {old|earlier} chats",
            "open the last conversation",
        ),
        unseen=("tomorrow, will you still know me", "can i go on with yesterday's chat", "does it store conversations"),
    ),
)
