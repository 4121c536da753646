"""How a reply is said, token by token, and what it may be."""
