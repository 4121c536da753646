"""A child process that answers frames: what every engine and every measure here runs in."""
