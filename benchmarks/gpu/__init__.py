"""Speed on an NVIDIA GPU against torch: ``make bench-gpu``, or ``python -m benchmarks.gpu``."""
