"""The CUDA driver: its library, a GPU, and what lives on it."""
