"""How the model that ships with g4local is made: its shape, words, training and evaluation (development only)."""
