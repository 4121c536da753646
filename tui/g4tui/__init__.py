"""The Textual app: it shows what a conversation says and owns no rules of its own."""
