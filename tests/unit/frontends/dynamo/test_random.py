"""Random calls under ``torch.compile``: part of programs, seeded by torch's generator, the same in both directions."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

Check = Callable[..., None]


class Dropped(nn.Module):
    """A perceptron that returns what its dropout left, too."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 64), nn.Linear(64, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        left = F.dropout(self.first(x), 0.4)
        return self.last(F.gelu(left)), left


def test_gradients_follow_the_mask(agree: Check, warned: Any) -> None:
    """Training steps: gradients are those of a model that is given the mask that the compiled one drew."""
    model = Dropped()
    twin = copy.deepcopy(model)
    compiled = torch.compile(model, backend="stepwell", fullgraph=True)
    x = torch.randn(5, 6)
    masks = []
    for _ in range(2):
        found, left = compiled(x)
        found.square().sum().backward()
        masks.append(left != 0)
        hidden = twin.first(x) * masks[-1] / 0.6
        wanted = twin.last(F.gelu(hidden))
        wanted.square().sum().backward()
        agree((found, left), (wanted, hidden))
    for own, other in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(own.grad, other.grad, atol=1e-4, rtol=1e-4)
    assert not torch.equal(*masks)
    assert 0.3 < torch.stack(masks).float().mean() < 0.9
    assert warned() == []


def test_seeds(agree: Check) -> None:
    """Torch's seed makes runs repeat; without it each call draws anew, for any number of graphs and of sizes."""

    def function(x: Tensor) -> Any:
        y = F.dropout(x, 0.5)
        torch._dynamo.graph_break()
        return y, torch.randn_like(x), torch.randint(0, 1000, x.shape), torch.randperm(x.shape[0]), torch.rand(3)

    compiled = torch.compile(function, backend="stepwell")
    for rows in (16, 24, 32):
        x = torch.ones(rows, 5)
        torch.manual_seed(5)
        first, second = compiled(x), compiled(x)
        torch.manual_seed(5)
        agree(compiled(x), first)
        for one, other in zip(first, second, strict=True):
            assert one.shape == other.shape
            assert not torch.equal(one, other)
        assert torch.equal(first[3].sort()[0], torch.arange(rows))


def test_equal_calls_draw_different_numbers() -> None:
    """Torch's search for equal calls, in graphs that are trained, takes some random ones for equal."""

    def function(x: Tensor) -> Any:
        pairs = [
            (torch.randn_like(x), torch.randn_like(x)),
            (x.detach().clone().uniform_(), x.detach().clone().uniform_()),
        ]
        return [(one * x, other * x) for one, other in pairs]

    x = torch.ones(50, requires_grad=True)
    pairs = torch.compile(function, backend="stepwell", fullgraph=True)(x)
    for one, other in pairs:
        assert not torch.isclose(one, other).any()
    sum((one + 2 * other).sum() for one, other in pairs).backward()
    torch.testing.assert_close(x.grad, sum(one + 2 * other for one, other in pairs))


class NoisyGradient(torch.autograd.Function):
    """Draws while gradients are computed alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x * 2

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient + torch.rand_like(gradient)


def test_checkpoints_and_gradients_that_draw() -> None:
    """What a checkpoint computes again depends on the numbers of the first time."""

    def function(x: Tensor) -> Tensor:
        return checkpoint(lambda y: F.dropout(y * 2, 0.5).sin(), NoisyGradient.apply(x), use_reentrant=False)

    x = torch.ones(40, requires_grad=True)
    found = torch.compile(function, backend="stepwell", fullgraph=True)(x)
    (gradient,) = torch.autograd.grad(found.sum(), x)
    plain = torch.where(found == 0, 0.0, 4 * torch.tensor(8.0).cos())
    noise = gradient / 2 - plain
    assert 0 < (found == 0).sum() < 40
    assert noise.unique().numel() > 30
    assert ((noise >= 0) & (noise < 1)).all()


@pytest.mark.parametrize("train", [False, True])
def test_numbers_of_eager_mode(agree: Check, warned: Any, train: bool) -> None:
    """As an option, torch's generator is used as in eager mode, whatever the order in which results are needed."""

    def function(x: Tensor) -> Any:
        late = torch.bernoulli((x * 0.5).cumsum(0).sigmoid())
        early = torch.bernoulli(torch.full((5,), 0.5))
        return late * x + 1, early * 2, F.dropout(x, 0.5)

    x = torch.randn(5, requires_grad=train)
    torch.manual_seed(3)
    wanted = function(x)
    torch.manual_seed(3)
    agree(torch.compile(function, backend="stepwell", options={"eager_random": True})(x), wanted)
    assert warned() == []
