"""Fresh random inputs, with a seed that a failing test shows."""

import os
import random

import torch


class Inputs:
    """Draws tensors; the seed is new in every run unless STEPWELL_TEST_SEED fixes it, and is printed for replay."""

    def __init__(self) -> None:
        self.seed = int(os.environ.get("STEPWELL_TEST_SEED", random.SystemRandom().randrange(2**31)))
        print(f"STEPWELL_TEST_SEED={self.seed}")
        self._generator = torch.Generator().manual_seed(self.seed)

    def floats(
        self, *shape: int, dtype: torch.dtype = torch.float32, low: float = -3.0, high: float = 3.0
    ) -> torch.Tensor:
        """Return numbers drawn evenly from ``low`` to ``high``."""
        drawn = torch.rand(shape, generator=self._generator, dtype=torch.float64)
        return (drawn * (high - low) + low).to(dtype)

    def complexes(self, *shape: int, dtype: torch.dtype = torch.complex64, size: float = 2.0) -> torch.Tensor:
        """Return numbers whose parts are drawn evenly from ``-size`` to ``size``."""
        parts = [self.floats(*shape, dtype=dtype.to_real(), low=-size, high=size) for _ in range(2)]
        return torch.complex(*parts)

    def integers(self, *shape: int, dtype: torch.dtype = torch.int64, low: int = -20, high: int = 20) -> torch.Tensor:
        """Return whole numbers from ``low`` to ``high``, inclusive."""
        return torch.randint(low, high + 1, shape, generator=self._generator).to(dtype)

    def bools(self, *shape: int) -> torch.Tensor:
        """Return true and false."""
        return torch.randint(0, 2, shape, generator=self._generator).bool()

    def like(self, dtype: torch.dtype, *shape: int) -> torch.Tensor:
        """Return a plain tensor of any dtype; unsigned ones are not negative."""
        if dtype is torch.bool:
            return self.bools(*shape)
        if dtype.is_floating_point:
            return self.floats(*shape, dtype=dtype)
        if dtype.is_complex:
            return self.complexes(*shape, dtype=dtype)
        return self.integers(*shape, dtype=dtype, low=0 if dtype is torch.uint8 else -20)

    def permutation(self, size: int) -> torch.Tensor:
        """Return 0 to ``size - 1`` in random order."""
        return torch.randperm(size, generator=self._generator)
