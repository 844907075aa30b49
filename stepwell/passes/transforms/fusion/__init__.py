"""How ops are grouped to kernels: the analyses and rules behind ``linalg-fuse``."""
