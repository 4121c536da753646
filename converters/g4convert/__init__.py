"""From a Hugging Face checkpoint to a GGUF in one pass: read, transform, quantize, write."""
