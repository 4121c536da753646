"""What the built-in model can be asked and what it answers, as tables; `{a|b|c}` in a text means one of these."""
