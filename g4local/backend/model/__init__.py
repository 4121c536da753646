"""A model's files: checked, told apart from all others, and loaded."""
