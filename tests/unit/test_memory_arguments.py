"""Programs that read the memory around an argument: ``as_strided`` counts from where it begins."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import stepwell as sw
from stepwell.support.errors import ArgumentError, ImportProgramError


class Around(torch.nn.Module):
    """Reads before its argument, behind it, in the gaps of it, and the argument itself."""

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> Any:
        before, behind = x.as_strided((2, 3), (1, 2), 0), x.as_strided((4,), (2,), 17)
        return before, behind, x.as_strided((2, 2), (1, 2)), x + y, x.t() @ y


class Returns(torch.nn.Module):
    """Returns its argument, and reads before it."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x, x.as_strided((2,), (1,), 0)


def _view(memory: torch.Tensor) -> torch.Tensor:
    return memory[5:21].view(4, 4)[:, :3]


def _memory(dtype: torch.dtype) -> torch.Tensor:
    return torch.randn(30, dtype=dtype) if dtype.is_floating_point or dtype.is_complex else torch.randint(99, (30,))


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.complex64, torch.bfloat16])
def test_places_in_the_memory_of_an_argument(dtype: torch.dtype, tmp_path: Path) -> None:
    y = _memory(dtype)[:12].view(4, 3)
    exe = sw.compile(torch.export.export(Around(), (_view(_memory(dtype)), y)), progress=False)
    exe.save(tmp_path / "around.swx")
    for program in (exe, sw.load(tmp_path / "around.swx")):
        x = _view(_memory(dtype))
        for got, wanted in zip(program(x, y), Around()(x, y), strict=True):
            assert got.dtype is dtype and got.shape == wanted.shape
            torch.testing.assert_close(got, wanted, rtol=0.02 if dtype is torch.bfloat16 else 1e-5, atol=1e-5)


def test_arguments_that_lie_in_other_ways() -> None:
    x, y = _view(torch.randn(30)), torch.randn(4, 3)
    exe = sw.compile(torch.export.export(Around(), (x, y)), progress=False)
    with pytest.raises(ArgumentError, match="must be a torch tensor: the program reads the memory around it"):
        exe(x.numpy(), y.numpy())
    lies = r"strides \[4, 1\], and begin at element 5 of its memory, got \[4, 3\], \[3, 1\] and 0: the program reads"
    with pytest.raises(ArgumentError, match=lies):
        exe(x.contiguous(), y)
    with pytest.raises(ArgumentError, match="'x' must be a view of at least 24 elements, got 22"):
        exe(_view(torch.randn(22)), y)
    with pytest.raises(ArgumentError, match="dtype"):
        exe(_view(torch.randn(30).double()), y)
    assert np.isfinite(exe(x, y)[0].numpy()).all()


def test_arguments_that_are_results_too_are_refused() -> None:
    with pytest.raises(ImportProgramError, match="as_strided"):
        sw.from_exported_program(torch.export.export(Returns(), (_view(torch.randn(30)),)))


def test_places_outside_of_the_memory() -> None:
    class Outside(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[3:].as_strided((2,), (9,))

    exe = sw.compile(torch.export.export(Outside(), (torch.ones(4, 5),)), progress=False)
    with pytest.raises(ArgumentError, match="at least 25 elements, got 20"):
        exe(torch.ones(4, 5))
    assert exe(torch.arange(30.0)[:20].view(4, 5)).tolist() == [15.0, 24.0]
