"""Calls that stepwell does not compile: torch runs them, with one warning that names them, or an error."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from stepwell.frontends.torch.registry import CONVERTERS
from stepwell.passes.transforms.graph_dce import GraphDcePass
from stepwell.support.errors import ImportProgramError, PassFailure

Check = Callable[..., None]


def mixed(x: torch.Tensor) -> Any:
    """Two calls for torch with ours before, between, beside and after them."""
    y = (x @ x.t()).relu() + 1
    roots = torch.linalg.eigvalsh(y)
    z = (roots * 2).exp().flip(0)
    spectrum = torch.linalg.eigvalsh(torch.diag(z) / z.max())
    return spectrum.sum() + z, (x * 3).t(), x.sort(1)


def test_one_warning(agree: Check, warned: Any) -> None:
    x = torch.rand(3, 4)
    compiled = torch.compile(mixed, backend="stepwell")
    agree(compiled(x), mixed(x), 1e-4)
    agree(compiled(x + 0.25), mixed(x + 0.25), 1e-4)
    (text,) = warned()
    assert "aten._linalg_eigh.default x2" in text
    line = mixed.__code__.co_firstlineno + 3
    assert f"{__file__}:{line}" in text
    assert "aten.exp" not in text


def test_fullgraph_is_an_error() -> None:
    with pytest.raises(Exception, match=r"(?s)_linalg_eigh.*SW101") as caught:
        torch.compile(mixed, backend="stepwell", fullgraph=True)(torch.rand(3, 4))
    assert f"test_breaks.py:{mixed.__code__.co_firstlineno + 3}" in str(caught.value)


def refuse(*_: Any) -> None:
    """A converter for nothing."""
    raise ImportProgramError("no such angle")


def test_refusal_by_a_converter(agree: Check, warned: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls whose op is known, but not like this, are refused while the part is imported."""
    monkeypatch.setitem(CONVERTERS, "aten.sinh.default", refuse)

    def function(x: torch.Tensor) -> torch.Tensor:
        return (x.relu().sinh() + 1).log().sinh()

    x = torch.rand(4, 6)
    agree(torch.compile(function, backend="stepwell")(x), function(x))
    (text,) = warned()
    assert "aten.sinh.default x2" in text
    assert "no such angle" in text
    torch.compiler.reset()
    with pytest.raises(Exception, match="no such angle"):
        torch.compile(function, backend="stepwell", fullgraph=True)(x)


def test_errors_about_no_call_in_particular(agree: Check, warned: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass that fails on a whole program leaves its calls to torch."""

    def fails(self: Any, op: Any) -> None:
        raise PassFailure("not today")

    monkeypatch.setattr(GraphDcePass, "apply", fails)

    def function(x: torch.Tensor) -> torch.Tensor:
        return x.cosh() + 1

    x = torch.rand(4, 6)
    agree(torch.compile(function, backend="stepwell")(x), function(x))
    (text,) = warned()
    assert "aten.cosh.default x1" in text
    assert "aten.add.Tensor x1" in text
    assert "not today" in text


def test_gradients_around_a_break(agree: Check, warned: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forward and backward graphs are taken apart alike."""
    for name in ("sinh", "cosh"):
        monkeypatch.setitem(CONVERTERS, f"aten.{name}.default", refuse)

    def function(x: torch.Tensor) -> torch.Tensor:
        return ((x @ x.t()) + torch.eye(3)).sinh().tanh().sum()

    x = torch.randn(3, 3, requires_grad=True)
    found = torch.autograd.grad(torch.compile(function, backend="stepwell")(x), x)
    agree(found, torch.autograd.grad(function(x), x))
    forward, backward = warned()
    assert "aten.sinh" in forward
    assert "aten.cosh" in backward


def test_checks_that_torch_keeps_in_order(agree: Check) -> None:
    """Factorisations check what they made, by calls that torch orders with tokens."""

    def function(x: torch.Tensor) -> torch.Tensor:
        return torch.linalg.cholesky((x @ x.t()) + torch.eye(3)).tanh().sum()

    x = torch.randn(3, 3, requires_grad=True)
    found = torch.autograd.grad(torch.compile(function, backend="stepwell")(x), x)
    agree(found, torch.autograd.grad(function(x), x))


def test_breaks_of_dynamo(agree: Check) -> None:
    """What torch itself cannot capture splits the function before it reaches the backend."""
    seen = []

    def function(x: torch.Tensor) -> torch.Tensor:
        y = x * 2
        seen.append(float(y.sum()))
        return y + 1 if seen[-1] > 0 else y - 1

    compiled = torch.compile(function, backend="stepwell")
    for x in (torch.ones(3), -torch.ones(3)):
        agree(compiled(x), function(x))
