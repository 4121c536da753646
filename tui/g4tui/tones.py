"""Colours of text within a line, where a stylesheet does not reach; each is a theme's own."""

MUTED = "$foreground 60%"
"""For what is said beside something else; $text-muted depends on what is behind it, which stylesheets know alone."""
GOOD, POOR, BAD = "$text-success", "$text-warning", "$text-error"
"""For what is as it should be, is tight or waits, or is wrong; always beside a word that says so."""
