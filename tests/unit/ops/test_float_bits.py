"""Bits of floats: views as another dtype, neighbours, mantissas and exponents."""

import pytest
import torch
from harness import Case, Inputs, check_cases

import stepwell as sw

_DTYPES = (torch.float64, torch.int64, torch.float32, torch.int32, torch.bfloat16, torch.int16, torch.int8, torch.uint8)
_EDGES = [0.0, -0.0, 1.0, -1.0, 2.0, 0.5, torch.inf, -torch.inf, torch.nan]


def test_bits() -> None:
    draw = Inputs()
    cases = []
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        info = torch.finfo(dtype)
        x = torch.cat(
            [draw.floats(30, dtype=dtype), torch.tensor([*_EDGES, info.tiny, info.tiny / 4, info.max], dtype=dtype)]
        )
        y = x[draw.permutation(x.shape[0])]
        cases.append(Case(f"nextafter-{dtype}", torch.nextafter, [x, y]))
        cases.append(Case(f"frexp-{dtype}", _finite_parts, [x]))
    cases += [
        Case("as-integer", lambda x: x.view(torch.int32), [draw.floats(3, 4)]),
        Case("as-float", lambda x: x.view(torch.float16).clone(), [draw.integers(3, 4, dtype=torch.int16, low=0)]),
        Case("as-signed", lambda x: x.view(torch.int8), [draw.integers(5, dtype=torch.uint8, low=0, high=255)]),
    ]
    check_cases("shape", cases)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("source", _DTYPES)
def test_views_of_other_widths(source: torch.dtype, dynamic: bool) -> None:
    targets = [dtype for dtype in _DTYPES if dtype.itemsize != source.itemsize]

    class Views(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
            return [part for dtype in targets for part in (x.view(dtype), x.transpose(0, 1)[1:].view(dtype))]

    def numbers(*shape: int) -> torch.Tensor:
        """Any bytes: NaN keep theirs, too."""
        width = shape[-1] * source.itemsize
        return Inputs().integers(*shape[:-1], width, dtype=torch.uint8, low=0, high=255).view(source)

    rows, numbers_of_eight = torch.export.Dim("rows"), 8 * torch.export.Dim("eighths")
    program = torch.export.export(
        Views(), (numbers(3, 4, 16),), dynamic_shapes=({0: rows, 2: numbers_of_eight},) if dynamic else None
    )
    executable = sw.compile(program, progress=False)
    for shape in ((3, 4, 16), (5, 4, 24), (1, 4, 88)) if dynamic else ((3, 4, 16),):
        x = numbers(*shape)
        for found, wanted in zip(executable(x), Views()(x), strict=True):
            assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
            assert torch.equal(_bytes(found), _bytes(wanted))


def _bytes(x: torch.Tensor) -> torch.Tensor:
    return x.contiguous().view(torch.uint8)


def _finite_parts(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    mantissa, exponent = torch.frexp(x)
    # Exponents of what is not finite are whatever the C library leaves.
    return mantissa, torch.where(x.isfinite(), exponent, 0)
