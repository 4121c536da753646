"""What is asked of llama.cpp and ggml beyond what llama-cpp-python offers."""
