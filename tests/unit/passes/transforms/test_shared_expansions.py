"""Expansions of math functions that kernels call, where many in line would be too much code."""

import pytest
import torch

import stepwell as sw


@pytest.mark.parametrize("count", [2, 30])
def test_many_uses_call_one_function(count: int) -> None:
    class Powers(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return sum((x ** (0.1 * (k + 1)) for k in range(count)), start=x)

    # Whole vectors, and a rest.
    x = torch.rand(3, 1009, dtype=torch.float64) + 0.5
    executable = sw.compile(sw.from_exported_program(torch.export.export(Powers(), (x,))), target="cpu")
    code = "".join(executable.asm(name) for name in executable.kernels)
    assert ("call" in code and "math_powf" in code) == (count > 2)
    torch.testing.assert_close(executable(x), Powers()(x), rtol=1e-14, atol=0)
