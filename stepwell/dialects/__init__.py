"""Custom dialects, one folder each."""
