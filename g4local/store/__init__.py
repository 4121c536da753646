"""Sessions on the disk: a tree of messages in SQLite, what can be found in it, and what comes from other programs."""
