"""Symbolic sizes under ``torch.compile``: one compiled graph for many shapes, sizes as arguments, few recompiles."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend

Check = Callable[..., None]


@pytest.fixture
def counter() -> Iterator[CompileCounterWithBackend]:
    """Return the backend with a count of the graphs that it compiled."""
    counted = CompileCounterWithBackend("stepwell")
    yield counted


def reshaping(x: torch.Tensor, scale: float) -> Any:
    """Sizes in shapes, in arithmetic and among the results."""
    rows, columns = x.shape
    mixed = (x * scale).softmax(-1).reshape(-1).view(columns, rows)
    return mixed.sum(1) * rows, torch.arange(columns) + rows, rows * 2 + 1, mixed.t()


def test_one_graph_for_many_shapes(counter: Any, agree: Check) -> None:
    compiled = torch.compile(reshaping, backend=counter, dynamic=True)
    for rows, columns in ((4, 6), (5, 3), (7, 7), (2, 9)):
        x = torch.randn(rows, columns)
        agree(compiled(x, 1.5), reshaping(x, 1.5))
    assert counter.frame_count == 1


def test_marked_dimension(counter: Any, agree: Check) -> None:
    """A marked dimension is symbolic, the others are numbers; a change of those compiles anew."""
    linear = torch.nn.Linear(6, 3)
    compiled = torch.compile(linear, backend=counter)
    for rows in (4, 9, 5):
        x = torch.randn(rows, 6)
        torch._dynamo.mark_dynamic(x, 0)
        agree(compiled(x), linear(x))
    assert counter.frame_count == 1


def test_shapes_that_change(counter: Any, agree: Check) -> None:
    """Without being told, torch compiles once for numbers and once for symbols."""

    def function(x: torch.Tensor) -> torch.Tensor:
        return (x.flatten() + 1).cumsum(0)

    compiled = torch.compile(function, backend=counter)
    for rows in (4, 5, 6, 7):
        x = torch.randn(rows, 3)
        agree(compiled(x), function(x))
    assert counter.frame_count == 2


def test_sizes_between_parts(counter: Any, agree: Check, warned: Any) -> None:
    """A part after a call of torch's gets sizes that none of its own tensors has."""

    def function(x: torch.Tensor) -> Any:
        rows, columns = x.shape
        flat = torch.linalg.eigvalsh(x.reshape(columns, rows) @ x).sum() + (x * 2).flatten()
        return (torch.fft.fft(flat.double()).real.float() + flat).view(rows, columns) * columns

    compiled = torch.compile(function, backend=counter, dynamic=True)
    for size in (3, 5):
        x = torch.eye(size) + torch.full((size, size), 0.25)
        agree(compiled(x), function(x))
    assert counter.frame_count == 1
    assert "_linalg_eigh" in warned()[0]


def test_integer_arguments(counter: Any, agree: Check) -> None:
    """Integers that change become symbols of their own."""

    def function(x: torch.Tensor, count: int) -> Any:
        return torch.arange(count) * 3 + x.sum().long(), x * count, torch.zeros(count, 2) + 1

    compiled = torch.compile(function, backend=counter)
    x = torch.arange(4.0)
    for count in (3, 4, 7, 11):
        agree(compiled(x, count), function(x, count))
    assert counter.frame_count == 2


def test_floats_of_sizes(counter: Any, agree: Check, warned: Any) -> None:
    """What torch computes of sizes may be no integer: the gradient of a mean, a root."""

    def function(x: torch.Tensor) -> torch.Tensor:
        return x.square().mean(0) / x.shape[1] ** 0.5

    compiled = torch.compile(function, backend=counter, dynamic=True, fullgraph=True)
    for rows, columns in ((4, 6), (5, 3)):
        x = torch.randn(rows, columns, requires_grad=True)
        found, wanted = compiled(x), function(x)
        agree(found, wanted)
        agree(torch.autograd.grad(found.sum(), x), torch.autograd.grad(wanted.sum(), x))
    assert counter.frame_count == 1
    assert warned() == []


def test_sizes_that_depend_on_data(agree: Check, warned: Any) -> None:
    """With one graph asked for, torch hands on what it would break at; one program finds out the sizes."""

    def function(x: torch.Tensor, count: torch.Tensor) -> Any:
        places = (x > 0).nonzero()
        taken = int(count.max().item())
        torch._check(taken >= 0)
        torch._check(taken <= 3)
        return places.sum(0) + places.shape[0], x[x > 0].exp(), x[0, :taken] * 2, x * count.sum().item()

    compiled = torch.compile(function, backend="stepwell", fullgraph=True)
    for taken in (1, 3):
        arguments = (torch.randn(4, 3), torch.tensor([taken, 0]))
        agree(compiled(*arguments), function(*arguments))
    assert warned() == []


def pooled(x: torch.Tensor, weight: torch.Tensor, stride: int, size: int) -> torch.Tensor:
    """Needs numbers where ``dynamic=True`` gives symbols."""
    return torch.nn.functional.adaptive_avg_pool2d(torch.conv2d(x, weight, stride=stride), size)


def test_numbers_that_code_needs_are_guards(counter: Any, agree: Check, warned: Any) -> None:
    """What code cannot leave open is fixed, and compiles anew where it changes; sizes stay open."""
    compiled = torch.compile(pooled, backend=counter, dynamic=True)
    weight = torch.randn(4, 3, 2, 2)
    for rows, stride, size in ((9, 2, 3), (12, 2, 3), (10, 3, 3), (17, 3, 3), (9, 2, 4)):
        x = torch.randn(2, 3, rows, 11)
        agree(compiled(x, weight, stride, size), pooled(x, weight, stride, size))
    assert counter.frame_count == 3
    assert not warned()


def test_products_that_code_needs_are_guards(counter: Any, agree: Check, warned: Any) -> None:
    def function(x: torch.Tensor, a: int, b: int) -> torch.Tensor:
        return torch.nn.functional.adaptive_avg_pool1d(x, a * b)

    compiled = torch.compile(function, backend=counter, dynamic=True)
    for length, a, b in ((12, 2, 3), (17, 2, 3), (12, 2, 4)):
        x = torch.randn(2, length)
        agree(compiled(x, a, b), function(x, a, b))
    assert counter.frame_count == 2
    assert not warned()


def test_sizes_that_code_needs_are_guards(counter: Any, agree: Check, warned: Any) -> None:
    compiled = torch.compile(torch.conv_transpose1d, backend=counter, dynamic=True, fullgraph=True)
    for taps in (3, 3, 5):
        x, weight = torch.randn(2, 3, 7), torch.randn(3, 4, taps)
        agree(compiled(x, weight), torch.conv_transpose1d(x, weight))
    assert counter.frame_count == 2
    assert not warned()
