"""What is measured with a model that reads a text; the child's part."""
