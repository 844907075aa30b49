"""Bits of floats: views as another dtype, neighbours, mantissas and exponents."""

import pytest
import torch
from harness import Case, Inputs, check_cases, import_cases

from stepwell.support.errors import ImportProgramError

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


def test_views_of_other_widths_are_refused() -> None:
    with pytest.raises(ImportProgramError, match="a view of float32 as int16, of another size"):
        import_cases([Case("narrow", lambda x: x.view(torch.int16), [torch.zeros(4)])])


def _finite_parts(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    mantissa, exponent = torch.frexp(x)
    # Exponents of what is not finite are whatever the C library leaves.
    return mantissa, torch.where(x.isfinite(), exponent, 0)
