"""Tools of MCP servers. Only `config` is light: the others import the SDK, which takes most of a second."""
