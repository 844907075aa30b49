"""Graphs that ``torch.compile`` captured: options, partition, calls."""
