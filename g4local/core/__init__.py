"""The words every other part speaks: messages, prompts, events, progress and errors (standard library only)."""
