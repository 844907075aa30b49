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
    with pytest.raises(
        ArgumentError, match=r"begin at element 5 of its memory, got .* and 0: the program reads its mem"
    ):
        exe(x.numpy(), y.numpy())
    with pytest.raises(ArgumentError, match="must be a torch tensor or a numpy array: the program reads its memory"):
        exe(x.tolist(), y)
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


def test_where_no_place_is_named_an_argument_may_begin_anywhere() -> None:
    class Windows(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> Any:
            return x.as_strided((3, 2), (1, 2)), x[1:].as_strided((2,), (2,)), x * 2

    exe = sw.compile(torch.export.export(Windows(), (torch.ones(4, 3),)), progress=False)
    memory = torch.randn(40)
    for x in (memory[:12].view(4, 3), memory[7:19].view(4, 3), memory[9:].as_strided((4, 3), (3, 1))):
        for got, wanted in zip(exe(x), Windows()(x), strict=True):
            torch.testing.assert_close(got, wanted, rtol=0, atol=0)
        for got, wanted in zip(exe(x.numpy()), Windows()(x), strict=True):
            np.testing.assert_array_equal(got, wanted)
    with pytest.raises(
        ArgumentError, match=r"have shape \[4, 3\] and strides \[3, 1\], got \[4, 3\], \[1, 4\]: the pro"
    ):
        exe(memory[:12].view(3, 4).t())
    with pytest.raises(ArgumentError, match=r"strides \[3, 1\], got \[4, 3\], \[10, 1\]: the program reads its memory"):
        exe(memory.view(4, 10)[:, :3].numpy())


def test_named_places_count_from_where_the_memory_begins() -> None:
    class Named(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.as_strided((3,), (2,), 1)

    exe = sw.compile(torch.export.export(Named(), (torch.ones(6),)), progress=False)
    assert exe(torch.arange(6.0)).tolist() == exe(np.arange(6, dtype="f4")).tolist() == [1, 3, 5]
    with pytest.raises(ArgumentError, match=r"begin at element 0 of its memory, got .* and 2"):
        exe(torch.arange(8.0)[2:])
