"""How people ask for something that a tool must answer; [A], [B] and other names in brackets are filled in.

`UNSEEN_...` is for the evaluation only.
"""

BINARY = {
    "+": (
        "what is [A] {plus|+|and} [B]",
        "[A] {plus|+} [B]",
        "[A]+[B]",
        "add [A] {and|to} [B]",
        "the sum of [A] and [B]",
        "how much is [A] {plus|+} [B]",
        "what do you get if you add [A] and [B]",
        "calculate [A] {plus|+} [B]",
        "can you add [A] and [B] for me",
        "compute the sum of [A] and [B]",
    ),
    "-": (
        "what is [A] {minus|-|less} [B]",
        "[A] {minus|-} [B]",
        "[A]-[B]",
        "subtract [B] from [A]",
        "take [B] away from [A]",
        "how much is [A] {minus|-} [B]",
        "the difference {of|between} [A] and [B]",
        "calculate [A] {minus|-} [B]",
        "what is left of [A] if i take away [B]",
    ),
    "*": (
        "what is [A] {times|*|x|multiplied by} [B]",
        "[A] {times|*|x} [B]",
        "[A]*[B]",
        "multiply [A] {by|with|and} [B]",
        "the product of [A] and [B]",
        "how much is [A] {times|*|x} [B]",
        "calculate [A] {times|*|x} [B]",
        "[A] boxes with [B] apples each, how many apples",
        "i buy [A] for [B] each, what do i pay",
        "can you multiply [A] and [B]",
        "compute [A] {times|*} [B]",
    ),
    "/": (
        "what is [A] {divided by|/|over} [B]",
        "[A] {divided by|/|over} [B]",
        "[A]/[B]",
        "divide [A] by [B]",
        "how much is [A] {divided by|/} [B]",
        "calculate [A] {divided by|/} [B]",
        "split [A] into [B] {equal |}parts",
        "share [A] between [B] people",
        "compute [A] {divided by|/} [B]",
    ),
}
UNSEEN_BINARY = {
    "+": ("i'd like to know [A] plus [B]", "give me the sum of [A] and [B]", "tell me how much [A] + [B] is"),
    "-": ("i'd like to know [A] minus [B]", "please subtract [B] from [A]", "tell me how much [A] - [B] is"),
    "*": ("i'd like to know [A] times [B]", "give me the product of [A] and [B]", "tell me how much [A] * [B] is"),
    "/": ("i'd like to know [A] divided by [B]", "please divide [A] by [B]", "tell me how much [A] / [B] is"),
}
EXPRESSION = (
    "what is [E]",
    "calculate [E]",
    "how much is [E]",
    "[E]",
    "[E] = ?",
    "[E] =",
    "how much are [E]",
    "what are [E]",
    "work out [E]",
    "compute [E]",
    "solve [E]",
    "evaluate [E]",
    "can you calculate [E]",
    "what does [E] make",
    "the result of [E]",
)
UNSEEN_EXPRESSION = ("i'd like to know [E]", "tell me how much [E] is", "please work out [E] for me")
PERCENT = (
    "what is [A] {percent|%} of [B]",
    "[A] {percent|%} of [B]",
    "how much is [A] {percent|%} of [B]",
    "calculate [A]% of [B]",
)
SQUARE = ("what is [A] squared", "the square of [A]", "[A] squared", "calculate the square of [A]")
_NUMBER_WORDS_WORDS = """
zero one two three four five six seven eight nine ten eleven twelve
"""
NUMBER_WORDS = tuple(_NUMBER_WORDS_WORDS.split())
FOLLOW_UP = {
    "+": ("add [B]", "plus [B]", "and plus [B]", "now add [B]", "add [B] to that", "and if i add [B]"),
    "-": ("minus [B]", "and minus [B]", "now subtract [B]", "subtract [B] from that", "take away [B]"),
    "*": ("times [B]", "and times [B]", "multiply that by [B]", "now multiply by [B]", "and [B] times that"),
    "/": ("divide that by [B]", "and divided by [B]", "now divide by [B]", "divided by [B]"),
}

TIME = (
    "what time is it {now|right now|}",
    "what's the time",
    "{can you |}tell me the time",
    "how late is it",
    "the time please",
    "do you know {the time|what time it is}",
    "current time",
    "time",
    "what is the {current |}time",
    "give me the {current |}time",
    "show {me |}the time",
    "what does the clock say",
)
UNSEEN_TIME = ("could you look at the clock", "i need to know the time", "which time is it")
DATE = (
    "what {day|date} is {it|today}",
    "what is {today's date|the date|the date today}",
    "which day is {it|today}",
    "{can you |}tell me the date",
    "today's date",
    "what day of the week is it",
    "the date please",
    "what {year|month} is it",
    "is it {monday|friday|sunday} today",
    "give me {today's date|the date}",
    "date",
)
UNSEEN_DATE = ("i need to know the date", "which date do we have today", "what is the date of today")
TIME_IN = (
    "what time is it in [C] {now|right now|}",
    "what's the time in [C]",
    "{can you |}tell me the time in [C]",
    "how late is it in [C]",
    "time in [C]",
    "what is the {current |local |}time in [C]",
    "what {day|date} is it in [C]",
    "is it {late|night|morning} in [C]",
    "the time in [C] please",
    "[C] time",
    "and in [C]",
    "what does the clock say in [C]",
    "do you know what time it is in [C]",
    "give me the time in [C]",
)
UNSEEN_TIME_IN = (
    "i need to know the time in [C]",
    "my friend in [C], what time does she have",
    "which time is it in [C]",
)

LIST = (
    "{list|show} {the|my|all|all the|} files",
    "{list|show me} {the|my|all} files {here|in this folder|}",
    "what files {are here|are there|do i have|are in this folder|can you see}",
    "which files {are here|are there|do i have|are in this folder|can you see}",
    "what is in {this|the|my} folder",
    "ls",
    "dir",
    "what do you see in {this|the} folder",
    "{can you |}list the folder",
    "show me what is {here|in this folder}",
    "look into {this|the} folder",
    "what {documents|files} are in the {current|working} folder",
    "use list_files",
)
UNSEEN_LIST = ("could you look which files are here", "i need a list of the files", "tell me what this folder has")
LIST_IN = (
    "{list|show} {the files|all files} in [D]",
    "what files are in {the folder |}[D]",
    "which files {are in|does} {the folder |}[D]{ have|}",
    "what is in {the folder |}[D]",
    "ls [D]",
    "list {the folder |}[D]",
    "look into {the folder |}[D]",
    "show me {the folder |}[D]",
    "show me what is in [D]",
    "{can you |}list [D]",
    "what does {the folder |}[D] contain",
    "and in [D]",
)
UNSEEN_LIST_IN = (
    "could you look which files are in [D]",
    "i need a list of the files in [D]",
    "tell me what the folder [D] has",
)
READ = (
    "read {the file |}[F]",
    "what is in {the file |}[F]",
    "open {the file |}[F]",
    "show {me |}{the file |}[F]",
    "what does {the file |}[F] say",
    "cat [F]",
    "{can you |}read [F] {for me|}",
    "what is the first line of [F]",
    "how does [F] {begin|start}",
    "print [F]",
    "look at [F]",
    "tell me what [F] says",
    "what's written in [F]",
    "show me the content of [F]",
    "please read [F]",
    "can you open [F]",
    "what is [F] about",
)
UNSEEN_READ = (
    "could you look into the file [F]",
    "i need to know what [F] says",
    "have a look at [F] and tell me what is in it",
)

CITIES = {
    "Africa/Cairo": "Cairo|Egypt",
    "Africa/Johannesburg": "Johannesburg|South Africa|Cape Town",
    "Africa/Lagos": "Lagos|Nigeria",
    "Africa/Nairobi": "Nairobi|Kenya",
    "America/Argentina/Buenos_Aires": "Buenos Aires|Argentina",
    "America/Bogota": "Bogota|Colombia",
    "America/Chicago": "Chicago|Texas|Dallas",
    "America/Denver": "Denver|Colorado",
    "America/Los_Angeles": "Los Angeles|San Francisco|California|Seattle",
    "America/Mexico_City": "Mexico City|Mexico",
    "America/New_York": "New York|Boston|Washington|Miami",
    "America/Sao_Paulo": "Sao Paulo|Brazil|Rio",
    "America/Toronto": "Toronto|Canada",
    "America/Vancouver": "Vancouver",
    "Asia/Bangkok": "Bangkok|Thailand",
    "Asia/Dubai": "Dubai",
    "Asia/Hong_Kong": "Hong Kong",
    "Asia/Jakarta": "Jakarta|Indonesia",
    "Asia/Kolkata": "Mumbai|Delhi|India|Kolkata",
    "Asia/Manila": "Manila",
    "Asia/Seoul": "Seoul|Korea",
    "Asia/Shanghai": "Shanghai|Beijing|China",
    "Asia/Singapore": "Singapore",
    "Asia/Tehran": "Tehran|Iran",
    "Asia/Tokyo": "Tokyo|Japan|Osaka",
    "Atlantic/Reykjavik": "Reykjavik|Iceland",
    "Australia/Melbourne": "Melbourne",
    "Australia/Sydney": "Sydney|Australia",
    "Europe/Amsterdam": "Amsterdam",
    "Europe/Athens": "Athens|Greece",
    "Europe/Berlin": "Berlin|Germany|Munich|Hamburg",
    "Europe/Brussels": "Brussels|Belgium",
    "Europe/Budapest": "Budapest|Hungary",
    "Europe/Copenhagen": "Copenhagen|Denmark",
    "Europe/Dublin": "Dublin|Ireland",
    "Europe/Helsinki": "Helsinki|Finland",
    "Europe/Istanbul": "Istanbul|Turkey",
    "Europe/Kyiv": "Kyiv|Ukraine",
    "Europe/Lisbon": "Lisbon|Portugal",
    "Europe/London": "London|England|the UK",
    "Europe/Madrid": "Madrid|Spain|Barcelona",
    "Europe/Moscow": "Moscow|Russia",
    "Europe/Oslo": "Oslo|Norway",
    "Europe/Paris": "Paris|France",
    "Europe/Prague": "Prague",
    "Europe/Rome": "Rome|Italy|Milan",
    "Europe/Stockholm": "Stockholm|Sweden",
    "Europe/Vienna": "Vienna|Austria",
    "Europe/Warsaw": "Warsaw|Poland",
    "Europe/Zurich": "Zurich|Switzerland",
    "Pacific/Auckland": "Auckland|New Zealand",
    "Pacific/Honolulu": "Honolulu|Hawaii",
    "UTC": "UTC",
}
"""The places that the model knows; each may also be named by its zone."""

_FILE_STEMS_WORDS = """
notes readme README todo main index report letter data config draft plan list log test app setup story recipe
budget ideas invoice summary diary table photo users server client model train
"""
FILE_STEMS = tuple(_FILE_STEMS_WORDS.split())
_UNSEEN_FILES_WORDS = """
meeting-minutes.txt shopping.md travel_plan.txt homework3.txt CHANGES.md contract.txt quotes.txt
birthday-list.md sales2026.csv poem.txt interview.md garden.txt essay_final.md passwords.txt weather.csv
lecture7.md backup.sh docs/guide.md src/parser.py speech.txt questions.md menu.txt phonebook.csv wedding.md
"""
UNSEEN_FILES = tuple(_UNSEEN_FILES_WORDS.split())
_FOLDERS_WORDS = """
src docs tests data images music photos notes build lib bin work projects models scripts papers
"""
FOLDERS = tuple(_FOLDERS_WORDS.split())
_UNSEEN_FOLDERS_WORDS = """
letters archive holiday2025 my-stuff src/core invoices recipes old downloads templates
"""
UNSEEN_FOLDERS = tuple(_UNSEEN_FOLDERS_WORDS.split())
_EXTENSIONS_WORDS = """
.txt .md .py .csv .json .toml .html .log .sh .yaml .c .rst .ini
"""
EXTENSIONS = tuple(_EXTENSIONS_WORDS.split())

LINES = (
    "# NOUN",
    "# The NOUN and the NOUN",
    "Dear NAME,",
    "The NOUN is in the NOUN.",
    "Buy NOUN, NOUN and NOUN.",
    "import NOUN",
    "name,age,city",
    "NAME,NUMBER,PLACE",
    "{",
    "NAME met a NOUN in PLACE.",
    "Call NAME at NUMBER.",
    "[NOUN]",
    "NOUN = NUMBER",
    "- NOUN",
    "The price of a NOUN is NUMBER.",
    "Once there was a NOUN.",
    "def NOUN(NOUN):",
    "Meeting with NAME on Monday",
    "NUMBER NOUN NUMBER NOUN",
    "TODO: paint the NOUN",
    "We need NUMBER more NOUN for the NOUN.",
    "Hello NAME, the NOUN was a great NOUN.",
    "A NOUN a day keeps the NOUN away.",
    "Version NUMBER",
    "GIBBERISH NOUN GIBBERISH",
    "All about NOUN and PLACE",
)
