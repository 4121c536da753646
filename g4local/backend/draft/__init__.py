"""Tokens guessed ahead, so that several are checked in one batch."""
