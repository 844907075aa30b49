"""stepwell: PyTorch exported programs, lowered step by step through MLIR to machine code."""

__version__ = "0.1.0"
