"""Floating-point arithmetic as the PTX ISA defines it, on numpy arrays."""
