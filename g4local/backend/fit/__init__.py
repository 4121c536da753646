"""What a model takes and where it goes: arithmetic, before anything is loaded and without llama.cpp."""
