"""Distributions that are drawn by rejection: gamma, Dirichlet, Poisson and binomial, in rounds until all are accepted.

Numbers that are compared with NaN are accepted, so that NaN among the parameters comes out as NaN and ends the loop.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._higher_order_ops.while_loop import while_loop_op

from stepwell.frontends.torch.compositions import composes


def _until_accepted(
    round_: Callable[..., Sequence[Tensor]], values: Sequence[Tensor], parameters: Sequence[Tensor]
) -> Tensor:
    """Return the first of ``values`` where each element has been accepted.

    Args:
        round_: takes values and parameters, and gives what is accepted and the new values.
        values: of the first round, all of one shape.
        parameters: the same in each round.
    """
    waiting = torch.ones_like(values[0], dtype=torch.bool)

    def body(waiting: Tensor, *given: Tensor) -> list[Tensor]:
        old = given[: len(values)]
        accepted, *new = round_(*given)
        kept = [torch.where(waiting, after, before) for after, before in zip(new, old, strict=True)]
        return [waiting & ~accepted, *kept]

    found = while_loop_op(lambda waiting, *_: waiting.any(), body, (waiting, *values), tuple(parameters))
    return found[1]


def _wide(operand: Tensor) -> Tensor:
    """Return a contiguous copy, in the dtype to compute in."""
    return operand.to(torch.promote_types(operand.dtype, torch.float32)).clone(memory_format=torch.contiguous_format)


def _unit(like: Tensor) -> Tensor:
    """Return numbers in (0, 1]."""
    return 1 - torch.rand(like.shape, dtype=like.dtype, device=like.device)


@composes("aten._standard_gamma.default")
def standard_gamma(shape: Tensor, generator: None = None) -> Tensor:
    """Marsaglia and Tsang, "A simple method for generating gamma variables" (2000), which wants shapes of at least 1.

    Smaller ones are raised by one, and a power of a uniform number lowers the result again.
    """
    alpha = _wide(shape)
    d = torch.where(alpha < 1, alpha + 1, alpha) - 1 / 3

    def draw(value: Tensor, d: Tensor) -> list[Tensor]:
        x = torch.randn(d.shape, dtype=d.dtype, device=d.device)
        root = 1 + x / torch.sqrt(9 * d)
        v = root * root * root
        above = _unit(d).log() > 0.5 * x * x + d - d * v + d * v.log()
        return [~((root <= 0) | above), d * v]

    found = _until_accepted(draw, [torch.zeros_like(d)], [d])
    lowered = torch.where(alpha < 1, found * _unit(alpha) ** (1 / alpha), found).to(shape.dtype)
    return lowered.clamp(min=torch.finfo(shape.dtype).tiny)


@composes("aten._sample_dirichlet.default")
def dirichlet(concentration: Tensor, generator: None = None) -> Tensor:
    """Gamma variables, divided by their sum along the last dimension."""
    gammas = standard_gamma(_wide(concentration))
    return (gammas / gammas.sum(-1, keepdim=True)).to(concentration.dtype)


@composes("aten.poisson.default")
def poisson(rate: Tensor, generator: None = None) -> Tensor:
    """Below 10 by Knuth's products of uniform numbers, else by Hörmann's PTRS ("The transformed rejection method for
    generating Poisson random variables", 1993).
    """
    lam = _wide(rate)

    def draw(count: Tensor, product: Tensor, lam: Tensor) -> list[Tensor]:
        u, v = _unit(lam), _unit(lam)
        shorter = product * u
        ends = ~(shorter > torch.exp(-lam))
        root = torch.sqrt(lam)
        b = 0.931 + 2.53 * root
        a = 0.02483 * b - 0.059
        centred = u - 0.5
        us = 0.5 - centred.abs()
        k = torch.floor((2 * a / us + b) * centred + lam + 0.43)
        inverse = 1.1239 + 1.1328 / (b - 3.4)
        least = v.log() + inverse.log() - (a / (us * us) + b).log()
        quick = (us >= 0.07) & (v <= 0.9277 - 3.6224 / (b - 2))
        outside = (k < 0) | ((us < 0.013) & (v > us))
        fits = quick | ~(outside | (least > k * lam.log() - lam - torch.lgamma(k + 1)))
        small = lam < 10
        counted = torch.where(ends, count, count + 1)
        return [torch.where(small, ends, fits), torch.where(small, counted, k), shorter]

    found = _until_accepted(draw, [torch.zeros_like(lam), torch.ones_like(lam)], [lam])
    return torch.where(lam != lam, lam, found).to(rate.dtype)


@composes("aten.binomial.default")
def binomial(count: Tensor, prob: Tensor, generator: None = None) -> Tensor:
    """Below 10 successes by the gaps between them, else by Hörmann's BTRS ("The generation of binomial random
    variates", 1993); probabilities above one half count failures.
    """
    shape = torch.broadcast_shapes(count.shape, prob.shape)
    n, p = (_wide(item.expand(shape)).double() for item in (count, prob))
    flipped = p > 0.5
    p = torch.where(flipped, 1 - p, p)

    def draw(hits: Tensor, place: Tensor, n: Tensor, p: Tensor) -> list[Tensor]:
        u, v = _unit(n), _unit(n)
        reached = place + torch.ceil(u.log() / torch.log1p(-p))
        ends = ~(reached <= n)
        spread = torch.sqrt(n * p * (1 - p))
        b = 1.15 + 2.53 * spread
        a = 0.0248 * b - 0.0873 + 0.01 * p
        centred = u - 0.5
        us = 0.5 - centred.abs()
        k = torch.floor((2 * a / us + b) * centred + n * p + 0.5)
        quick = (us >= 0.07) & (v <= 0.92 - 4.2 / b)
        mode = torch.floor((n + 1) * p)
        scaled = (v * (2.83 + 5.1 / b) * spread / (a / (us * us) + b)).log()
        limit = (k - mode) * (p / (1 - p)).log() + _ways(n, k) - _ways(n, mode)
        fits = ~((k < 0) | (k > n) | (~quick & (scaled > limit)))
        small = n * p < 10
        counted = torch.where(ends, hits, hits + 1)
        return [torch.where(small, ends, fits), torch.where(small, counted, k), reached]

    found = _until_accepted(draw, [torch.zeros_like(n), torch.zeros_like(n)], [n, p])
    wanted = torch.where(p != p, p, torch.where(flipped, n - found, found))
    return wanted.to(count.dtype)


def _ways(n: Tensor, k: Tensor) -> Any:
    """Return the logarithm of the number of ways to pick k of n, without the term of n alone."""
    return -torch.lgamma(k + 1) - torch.lgamma(n - k + 1)
