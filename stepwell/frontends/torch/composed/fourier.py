"""Discrete Fourier transforms, as products with small matrices.

A transform of size ``n`` is a product with a matrix where ``n`` is small; else ``n = first * second`` is split as
J. W. Cooley and J. W. Tukey do ("An algorithm for the machine calculation of complex Fourier series", 1965): transforms
of the columns, a turn of each element (the twiddle factors), transforms of the rows.  A large prime becomes a cyclic
convolution of a size with small factors (L. Bluestein, "A linear filtering approach to the computation of discrete
Fourier transform", 1970).

Matrices are computed in float64 from integers below ``n``, so that they are exact to the last bit or so; they depend
on sizes alone and are prepared once.  A transform is along the last dimension but one: real and imaginary part of an
element lie beside each other in dimensions ``(2, n, m)``, so that one real product does for both, and splitting ``n``
moves elements but once.  Of a real operand the dimensions are ``(1, n, m)``.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from stepwell.frontends.torch.complex_compositions import composes_complex, parts_of
from stepwell.frontends.torch.compositions import composes

# Up to here a product with the whole matrix, at the speed of matrix products, is as fast as any algorithm.
DIRECT = 32
# Primes above go by Bluestein's algorithm, which takes three transforms of more than twice the size.
DIRECT_PRIME = 128


def _turns(numbers: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return cosine and sine of ``2 pi numbers / size`` for whole numbers."""
    angle = (numbers % size).to(torch.float64) / size * (2 * math.pi)
    return angle.cos(), angle.sin()


def _matrix(size: int, sign: int, like: Tensor) -> Tensor:
    """Return the matrix (2 size, 2 size) that transforms, from the left, real parts followed by imaginary ones."""
    places = torch.arange(size, device=like.device)
    real, imaginary = _turns(places.unsqueeze(1) * places, size)
    imaginary = sign * imaginary
    left, right = torch.cat([real, imaginary], 0), torch.cat([-imaginary, real], 0)
    return torch.cat([left, right], 1).to(like.dtype)


def _turned(operand: Tensor, real: Tensor, imaginary: Tensor) -> Tensor:
    """Multiply (..., 2, *dims), or a real (..., 1, *dims), by ``real + i imaginary`` (*dims), given in float64."""
    real, imaginary = real.to(operand.dtype), imaginary.to(operand.dtype)
    place = -1 - real.dim()
    x = operand.select(place, 0)
    if operand.shape[place] == 1:
        return torch.stack([x * real, x * imaginary], place)
    y = operand.select(place, 1)
    return torch.stack([x * real - y * imaginary, x * imaginary + y * real], place)


def _factor(size: int) -> int:
    """Return the divisor nearest to the root of a size from below; 1 for a prime."""
    return next(divisor for divisor in range(math.isqrt(size), 0, -1) if size % divisor == 0)


def transform(operand: Tensor, sign: int) -> Tensor:
    """Return the transform (..., 2, n, m) of (..., 2, n, m), or of a real (..., 1, n, m), along n; unscaled."""
    planes, size, width = operand.shape[-3:]
    # A symbolic size has no known factors.
    first = _factor(size) if isinstance(size, int) else 0
    if first == 0 or size <= DIRECT or (first == 1 and size <= DIRECT_PRIME):
        matrix = _matrix(size, sign, operand)[:, : planes * size]
        if isinstance(width, int) and width == 1:
            return (operand.flatten(-3) @ matrix.t()).unflatten(-1, (2, size, 1))
        return (matrix @ operand.flatten(-3, -2)).unflatten(-2, (2, size))
    if first == 1:
        return _by_convolution(operand, sign)
    second = size // first
    # Element j = j1 * second + j2 of the operand, k = k2 * first + k1 of the result.
    columns = transform(operand.unflatten(-2, (first, second)).flatten(-2), sign).unflatten(-1, (second, width))
    places = torch.arange(first, device=operand.device).unsqueeze(1) * torch.arange(second, device=operand.device)
    real, imaginary = _turns(places, size)
    turned = _turned(columns, real.unsqueeze(-1), sign * imaginary.unsqueeze(-1))
    rows = transform(turned.transpose(-3, -2).flatten(-2), sign)
    return rows.unflatten(-1, (first, width)).flatten(-3, -2)


def _by_convolution(operand: Tensor, sign: int) -> Tensor:
    """Return the transform of a size that has no factors: jk = (j**2 + k**2 - (k - j)**2) / 2."""
    size = operand.shape[-2]
    wide = 1 << (2 * size - 2).bit_length()
    places = torch.arange(size, device=operand.device)
    # Half turns: squares are taken modulo twice the size, while they are exact.
    real, imaginary = (part.unsqueeze(-1) for part in _turns(places * places, 2 * size))
    chirp = torch.stack([real, -sign * imaginary])
    gap = chirp.new_zeros(2, wide - 2 * size + 1, 1)
    kernel = transform(torch.cat([chirp, gap, chirp[:, 1:].flip(1)], 1), -1)
    turned = _turned(operand, real, sign * imaginary)
    spectrum = transform(torch.nn.functional.pad(turned, (0, 0, 0, wide - size)), -1)
    found = transform(_turned(spectrum, *kernel.unbind(0)), 1)[..., :size, :] / wide
    return _turned(found, real, sign * imaginary)


def _scale(operand: Tensor, normalization: int, count: int) -> Tensor:
    """Scale: not at all (0), by the root of the number of elements (1), by that number (2)."""
    if normalization == 0:
        return operand
    if isinstance(count, int):
        return operand * (1 / (math.sqrt(count) if normalization == 1 else count))
    elements = torch.full((), count, dtype=operand.dtype, device=operand.device)
    return operand / (elements.sqrt() if normalization == 1 else elements)


def _transform_dims(planes: Tensor, dims: Sequence[int], sign: int) -> Tensor:
    """Transform (*shape, 2), or a real (*shape, 1), to (*shape, 2) along some dimensions of the shape, not scaled."""
    rank = planes.dim() - 1
    for dim in dims:
        place = dim % rank
        # Dimensions behind the one that is transformed are columns of one product.
        shape = planes.shape[place + 1 : -1]
        blocks = planes.movedim(-1, place)
        blocks = blocks.unsqueeze(-1) if not shape else blocks.flatten(place + 2)
        found = transform(blocks, sign)
        planes = found.reshape(*found.shape[:-1], *shape).movedim(place, -1)
    return planes


def _planes(operand: Tensor) -> Tensor:
    return torch.stack(parts_of(operand), -1)


def _from_planes(planes: Tensor) -> Tensor:
    return torch.complex(planes.select(-1, 0), planes.select(-1, 1))


@composes_complex("aten._fft_c2c.default")
def fft_c2c(operand: Tensor, dim: Sequence[int], normalization: int, forward: bool) -> Tensor:
    """Complex to complex."""
    found = _transform_dims(_planes(operand), dim, -1 if forward else 1)
    return _from_planes(_scale(found, normalization, math.prod(operand.shape[place] for place in dim)))


@composes("aten._fft_r2c.default")
def fft_r2c(operand: Tensor, dim: Sequence[int], normalization: int, onesided: bool) -> Tensor:
    """Real to complex; the last dimension listed is halved where one side is wanted."""
    *others, last = dim
    found = _transform_dims(operand.unsqueeze(-1), [last], -1)
    if onesided:
        found = found.narrow(last % operand.dim(), 0, operand.shape[last] // 2 + 1)
    found = _transform_dims(found, others, -1)
    return _from_planes(_scale(found, normalization, math.prod(operand.shape[place] for place in dim)))


@composes_complex("aten._fft_c2r.default")
def fft_c2r(operand: Tensor, dim: Sequence[int], normalization: int, last_dim_size: int) -> Tensor:
    """Complex to real; the last dimension listed holds one side of a spectrum that is its own mirror's conjugate."""
    *others, last = dim
    place, size = last % operand.dim(), last_dim_size
    planes = _transform_dims(_planes(operand), others, 1)
    half = planes.narrow(place, 0, size // 2 + 1)
    real, imaginary = half.narrow(place, 1, (size - 1) // 2).flip(place).unbind(-1)
    mirrored = torch.stack([real, -imaginary], -1)
    found = _transform_dims(torch.cat([half, mirrored], place), [place], 1).select(-1, 0)
    counts = [operand.shape[other] for other in others]
    return _scale(found, normalization, math.prod([*counts, size]))
