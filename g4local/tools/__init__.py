"""What a model may ask to have done for it: typed functions, told to it as JSON Schema."""
