"""Further whole questions: other words for the same things."""

from demo.phrases import more_about, more_machine, more_options, more_use

MORE = {**more_about.MORE, **more_use.MORE, **more_options.MORE, **more_machine.MORE}
"""By the name of the intent."""

UNKNOWN = (
    "how {tall|high|old|deep|heavy|long} is {the NOUN|a NOUN|the highest NOUN|the biggest NOUN}",
    "{please |}write me {a poem|a story|a letter|a song}{ about the NOUN| about NOUN|}",
    "which {NOUN|planet|animal|country|city} is {the largest|the nearest|the fastest|near PLACE}",
    "what should i {cook|eat|wear|buy|read|watch} {today|tonight|tomorrow|}",
    "give me {the text|the words|the story|the plot} of {a song|a NOUN|a movie}",
    "who was the {first|last|greatest} {man|woman|NOUN|king} {on|in|of} {PLACE|the NOUN|the sea}",
    "how many {legs|NOUN|days|people} {does a NOUN have|are in PLACE|has a year}",
    "when {does|did|will} {the NOUN|NAME|summer} {begin|end|die|come}",
    "where {can i buy|do i find} {a NOUN|NOUN}",
    "can i {eat|wash|keep} {a NOUN|NOUN}",
    "which NOUN {should i buy|is best}",
    "what did NAME {do|say|write|invent}",
    "tell me about {NAME|PLACE|a NOUN|the NOUN}",
    "do you know {NAME|PLACE|a good NOUN|the NOUN}",
)
"""Further questions that a small model can't answer."""
