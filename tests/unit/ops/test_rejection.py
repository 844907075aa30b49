"""Distributions drawn by rejection: moments and shares against those of the theory."""

from typing import Any

import torch
from torch import Tensor

import stepwell as sw

COUNT = 20_000


class Program(torch.nn.Module):
    """Draws from each distribution."""

    def forward(self, rates: Tensor, shapes: Tensor, counts: Tensor, probs: Tensor) -> Any:
        return (
            torch.poisson(rates),
            torch._standard_gamma(shapes),
            torch.binomial(counts, probs),
            torch._sample_dirichlet(shapes),
        )


RATES = torch.tensor([0.3, 3.0, 9.9, 10.0, 50.0, 1000.0])
SHAPES = torch.tensor([0.3, 1.0, 2.0, 7.0, 30.0, 500.0])
COUNTS = torch.tensor([5.0, 10.0, 40.0, 100.0, 1000.0, 40.0])
PROBS = torch.tensor([0.2, 0.9, 0.5, 0.01, 0.7, 0.3])


def _check(found: Tensor, mean: Tensor, variance: Tensor) -> None:
    """Compare with the theory, at six standard errors."""
    wide = found.double()
    assert torch.isfinite(wide).all()
    assert ((wide.mean(0) - mean).abs() < 6 * (variance / len(wide)).sqrt()).all()
    fourth = (wide - wide.mean(0)).pow(4).mean(0)
    error = ((fourth - variance**2).clamp(min=0) / len(wide)).sqrt() + variance * 0.01
    assert ((wide.var(0) - variance).abs() < 6 * error).all()


def test_moments() -> None:
    inputs = [item.repeat(COUNT, 1) for item in (RATES, SHAPES, COUNTS, PROBS)]
    exe = sw.compile(torch.export.export(Program(), tuple(inputs)), progress=False)
    poisson, gamma, binomial, dirichlet = exe(*inputs)
    _check(poisson, RATES, RATES)
    _check(gamma, SHAPES, SHAPES)
    _check(binomial, COUNTS * PROBS, COUNTS * PROBS * (1 - PROBS))
    whole = SHAPES.sum()
    share = SHAPES / whole
    _check(dirichlet, share, share * (1 - share) / (whole + 1))
    torch.testing.assert_close(dirichlet.sum(-1), torch.ones(COUNT))
    assert torch.equal(poisson, poisson.round()) and torch.equal(binomial, binomial.round())


def test_symbolic_sizes() -> None:
    class Sized(torch.nn.Module):
        def forward(self, x: Tensor) -> Any:
            return torch.poisson(x), torch._standard_gamma(x)

    exported = torch.export.export(Sized(), (torch.ones(4, 3),), dynamic_shapes=({0: torch.export.Dim("n"), 1: None},))
    exe = sw.compile(exported, progress=False)
    for count in (1, 5000):
        poisson, gamma = exe(torch.full((count, 3), 20.0))
        assert poisson.shape == gamma.shape == (count, 3)
    assert abs(poisson.mean() - 20) < 0.3 and abs(gamma.mean() - 20) < 0.3


def test_edges() -> None:
    nan = float("nan")
    rates, shapes = torch.tensor([0.0, nan, 1e-30]), torch.tensor([1e-3, nan, 1e4])
    counts, probs = torch.tensor([0.0, 7.0, 7.0]), torch.tensor([0.5, 1.0, 0.0])
    exe = sw.compile(torch.export.export(Program(), (rates, shapes, counts, probs)), progress=False)
    poisson, gamma, binomial, _ = exe(rates, shapes, counts, probs)
    assert poisson[0] == 0 and poisson[1].isnan() and poisson[2] == 0
    assert gamma[0] > 0 and gamma[1].isnan() and 9e3 < gamma[2] < 1.1e4
    assert binomial.tolist() == [0, 7, 0]


def test_narrow_floats_and_nothing() -> None:
    class Narrow(torch.nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Any:
            return torch.poisson(x), torch._standard_gamma(x), torch.poisson(y), torch._standard_gamma(y)

    x, y = torch.full((200, 5), 3.0, dtype=torch.bfloat16), torch.zeros(0, 3, dtype=torch.float64)
    poisson, gamma, *nothing = sw.compile(torch.export.export(Narrow(), (x, y)), progress=False)(x, y)
    assert poisson.dtype is gamma.dtype is torch.bfloat16
    assert 2.5 < poisson.float().mean() < 3.5 and 2.5 < gamma.float().mean() < 3.5
    assert [(item.shape, item.dtype) for item in nothing] == [((0, 3), torch.float64)] * 2


def test_a_distribution_of_torch() -> None:
    class Samples(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            one = torch.ones_like(x)
            return torch.distributions.Beta(2 * one, 3 * one, validate_args=False).sample()

    beta = sw.compile(torch.export.export(Samples(), (torch.zeros(COUNT),)), progress=False)(torch.zeros(COUNT))
    assert abs(beta.mean() - 0.4) < 0.01 and abs(beta.var() - 0.04) < 0.005
