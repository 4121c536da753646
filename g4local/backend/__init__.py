"""Runs a GGUF through llama.cpp, in a child process of its own."""
