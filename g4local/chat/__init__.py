"""One turn of a conversation: the prompt, the reply and the loop between them."""
