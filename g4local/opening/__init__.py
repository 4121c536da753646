"""From what a person asked for to a conversation with a model: what every front end begins with."""
