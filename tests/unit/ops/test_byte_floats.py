"""Floats of 8 bits: every code, casts from and to every dtype, what else torch does with them, artifacts."""

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from harness import Case, Inputs, check_cases, compile_to_test
from harness.execution import DEVICE
from torch.nn import functional

import stepwell as sw

BYTES = (torch.float8_e4m3fn, torch.float8_e5m2)
FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool)
# Halfway between neighbours, the ends of the ranges, and what lies beyond.
EDGES = [np.nan, np.inf, -np.inf, -0.0, 464.0, 464.1, 480.0, 57344.0, 61439.9, 61440.0, 2.0**-10, 2.0**-17, 2.0**-18]


class _Casts(torch.nn.Module):
    def forward(self, codes: list[torch.Tensor], others: list[torch.Tensor]) -> list[torch.Tensor]:
        widened = [code.to(dtype) for code in codes for dtype in (*FLOATS, *BYTES, torch.bool)]
        bits = [code.view(torch.uint8) + 1 for code in codes]
        return widened + bits + [other.to(dtype) for other in others for dtype in BYTES]


def _same(found: torch.Tensor, wanted: torch.Tensor) -> bool:
    if found.dtype is not wanted.dtype or found.shape != wanted.shape:
        return False
    # As float64, which holds all of them, signs of zeros included; NaN is NaN.
    pairs = [tensor.double().numpy() for tensor in (found, wanted)]
    return np.array_equal(*pairs, equal_nan=True) and np.array_equal(*map(_signs, pairs))


def _signs(array: Any) -> Any:
    return np.signbit(np.where(np.isnan(array), 0, array))


def _codes(dtype: torch.dtype) -> torch.Tensor:
    return torch.arange(256, dtype=torch.uint8).view(dtype)


def _every_input() -> list[torch.Tensor]:
    draw = Inputs()
    halves = torch.arange(65536, dtype=torch.int32).to(torch.int16)
    spread = draw.floats(3000, dtype=torch.float64) * 2.0 ** draw.integers(3000, low=-20, high=18)
    wide = torch.cat([spread, torch.tensor(EDGES, dtype=torch.float64)])
    integers = [draw.integers(300, low=-70000, high=70000).to(dtype) for dtype in INTEGERS]
    return [wide, wide.float(), halves.view(torch.float16), halves.view(torch.bfloat16), *integers]


def test_casts_of_every_code() -> None:
    """All 256 codes to all dtypes, and all values of 16 bits and many of 32 and 64 bits to both formats."""
    arguments = ([_codes(dtype) for dtype in BYTES], _every_input())
    model = _Casts()
    found = compile_to_test(torch.export.export(model, arguments))(*arguments)
    for number, (got, wanted) in enumerate(zip(found, model(*arguments), strict=True)):
        assert _same(got, wanted), f"result {number}, {wanted.dtype}"


def test_codes_as_integers() -> None:
    cases = []
    for dtype in BYTES:
        codes = _codes(dtype)
        # Of NaN and infinities no integer is right.
        finite = codes[codes.float().isfinite()]
        cases += [Case(f"{dtype} to {to}", lambda x, to=to: x.to(to), [finite]) for to in INTEGERS[:3]]
        small = finite[finite.float().abs() < 100]
        cases += [Case(f"{dtype} to {to}", lambda x, to=to: x.to(to), [small]) for to in INTEGERS[3:]]
    check_cases("shape", cases)


@pytest.mark.parametrize("dtype", BYTES, ids=str)
def test_what_torch_does_with_them(dtype: torch.dtype) -> None:
    draw = Inputs()
    x, y = (draw.floats(4, 6).to(dtype) for _ in range(2))
    codes, places, mask = _codes(dtype).reshape(16, 16), torch.tensor([2, 0, 2]), draw.bools(4, 6)
    cases = [
        Case("cat", lambda x, y: torch.cat([x, y], 1), [x, y]),
        Case("stack", lambda x, y: torch.stack([x, y]), [x, y]),
        Case("permute", lambda x: x.reshape(2, 2, 6).permute(2, 0, 1).contiguous(), [x]),
        Case("flip and roll", lambda x: x.flip(0).roll(2, 1), [x]),
        Case("slices", lambda x: x[1:, ::2], [x]),
        Case("pad", lambda x: functional.pad(x, (1, 2), value=1.5), [x]),
        Case("expand", lambda x: x[:, None].expand(4, 3, 6).clone(), [x]),
        Case("index", lambda x, i: x[i], [x, places]),
        Case("index_select", lambda x, i: x.index_select(1, i), [x, places]),
        Case("index_put", lambda x, i, y: x.index_put((i[:2],), y[:2]), [x, places, y]),
        Case("embedding", lambda i, x: functional.embedding(i, x), [places, x]),
        Case("where", torch.where, [mask, x, y]),
        Case("full", lambda x: (torch.full_like(x, 1.3), torch.zeros_like(x)), [x]),
        Case("eq", lambda x: (x == x, x != x.flip(0), x == 0), [codes]),
        Case("isnan", torch.isnan, [codes]),
        Case("copy", lambda x, y: x.clone().copy_(y.float()), [x, y]),
    ]
    check_cases("shape", cases)


def test_scaled_products() -> None:
    draw = Inputs()
    left, right = draw.floats(16, 32).to(BYTES[0]), draw.floats(48, 32).to(BYTES[0]).t()
    one, rows, columns = draw.floats(1, low=0.5), draw.floats(16, 1, low=0.5), draw.floats(1, 48, low=0.5)
    bias = draw.floats(48, dtype=torch.bfloat16)

    def number(x: torch.Tensor, y: torch.Tensor, s: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch._scaled_mm(x, y, s, s, bias=b, out_dtype=torch.bfloat16)

    def lines(x: torch.Tensor, y: torch.Tensor, s: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return torch._scaled_mm(x, y, s, t, out_dtype=torch.bfloat16)

    for function, scales in ((number, (one, bias)), (lines, (rows, columns))):
        arguments = (left, right, *scales)
        model = _Function(function)
        (found,) = compile_to_test(torch.export.export(model, arguments))(*arguments)
        (wanted,) = model(*arguments)
        assert found.dtype is torch.bfloat16
        torch.testing.assert_close(found, wanted, rtol=2**-7, atol=1e-2)


class _Function(torch.nn.Module):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, *arguments: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (self.function(*arguments),)


class _Weighted(torch.nn.Module):
    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return functional.linear(x, self.weight.to(x.dtype)), self.weight.t()


@pytest.mark.parametrize("dtype", BYTES, ids=str)
def test_artifacts_and_numpy(dtype: torch.dtype, tmp_path: Path) -> None:
    """Weights of 8 bits are saved, loaded and given back; numpy's arrays of them have ml_dtypes' types."""
    draw = Inputs()
    x, model = draw.floats(3, 8), _Weighted(draw.floats(5, 8).to(dtype))
    executable = compile_to_test(torch.export.export(model, (x,)))
    path = tmp_path / "weighted.sw"
    executable.save(path)
    product, weight = sw.load(path, device=DEVICE)(x.numpy())
    assert weight.dtype == getattr(ml_dtypes, str(dtype).removeprefix("torch."))
    assert np.array_equal(weight.view(np.uint8), model.weight.t().contiguous().view(torch.uint8).numpy())
    np.testing.assert_allclose(product, model(x)[0].numpy(), rtol=1e-5, atol=1e-5)


def test_simulated_gpu() -> None:
    """Both ways for every code, and for what lies between and beyond."""
    codes = [_codes(dtype) for dtype in BYTES]
    wide = torch.cat([code.float() for code in codes]) * 1.03

    def function(x: torch.Tensor, y: torch.Tensor, w: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return x.float(), y.to(torch.bfloat16), w.to(BYTES[0]), w.to(BYTES[1]), torch.cat([x[7:], x])

    model = _Function(function)
    arguments = (*codes, wide)
    executable = compile_to_test(torch.export.export(model, arguments), "sim")
    for found, wanted in zip(executable(*arguments)[0], model(*arguments)[0], strict=True):
        assert _same(found, wanted)
