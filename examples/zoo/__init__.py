"""Models with random weights that examples, tests and benchmarks share; nothing is downloaded."""

from zoo.cases import CASES, ModelCase, find

__all__ = ["CASES", "ModelCase", "find"]
