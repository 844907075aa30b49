"""Symbolic sizes: their names, bounds, and expressions."""

from typing import Any

import pytest
import torch
from torch.export import Dim

import stepwell as sw
from stepwell.frontends.torch import from_exported_program
from stepwell.support.errors import ArgumentError
from stepwell.support.module import Module


class Function(torch.nn.Module):
    """A module around a function of x, or of x and y."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor, y: torch.Tensor | None = None) -> Any:
        return self.function(x) if y is None else self.function(x, y)


def exported(function: Any, *args: torch.Tensor, dims: Any) -> Any:
    """Export with dynamic shapes for x, and y."""
    return torch.export.export(Function(function), args, dynamic_shapes=tuple(dims))


def imported(function: Any, *args: torch.Tensor, dims: Any) -> Module:
    """Export and import."""
    return from_exported_program(exported(function, *args, dims=dims))


def shapes(module: Module) -> list[list[str]]:
    """Return the shapes of the results as text."""
    assert module.signature is not None
    return [[str(size) for size in result.shape] for result in module.signature.results]


def test_names_and_bounds_of_dims() -> None:
    module = imported(lambda x: x + 1, torch.ones(3, 5), dims=[{0: Dim("batch", min=2, max=64), 1: Dim("length")}])
    assert module.signature is not None
    found = [(s.name, s.argument, s.dim, s.minimum, s.maximum) for s in module.signature.symbols]
    assert found == [("batch", 0, 0, 2, 64), ("length", 0, 1, 0, None)]
    assert 'tensor<?x?xf32, ["batch", "length"]>' in module.text()


def test_unnamed_dims_are_numbered() -> None:
    module = imported(lambda x: x + 1, torch.ones(3, 5), dims=[{0: Dim.AUTO, 1: Dim.AUTO}])
    assert module.signature is not None
    assert [symbol.name for symbol in module.signature.symbols] == ["s0", "s1"]


def test_derived_sizes() -> None:
    n = Dim("n", min=4)
    module = imported(
        lambda x, y: (x.new_zeros(x.shape[1] // 2), torch.cat([x[0], y]), x.new_zeros(x.shape[0] * 2 + 1)),
        torch.ones(3, 8),
        torch.ones(9),
        dims=[{0: Dim("m"), 1: n}, {0: n + 1}],
    )
    assert shapes(module) == [["(n // 2)"], ["2*n + 1"], ["2*m + 1"]]


def test_a_multiple_of_a_size_is_a_symbol_of_its_own() -> None:
    """No input has ``half`` itself as a size, so it is computed from the size that is twice as large."""
    program = exported(lambda x: x.view(-1, 2).sum(1), torch.ones(6), dims=[{0: 2 * Dim("half")}])
    module = from_exported_program(program)
    assert module.signature is not None
    (symbol,) = module.signature.symbols
    assert (symbol.name, symbol.divisor, symbol.remainder) == ("x_0", 2, 0)
    assert shapes(module) == [["(x_0 // 2)"]]
    executable = sw.compile(module, progress=False)
    assert torch.equal(executable(torch.ones(10)), torch.full((5,), 2.0))
    with pytest.raises(ArgumentError, match=r"x.size\(0\) must be a multiple of 2, got 7"):
        executable(torch.ones(7))


def test_what_torch_assumed_is_checked() -> None:
    def function(x: torch.Tensor, y: torch.Tensor) -> Any:
        torch._check(x.shape[0] * y.shape[0] < 1000)
        return x.view(-1, 2).sum(1), y

    module = imported(function, torch.ones(6), torch.ones(3), dims=[{0: Dim.AUTO}, {0: Dim.AUTO}])
    assert module.signature is not None
    assert {guard.text for guard in module.signature.guards} >= {"x.size(0)", "y.size(0) * x.size(0)"}
    executable = sw.compile(module, progress=False)
    assert executable(torch.ones(10), torch.ones(5))[0].tolist() == [2.0] * 5
    with pytest.raises(ArgumentError, match=r"x.size\(0\) must be a multiple of 2, got 7"):
        executable(torch.ones(7), torch.ones(5))
    with pytest.raises(ArgumentError, match=r"y.size\(0\) \* x.size\(0\) must be at most 999, got 1000"):
        executable(torch.ones(10), torch.ones(100))


def test_branches_for_other_sizes_are_not_taken_for_this_one() -> None:
    def function(x: torch.Tensor) -> Any:
        if x.shape[0] == 7 or x.shape[0] % 4 == 1:
            return x - 1
        return x + 1

    executable = sw.compile(imported(function, torch.ones(6), dims=[{0: Dim.AUTO}]), progress=False)
    assert executable(torch.ones(8)).tolist() == [2.0] * 8
    with pytest.raises(ArgumentError, match=r"x.size\(0\) must not be 7"):
        executable(torch.ones(7))
    with pytest.raises(ArgumentError, match=r"x.size\(0\) % 4 must not be 1"):
        executable(torch.ones(9))


def test_floats_that_torch_made_constants_hold_their_sizes() -> None:
    def function(x: torch.Tensor) -> Any:
        return torch.nn.functional.layer_norm(x, (4,), eps=x.shape[0] ** -0.5)

    executable = sw.compile(imported(function, torch.ones(3, 4), dims=[{0: Dim.AUTO}]), progress=False)
    torch.testing.assert_close(executable(torch.arange(12.0).view(3, 4)), function(torch.arange(12.0).view(3, 4)))
    with pytest.raises(ArgumentError, match=r"x.size\(0\) must be 3, got 5"):
        executable(torch.ones(5, 4))


def test_floats_of_sizes_are_arguments_of_ops() -> None:
    def function(x: torch.Tensor) -> Any:
        scale = x.shape[0] ** -0.5
        return x.abs() ** scale, torch.addmm(x @ x.T, x, x.T, alpha=scale, beta=scale), x * torch.sym_sqrt(x.shape[0])

    executable = sw.compile(imported(function, torch.ones(3, 4), dims=[{0: Dim.AUTO}]), progress=False)
    for rows in (3, 5):
        x = torch.randn(rows, 4)
        torch.testing.assert_close(executable(x), function(x))


def test_a_size_may_be_a_result() -> None:
    module = imported(lambda x: (x + 1, x.shape[0] * 2 + 1), torch.ones(3), dims=[{0: Dim("n")}])
    assert module.signature is not None
    # The host computes it: it is no result of the program.
    assert [result.kind for result in module.signature.results] == ["user"]
    _, size = sw.compile(module, progress=False)(torch.ones(6))
    assert size == 13
    assert type(size) is int


def test_symbols_of_loaded_programs(tmp_path: Any) -> None:
    path = tmp_path / "model.pt2"
    torch.export.save(exported(lambda x: x + 1, torch.ones(3), dims=[{0: Dim("n", min=2, max=9)}]), path)
    module = from_exported_program(path)
    assert module.signature is not None
    (symbol,) = module.signature.symbols
    assert (symbol.minimum, symbol.maximum) == (2, 9)


def test_sizes_that_a_guard_makes_equal() -> None:
    # Torch spells the size of the view by the operand's, and guards that the product is 8.
    module = imported(
        lambda x: torch.ops.aten._unsafe_view(x, [8]), torch.ones(2, 4), dims=[{0: Dim.AUTO, 1: Dim.AUTO}]
    )
    run = sw.compile(module)
    x = torch.arange(8.0).reshape(4, 2)
    assert torch.equal(run(x), x.flatten())
    with pytest.raises(ArgumentError, match="8"):
        run(torch.ones(3, 4))


def test_channels_that_split_into_groups() -> None:
    def convolution(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.conv1d(x, weight, groups=2)

    dims = [{0: Dim.AUTO, 2: Dim.AUTO}, {0: Dim.AUTO}]
    run = sw.compile(imported(convolution, torch.ones(3, 4, 9), torch.ones(6, 2, 3), dims=dims))
    x, weight = torch.rand(2, 4, 7), torch.rand(4, 2, 3)
    torch.testing.assert_close(run(x, weight), convolution(x, weight))
    with pytest.raises(ArgumentError):
        run(x, torch.rand(5, 2, 3))


def test_a_slice_that_ends_where_the_example_ends() -> None:
    # The example has 5 elements, and 4 of them from the second on: torch knows the size, not that it is all of them.
    module = imported(lambda x, y: x[1:5] + y, torch.arange(5.0), torch.ones(4), dims=[{0: Dim.AUTO}, {}])
    assert shapes(module) == [["4"]]
    run = sw.compile(module)
    assert torch.equal(run(torch.arange(9.0), torch.zeros(4)), torch.arange(1.0, 5.0))
