"""Judges the compiler by torch's own database of ops and sample inputs; ``python -m conformance`` runs it."""
