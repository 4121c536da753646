"""Figures that the documents quote, and how to measure them again."""
