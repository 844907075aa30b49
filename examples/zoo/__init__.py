"""Models with random weights that examples, tests and benchmarks share; nothing is downloaded."""

from zoo.cases import CASES, SMALL_CASES, ModelCase, find

__all__ = ["CASES", "SMALL_CASES", "ModelCase", "find"]
