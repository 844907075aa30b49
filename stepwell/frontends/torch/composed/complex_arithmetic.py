"""Arithmetic and comparisons of complex tensors, of both with real ones and numbers."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from stepwell.frontends.torch.complex_compositions import Parts, composes_complex, parts_of, promoted_parts
from stepwell.frontends.torch.compositions import composes


def product(lhs: Parts, rhs: Parts) -> Parts:
    """Return the product, by the formula that torch uses: a real factor is a complex one too."""
    (a, b), (c, d) = lhs, rhs
    return a * c - b * d, a * d + b * c


def quotient(lhs: Parts, rhs: Parts) -> Parts:
    """Return the quotient by R. L. Smith's method, Algorithm 116 (1962): no square that overflows too early."""
    (a, b), (c, d) = lhs, rhs
    swap = c.abs() < d.abs()
    large, small = torch.where(swap, d, c), torch.where(swap, c, d)
    none = large == 0
    ratio = torch.where(none, 0.0, small / large)
    scale = torch.where(none, large.abs(), large + small * ratio)
    real = torch.where(swap, a * ratio + b, a + b * ratio) / scale
    imaginary = torch.where(swap, b * ratio - a, b - a * ratio) / scale
    return real, imaginary


def square_root(operand: Parts) -> Parts:
    """Return the root with a real part that is not negative (Kahan, "Branch cuts", 1987); scaled against overflow."""
    x, y = operand
    info = torch.finfo(x.dtype)
    size = torch.maximum(x.abs(), y.abs())
    up, down = size > info.max / 8, size < info.tiny * 16
    factor = torch.where(up, 1 / 16, torch.where(down, 2.0**40, 1.0)).to(x.dtype)
    back = torch.where(up, 4.0, torch.where(down, 2.0**-20, 1.0)).to(x.dtype)
    a, b = x * factor, y * factor
    root = ((a.abs() + torch.hypot(a, b)) / 2).sqrt()
    other = torch.where(root == 0, 0.0, b.abs() / (2 * root))
    right = torch.signbit(x).logical_not()
    real, imaginary = torch.where(right, root, other) * back, torch.where(right, other, root) * back
    endless = y.isinf()
    real = torch.where(endless, y.abs(), real)
    # The root of (inf, y) has no imaginary part, and that of (-inf, y) no real one, however large y is.
    imaginary = torch.where(endless, y.abs(), imaginary)
    return real, torch.copysign(imaginary, y)


@composes_complex("aten.mul.Tensor", "aten.mul.Scalar")
def mul(lhs: Any, rhs: Any) -> Tensor:
    """Multiply."""
    return torch.complex(*product(*promoted_parts(lhs, rhs)))


@composes_complex("aten.div.Tensor", "aten.div.Scalar")
def div(lhs: Any, rhs: Any) -> Tensor:
    """Divide."""
    return torch.complex(*quotient(*promoted_parts(lhs, rhs)))


@composes_complex("aten.add.Tensor", "aten.add.Scalar")
def add(lhs: Any, rhs: Any, alpha: Any = 1) -> Tensor:
    """Add ``alpha`` times the second."""
    (a, b), (c, d), *factor = promoted_parts(lhs, rhs, *([alpha] if alpha != 1 else []))
    c, d = product((c, d), factor[0]) if factor else (c, d)
    return torch.complex(a + c, b + d)


@composes_complex("aten.sub.Tensor", "aten.sub.Scalar")
def sub(lhs: Any, rhs: Any, alpha: Any = 1) -> Tensor:
    """Subtract ``alpha`` times the second."""
    (a, b), (c, d), *factor = promoted_parts(lhs, rhs, *([alpha] if alpha != 1 else []))
    c, d = product((c, d), factor[0]) if factor else (c, d)
    return torch.complex(a - c, b - d)


@composes_complex("aten.rsub.Tensor", "aten.rsub.Scalar")
def rsub(lhs: Any, rhs: Any, alpha: Any = 1) -> Tensor:
    """Subtract ``alpha`` times the first from the second."""
    (a, b), (c, d), *factor = promoted_parts(lhs, rhs, *([alpha] if alpha != 1 else []))
    a, b = product((a, b), factor[0]) if factor else (a, b)
    return torch.complex(c - a, d - b)


@composes_complex("aten.square.default")
def square(operand: Tensor) -> Tensor:
    """Multiply by itself."""
    return operand * operand


@composes_complex("aten.reciprocal.default")
def reciprocal(operand: Tensor) -> Tensor:
    """Divide one."""
    re, im = parts_of(operand)
    return torch.complex(*quotient((torch.ones_like(re), torch.zeros_like(re)), (re, im)))


@composes_complex("aten.sqrt.default")
def sqrt(operand: Tensor) -> Tensor:
    """The principal root."""
    return torch.complex(*square_root(parts_of(operand)))


@composes_complex("aten.rsqrt.default")
def rsqrt(operand: Tensor) -> Tensor:
    """One by the principal root."""
    return torch.reciprocal(torch.sqrt(operand))


@composes_complex("aten.abs.default")
def absolute(operand: Tensor) -> Tensor:
    """The length."""
    return torch.hypot(*parts_of(operand))


@composes_complex("aten.angle.default")
def angle(operand: Tensor) -> Tensor:
    """The angle in the plane."""
    re, im = parts_of(operand)
    return torch.atan2(im, re)


@composes_complex("aten.sgn.default")
def sgn(operand: Tensor) -> Tensor:
    """The number of length one in the same direction; zero of zero."""
    re, im = parts_of(operand)
    length = torch.hypot(re, im)
    zero = length == 0
    return torch.complex(*(torch.where(zero, 0.0, part / length) for part in (re, im)))


@composes("aten.polar.default")
def polar(length: Tensor, direction: Tensor) -> Tensor:
    """The number of that length and direction."""
    return torch.complex(length * direction.cos(), length * direction.sin())


@composes_complex("aten.eq.Tensor", "aten.eq.Scalar")
def eq(lhs: Any, rhs: Any) -> Tensor:
    """Both parts are equal."""
    (a, b), (c, d) = promoted_parts(lhs, rhs)
    return (a == c) & (b == d)


@composes_complex("aten.ne.Tensor", "aten.ne.Scalar")
def ne(lhs: Any, rhs: Any) -> Tensor:
    """A part differs."""
    (a, b), (c, d) = promoted_parts(lhs, rhs)
    return (a != c) | (b != d)


@composes_complex("aten.isnan.default")
def isnan(operand: Tensor) -> Tensor:
    """A part is NaN."""
    re, im = parts_of(operand)
    return re.isnan() | im.isnan()


@composes_complex("aten.isinf.default")
def isinf(operand: Tensor) -> Tensor:
    """A part is infinite."""
    re, im = parts_of(operand)
    return re.isinf() | im.isinf()


@composes_complex("aten.isfinite.default")
def isfinite(operand: Tensor) -> Tensor:
    """Both parts are finite."""
    re, im = parts_of(operand)
    return re.isfinite() & im.isfinite()


def is_nonzero(operand: Tensor) -> Tensor:
    """Return where a tensor of any dtype is not zero."""
    if not operand.dtype.is_complex:
        return operand != 0
    re, im = parts_of(operand)
    return (re != 0) | (im != 0)


@composes_complex("aten.logical_not.default")
def logical_not(operand: Tensor) -> Tensor:
    """It is zero."""
    return is_nonzero(operand).logical_not()


@composes_complex("aten.logical_and.default")
def logical_and(lhs: Tensor, rhs: Tensor) -> Tensor:
    """Neither is zero."""
    return is_nonzero(lhs) & is_nonzero(rhs)


@composes_complex("aten.logical_or.default")
def logical_or(lhs: Tensor, rhs: Tensor) -> Tensor:
    """One is not zero."""
    return is_nonzero(lhs) | is_nonzero(rhs)


@composes_complex("aten.logical_xor.default")
def logical_xor(lhs: Tensor, rhs: Tensor) -> Tensor:
    """Just one is not zero."""
    return is_nonzero(lhs) ^ is_nonzero(rhs)


@composes_complex("aten.addcmul.default")
def addcmul(operand: Tensor, lhs: Tensor, rhs: Tensor, *, value: Any = 1) -> Tensor:
    """Add a product."""
    return operand + value * lhs * rhs


@composes_complex("aten.addcdiv.default")
def addcdiv(operand: Tensor, lhs: Tensor, rhs: Tensor, *, value: Any = 1) -> Tensor:
    """Add a quotient."""
    return operand + value * lhs / rhs


@composes_complex("aten.lerp.Tensor", "aten.lerp.Scalar")
def lerp(start: Tensor, end: Tensor, weight: Any) -> Tensor:
    """Between two numbers; from the end that is nearer."""
    (re, im), *_ = promoted_parts(weight, start)
    near = torch.hypot(re, im) < 0.5
    step = end - start
    return torch.where(near, start + weight * step, end - step * (1 - weight))


@composes_complex("aten.any.default", "aten.any.dim", "aten.any.dims")
def any_nonzero(operand: Tensor, dim: int | Sequence[int] | None = None, keepdim: bool = False) -> Tensor:
    """One is not zero."""
    found = is_nonzero(operand)
    return torch.any(found) if dim is None else torch.any(found, dim, keepdim)


@composes_complex("aten.all.default", "aten.all.dim", "aten.all.dims")
def all_nonzero(operand: Tensor, dim: int | Sequence[int] | None = None, keepdim: bool = False) -> Tensor:
    """None is zero."""
    found = is_nonzero(operand)
    return torch.all(found) if dim is None else torch.all(found, dim, keepdim)


@composes_complex("aten.count_nonzero.default", "aten.count_nonzero.dim_IntList")
def count_nonzero(operand: Tensor, dim: Any = None) -> Tensor:
    """How many are not zero."""
    found = is_nonzero(operand).to(torch.int64)
    return found.sum() if dim is None else found.sum(dim)
