"""Functions of the bits of floats: neighbours, and mantissas with exponents."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from stepwell.frontends.torch.compositions import composes


@dataclass(frozen=True)
class _Layout:
    """How a float is stored: in which integer dtype, with how many bits of mantissa, with which exponent's bias."""

    integer: torch.dtype
    mantissa: int
    bias: int


_LAYOUTS = {
    torch.float64: _Layout(torch.int64, 52, 1023),
    torch.float32: _Layout(torch.int32, 23, 127),
    torch.float16: _Layout(torch.int16, 10, 15),
    torch.bfloat16: _Layout(torch.int16, 7, 127),
}


@composes("aten.nextafter.default")
def nextafter(operand: Tensor, towards: Tensor) -> Tensor:
    """The neighbour of each element on the way to another: its bits as an integer, one more or one less."""
    dtype = torch.promote_types(operand.dtype, towards.dtype)
    x, y = torch.broadcast_tensors(operand.to(dtype), towards.to(dtype))
    x, y = x.contiguous(), y.contiguous()
    layout = _LAYOUTS[dtype]
    bits = x.view(layout.integer)
    outwards = (x < y) == (x > 0)
    moved = torch.where(outwards, bits + 1, bits - 1).view(dtype)
    least = torch.ones_like(bits).view(dtype)
    # A step from zero; as bits, for tiny numbers may count as zero in arithmetic.
    zero = (bits << 1) == 0
    step = torch.where(y > 0, least.view(layout.integer), least.view(layout.integer) | torch.iinfo(layout.integer).min)
    moved = torch.where(zero, step, moved.view(layout.integer)).view(dtype)
    return torch.where(x.isnan() | y.isnan(), math.nan, torch.where(x == y, y, moved))


@composes("aten.frexp.Tensor")
def frexp(operand: Tensor) -> tuple[Tensor, Tensor]:
    """Mantissas from 1/2 to 1 and exponents, exactly; zeros, infinities and NaN come back with exponent zero."""
    dtype, layout = operand.dtype, _LAYOUTS[operand.dtype]
    shift = layout.mantissa + 2
    field = (1 << (8 * dtype.itemsize - 1 - layout.mantissa)) - 1
    whole = operand.contiguous()
    exponent = (whole.view(layout.integer) >> layout.mantissa) & field
    # What has no leading bit of its own gets one by a multiplication that is exact.
    small = exponent == 0
    scaled = torch.where(small, whole * 2.0**shift, whole).view(layout.integer)
    exponent = (scaled >> layout.mantissa) & field
    bits = (scaled & ~(field << layout.mantissa)) | ((layout.bias - 1) << layout.mantissa)
    plain = (operand == 0) | operand.isinf() | operand.isnan()
    power = exponent.to(torch.int32) - (layout.bias - 1) - torch.where(small, shift, 0).to(torch.int32)
    return torch.where(plain, operand, bits.view(dtype)), torch.where(plain, 0, power)
