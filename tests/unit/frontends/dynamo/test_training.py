"""Training through ``torch.compile``: losses and states follow eager's, the backward graph compiled by us too."""

import copy
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

Batch = tuple[Tensor, Tensor]
STEPS = 10


class Perceptron(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(12, 32), nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(F.gelu(self.first(x)))


class Residual(nn.Module):
    """A block of a ResNet: batch norm with running statistics, pooling, gradients of convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.one, self.two = (nn.Conv2d(4, 4, 3, padding=1, bias=False) for _ in range(2))
        self.norm1, self.norm2 = nn.BatchNorm2d(4), nn.BatchNorm2d(4)
        self.pool, self.head = nn.MaxPool2d(2), nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.stem(x))
        y = F.relu(self.norm1(self.one(x)))
        y = F.relu(self.norm2(self.two(y)) + x)
        return self.head(F.adaptive_avg_pool2d(y, 1).flatten(1))


class Transformer(nn.Module):
    """A small GPT, the embedding shared with the head."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(17, 16), nn.Embedding(8, 16)
        self.before, self.between, self.after = (nn.LayerNorm(16) for _ in range(3))
        self.qkv, self.mix = nn.Linear(16, 48), nn.Linear(16, 16)
        self.up, self.down = nn.Linear(16, 64), nn.Linear(64, 16)
        self.dropout = nn.Dropout(dropout)

    def forward(self, indices: Tensor) -> Tensor:
        batch, length = indices.shape
        x = self.dropout(self.tokens(indices) + self.positions(torch.arange(length)))
        parts = self.qkv(self.before(x)).split(16, 2)
        q, k, v = (part.view(batch, length, 2, 8).transpose(1, 2) for part in parts)
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.dropout(self.mix(attended.transpose(1, 2).reshape(batch, length, 16)))
        x = x + self.down(F.gelu(self.up(self.between(x))))
        return self.after(x) @ self.tokens.weight.t()


def losses(model: nn.Module, call: Any, optimizer: Any, batches: Sequence[Batch]) -> list[float]:
    """Train, and return the loss of each step."""
    torch.manual_seed(1)
    found = []
    stepper = optimizer(model.parameters())
    for x, target in batches:
        stepper.zero_grad()
        loss = F.cross_entropy(call(x).flatten(0, -2), target.flatten())
        loss.backward()
        stepper.step()
        found.append(loss.item())
    return found


def check_training(model: nn.Module, optimizer: Any, batches: Sequence[Batch], **options: Any) -> None:
    twin = copy.deepcopy(model)
    found = losses(model, torch.compile(model, backend="stepwell", **options), optimizer, batches)
    wanted = losses(twin, twin, optimizer, batches)
    assert len(set(wanted)) == len(batches)
    assert found == pytest.approx(wanted, rel=1e-4)
    for name, buffer in twin.named_buffers():
        torch.testing.assert_close(model.get_buffer(name), buffer)


def sgd(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9)


def adamw(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, lr=1e-2)


def sentences(*sizes: tuple[int, int]) -> list[Batch]:
    made = [torch.randint(0, 17, (rows, length + 1)) for rows, length in sizes]
    return [(tokens[:, :-1], tokens[:, 1:]) for tokens in made]


def test_perceptron() -> None:
    batches = [(torch.randn(6, 12), torch.randint(0, 5, (6,))) for _ in range(STEPS)]
    check_training(Perceptron(), sgd, batches, fullgraph=True)


def test_residual_block() -> None:
    batches = [(torch.randn(2, 3, 8, 8), torch.randint(0, 5, (2,))) for _ in range(STEPS)]
    check_training(Residual(), sgd, batches, fullgraph=True)


def test_transformer_of_any_batch_and_length() -> None:
    """One pair of graphs serves batches of all sizes."""
    sizes = [(2 + step % 3, 7 - step % 4) for step in range(STEPS)]
    check_training(Transformer(0.0), adamw, sentences(*sizes), fullgraph=True, dynamic=True)


def test_dropout() -> None:
    """With numbers of eager mode the losses are the same."""
    check_training(Transformer(0.2), adamw, sentences(*[(3, 8)] * STEPS), options={"eager_random": True})


def test_loss_inside_and_accumulated_gradients() -> None:
    """The loss is compiled with the model; gradients add up over calls, and reach inputs."""
    model = Perceptron()
    twin = copy.deepcopy(model)

    def loss_of(network: nn.Module, x: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(network(x), target, label_smoothing=0.1)

    compiled = torch.compile(loss_of, backend="stepwell", fullgraph=True)
    for _ in range(2):
        x, target = torch.randn(6, 12, requires_grad=True), torch.randint(0, 5, (6,))
        y = x.detach().clone().requires_grad_()
        compiled(model, x, target).backward()
        loss_of(twin, y, target).backward()
        torch.testing.assert_close(x.grad, y.grad)
    for own, other in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(own.grad, other.grad)


@pytest.mark.parametrize("foreach", [False, True])
def test_compiled_optimizer(foreach: bool, warned: Any) -> None:
    """The step of an optimizer is compiled, on single tensors and on lists of them."""
    model = Perceptron()
    twin = copy.deepcopy(model)
    own, other = (torch.optim.AdamW(one.parameters(), lr=1e-2, foreach=foreach) for one in (model, twin))
    step = torch.compile(own.step, backend="stepwell")
    for _ in range(3):
        for mine, theirs in zip(model.parameters(), twin.parameters(), strict=True):
            mine.grad = torch.randn_like(mine)
            theirs.grad = mine.grad.clone()
        step()
        other.step()
    for mine, theirs in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs)
    assert warned() == []


def test_autocast() -> None:
    """Products in bfloat16, losses in float32, as autocast has them."""
    model = Perceptron()
    twin = copy.deepcopy(model)
    compiled = torch.compile(model, backend="stepwell", fullgraph=True)
    x, target = torch.randn(6, 12), torch.randint(0, 5, (6,))
    for call in (compiled, twin):
        with torch.autocast("cpu", torch.bfloat16):
            scores = call(x)
            assert scores.dtype is torch.bfloat16
            F.cross_entropy(scores.float(), target).backward()
    for mine, theirs in zip(model.parameters(), twin.parameters(), strict=True):
        assert mine.grad.dtype is torch.float32
        torch.testing.assert_close(mine.grad, theirs.grad, atol=1e-2, rtol=5e-2)
