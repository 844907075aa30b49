"""The greatest common divisor and the least common multiple of whole numbers."""

import torch
from torch import Tensor

from stepwell.frontends.torch.compositions import composes

# Euclid's algorithm takes the most steps for neighbours in Fibonacci's sequence: bits of a dtype to the steps.
_STEPS = {8: 14, 16: 25, 32: 48, 64: 94}


def _euclid(first: Tensor, second: Tensor) -> Tensor:
    dtype = first.dtype
    # Sizes are taken in the dtype: the least number has none, and keeps its sign as in torch.
    a, b = first.abs(), second.abs()
    for _ in range(_STEPS[torch.iinfo(dtype).bits]):
        divisor = torch.where(b == 0, 1, b)
        a, b = torch.where(b == 0, a, b), torch.where(b == 0, b, torch.fmod(a, divisor))
    return a


@composes("aten.gcd.default")
def gcd(first: Tensor, second: Tensor) -> Tensor:
    """Euclid's algorithm, as many steps as the dtype can need."""
    dtype = torch.promote_types(first.dtype, second.dtype)
    return _euclid(*torch.broadcast_tensors(first.to(dtype), second.to(dtype)))


@composes("aten.lcm.default")
def lcm(first: Tensor, second: Tensor) -> Tensor:
    """The product by the greatest common divisor; zero where either is."""
    dtype = torch.promote_types(first.dtype, second.dtype)
    a, b = torch.broadcast_tensors(first.to(dtype), second.to(dtype))
    divisor = _euclid(a, b)
    safe = torch.where(divisor == 0, 1, divisor)
    return torch.where(divisor == 0, 0, torch.div(a, safe, rounding_mode="trunc") * b).abs()
