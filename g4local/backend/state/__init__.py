"""What a model remembers of a conversation, in memory and on the disk."""
