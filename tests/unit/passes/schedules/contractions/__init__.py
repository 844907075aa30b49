"""Contraction kernels as text, and what they must compute."""
