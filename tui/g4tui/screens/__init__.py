"""What fills the terminal: a screen connects workers and widgets."""
