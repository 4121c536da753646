"""This machine: its cores, its memory, and whether it survives llama.cpp."""
