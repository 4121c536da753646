"""Small talk, and what a small model can't know."""

from demo.phrases.intent import Intent

INTENTS = (
    Intent(
        "hello",
        "a greeting",
        (
            "Hello! I am g4local's demo model. Ask me how to chat, convert a model or use tools.",
            "Hi! Ask me anything about g4local.",
        ),
        (
            "hello",
            "hi",
            "hey",
            "good {morning|evening|day|afternoon}",
            "hello {there|you|friend|my friend|demo|model|g4local|gemma}",
            "hi {there|you|friend|demo|gemma|again}",
            "hey {there|you}",
            "greetings",
            "howdy",
            "yo",
            "hola",
            "hallo",
            "bonjour",
            "test",
            "say {hello|hi}",
            "nice to meet you",
            "hello world",
            "is anybody there",
            "ping",
        ),
        unseen=("oh hello again", "hi hi", "good evening to you", "hey my friend"),
    ),
    Intent(
        "thanks",
        "thanks",
        ("You are welcome!", "Glad to help."),
        (
            "{thanks|thank you} {a lot|so much|very much|for your help|}",
            "thx",
            "ty",
            "great{, thanks| thanks|}",
            "cool{, thanks| thanks|}",
            "ok {thanks|thank you}",
            "that {helps|helped|was helpful|is helpful|works}{, thanks|}",
            "many thanks",
            "perfect",
            "nice",
            "awesome",
            "cheers",
            "well done",
        ),
        unseen=("thank you, that was good", "thanks my friend", "ok great, thank you very much"),
    ),
    Intent(
        "bye",
        "a goodbye",
        ("Goodbye! /bye ends the chat.", "See you! Type /bye to end the chat."),
        (
            "bye",
            "goodbye",
            "bye bye",
            "see you {later|soon|tomorrow|}",
            "good night",
            "{i have to|i must|i need to} go {now|}",
            "cya",
            "farewell",
            "that {is|was} all",
            "ciao",
            "until next time",
            "have a {nice|good} {day|evening}",
        ),
        unseen=("ok bye for now", "see you next time", "goodbye my friend"),
    ),
    Intent(
        "how_are_you",
        "how I am",
        ("I am fine, all 6 million parameters of me. How can I help you with g4local?",),
        (
            "how are you {today|doing|}",
            "how is it going",
            "how do you do",
            "how do you feel",
            "are you {ok|fine|well|happy|sad|tired|bored}",
            "what's up",
            "how was your day",
            "sup",
            "how are things",
            "are you feeling well",
        ),
        unseen=("hello, how are you doing today", "and how are you", "is everything fine with you"),
    ),
    Intent(
        "joke",
        "a joke",
        ("Why did the model cross the road? It was the likeliest next token.",),
        (
            "tell me {a|another|one} joke",
            "{do you know|know} {a joke|any jokes|jokes}",
            "make me laugh",
            "say something funny",
            "joke",
            "can you tell {me |}{a joke|jokes}",
            "be funny",
            "i want to hear a joke",
            "got a joke",
        ),
        unseen=("do you have a joke for me", "please say something funny to me", "one more joke"),
    ),
    Intent(
        "praise",
        "praise",
        ("Thank you! That is a lot for a model of my size.",),
        (
            "you are {great|good|cool|nice|smart|clever|the best|cute|awesome|amazing|funny|sweet}",
            "i {like|love} {you|g4local|this}",
            "good {bot|job|model|answer|boy|work}",
            "that is {impressive|amazing}",
            "you are so {smart|small and cute|nice|clever}",
        ),
        unseen=("i think you are really good", "what a good model you are", "i love this program"),
    ),
    Intent(
        "blame",
        "a complaint",
        ("Sorry about that. I am only a small demo model; a full Gemma 4 in g4local does much better.",),
        (
            "you are {stupid|dumb|bad|wrong|useless|silly|terrible|not very smart}",
            "that {is|was} {wrong|not right|nonsense|a bad answer|bad|not true|not what i asked}",
            "i {hate|don't like} {you|this|it}",
            "bad {bot|answer|model}",
            "this is {stupid|useless|bad|nonsense|wrong}",
            "you did not understand {me|}",
            "no, that's wrong",
            "wrong",
            "you don't know anything",
            "are you stupid",
            "why are you so {dumb|stupid|bad}",
        ),
        unseen=("your answer is wrong", "you are really not good at this", "what a stupid answer"),
    ),
    Intent(
        "okay",
        "nothing in particular",
        ("Good. What else would you like to know about g4local?",),
        (
            "ok",
            "okay",
            "yes",
            "no",
            "sure",
            "fine",
            "i see",
            "aha",
            "hm",
            "alright",
            "got it",
            "understood",
            "maybe",
            "yeah",
            "right",
            "never mind",
            "nothing in particular",
            "and now",
            "so what",
        ),
        unseen=("ok i see", "yes ok", "alright then"),
    ),
    Intent(
        "meaning",
        "the meaning of life",
        ("42, they say. I only know g4local.",),
        (
            "what is the meaning of {life|everything|it all}",
            "why are we here",
            "what is the answer to everything",
            "do you believe in god",
            "what is life",
            "are you {alive|conscious|sentient}",
            "do you have {feelings|a soul|emotions|dreams}",
            "do you dream",
        ),
        unseen=("tell me the meaning of life", "do you have a consciousness or feelings", "what is it all for"),
    ),
)

UNKNOWN = Intent(
    "unknown",
    "something that I don't know",
    (
        (
            "I don't know that: I am a small demo model that only knows g4local. A full Gemma 4 can tell you: "
            "`g4local chat ./folder`."
        ),
        (
            "That is beyond a demo model of 6 million parameters. Give g4local a full Gemma 4 for it: `g4local "
            "chat ./folder`."
        ),
    ),
    (
        "what is {NOUN|a NOUN|the NOUN}",
        "who {invented|discovered|wrote|painted|was} {NOUN|the NOUN}",
        "{tell me|write|make up} a {story|poem|song|tale} about {a NOUN|NOUN}",
        (
            "write {a poem|an essay|an email|a letter|a story|a song|some code|a python program|a function}{ "
            "about a NOUN|}"
        ),
        "{what is|what's} the capital of PLACE",
        "how far is {PLACE|the moon|the sun}",
        "where is PLACE",
        "how many people live in PLACE",
        "who is the {president|king|queen|mayor} of PLACE",
        "translate {this|NOUN|hello|a NOUN} {to|into} {french|german|spanish|chinese|english|italian}",
        "how do i {cook|bake|grow|build|repair|sell|draw} {a NOUN|NOUN}",
        "what is the weather {like|today|tomorrow|in PLACE}",
        "will it rain {today|tomorrow|in PLACE}",
        "what happened {in 1492|in 1789|yesterday|last year|in PLACE}",
        "who won the {world cup|election|game|match|race}",
        "why is the {sky|sea|grass|NOUN} {blue|green|red|so big}",
        "explain {NOUN|quantum physics|relativity|how a NOUN works|evolution}",
        "give me {a recipe for NOUN|advice about NOUN|a list of NOUN|an idea for a NOUN}",
        "summarize {this text|a book|the news|my day}",
        "what do you think about {NOUN|PLACE|politics|football}",
        "do you like {NOUN|PLACE|music|football}",
        "can you {sing|dance|swim|drive|fly|cook|play chess}",
        "what is my {name|age|address|password|job}",
        "how old {am i|is the NOUN|is PLACE}",
        "who is {NAME|my NOUN}",
        "when was {NAME|the NOUN} {born|invented|built}",
        "what does a NOUN {eat|do|cost|look like}",
        "is {NOUN|a NOUN} {healthy|dangerous|expensive|good for me}",
        "fix {this|my} {code|bug|program|NOUN}",
        "NOUN",
        "NOUN NOUN",
        "what color is {a|the} NOUN",
        "recommend {a book|a movie|a NOUN|a restaurant in PLACE}",
        "should i {buy|sell|eat} {a NOUN|NOUN}",
        "what is the {best|largest|smallest|fastest} {NOUN|NOUN in PLACE}",
        "what's the {news|latest news|price of NOUN}",
        "i {feel|am} {sad|tired|hungry|ill|bored|lonely}",
        "my name is NAME",
        "i live in PLACE",
        "GIBBERISH",
        "GIBBERISH GIBBERISH GIBBERISH",
    ),
    unseen=(
        "how tall is the highest mountain",
        "please write me a poem about autumn leaves",
        "which planet is nearest to the sun",
        "what should i cook tonight",
        "give me the lyrics of a song",
        "who was the first man on the moon",
    ),
)

TASKS_WITH_TEXT = (
    "Explain this",
    "summarize this",
    "what is this",
    "Translate this",
    "Is this correct?",
    "fix this",
    "what does this mean?",
    "explain:",
)
"""Asked of a text that follows."""

_NOUNS_WORDS = """
apple banana horse castle piano river mountain whale bicycle bread cheese coffee computer garden guitar kitchen
lamp lion museum ocean parrot pencil pizza planet potato rabbit rocket salad ship shoe snake soup spider star
table tiger tomato tractor train tree umbrella volcano window wolf dragon elephant diamond engine football gold
hammer island jacket knife ladder magnet needle onion pirate queen robot spoon tower violin wizard zebra bird
cat dog fish cake car chair clock cloud cow desert doctor door egg fire flower forest fox ghost glass hat house
ice insect king lake leaf letter moon mouse music novel painting paper phone rain rice ring road rose salt
school science sea snow stone storm sugar sun teacher tea telescope theatre tooth universe vaccine virus water
weather wine winter atom bridge brain
"""
NOUNS = tuple(_NOUNS_WORDS.split())
_PLACES_WORDS = """
Paris London Berlin Rome Madrid Vienna Oslo Lisbon Athens Cairo Nairobi Lagos Tokyo Beijing Seoul Delhi Mumbai
Jakarta Sydney Toronto Chicago Boston Texas Brazil Peru Chile Mexico Canada France Germany Italy Spain Poland
Sweden Norway Finland Greece Turkey Egypt Kenya India China Japan Korea Australia Iceland Ireland Portugal
Austria Hungary
"""
PLACES = tuple(_PLACES_WORDS.split())
_NAMES_WORDS = """
Anna Ben Clara David Emma Felix Grace Hugo Ida Jack Kate Leo Maria Nina Oscar Paul Rosa Sam Tina Victor Einstein
Newton Mozart Shakespeare Napoleon Picasso Darwin Curie Plato Caesar
"""
NAMES = tuple(_NAMES_WORDS.split())
