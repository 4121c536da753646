"""g4local: quantized Gemma 4 on one's own machine."""

__version__ = "0.1.0"
