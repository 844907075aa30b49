"""Arguments that are numbers: integers that stay symbolic, and values that were fixed at export."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.export import Dim

import stepwell as sw
from stepwell.support.errors import ArgumentError


class Repeated(torch.nn.Module):
    """Uses integers as sizes, as numbers, and returns them."""

    def forward(self, x: torch.Tensor, options: dict[str, Any], length: int) -> Any:
        n = options["n"][0]
        return (x.repeat(n, 1)[:length] * n - options["shift"], torch.arange(length) + n, n + 1, x.shape[0], n)


@pytest.fixture(scope="module")
def executable() -> sw.Executable:
    """Return the compiled program."""
    shapes = {
        "x": {0: Dim.DYNAMIC},
        "options": {"n": [Dim.DYNAMIC], "shift": None, "mode": None},
        "length": Dim.DYNAMIC,
    }
    options = {"n": [3], "shift": 0.5, "mode": "mean"}
    exported = torch.export.export(Repeated(), (torch.ones(3, 4), options, 5), dynamic_shapes=shapes)
    return sw.compile(exported, progress=False, check="each-pass")


def call(program: Any, rows: int, n: Any, length: Any, shift: Any = 0.5, mode: Any = "mean") -> Any:
    """Call the program, or the module."""
    x = torch.arange(4.0 * rows).reshape(rows, 4)
    return program(x, {"n": [n], "shift": shift, "mode": mode}, length)


@pytest.mark.parametrize(("rows", "n", "length"), [(3, 3, 5), (2, 4, 7), (5, np.int64(1), 2), (4, 2, np.int32(8))])
def test_integers_are_arguments(executable: sw.Executable, rows: int, n: Any, length: Any) -> None:
    values, numbers, *sizes = call(executable, rows, n, length)
    wanted = call(Repeated(), rows, int(n), int(length))
    assert torch.equal(values, wanted[0])
    assert torch.equal(numbers, wanted[1])
    assert sizes == list(wanted[2:])
    assert all(type(size) is int for size in sizes)


def test_an_artifact_takes_integers(executable: sw.Executable, tmp_path: Path) -> None:
    executable.save(tmp_path / "program.swx")
    loaded = sw.load(tmp_path / "program.swx")
    assert call(loaded, 2, 3, 4)[2:] == (4, 2, 3)


def test_the_signature_names_them(executable: sw.Executable) -> None:
    signature = executable.signature
    assert [(argument.name, argument.kind) for argument in signature.arguments] == [
        ("x", "user"),
        ("options['n'][0]", "size"),
        ("length", "size"),
    ]
    assert [(symbol.name, symbol.argument) for symbol in signature.symbols] == [
        ("s0", 0),
        ("options_n_0", 1),
        ("length", 2),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3, 1.5, 5), r"argument 'options\['n'\]\[0\]' must be an integer, got float 1.5"),
        ((3, True, 5), r"argument 'options\['n'\]\[0\]' must be an integer, got bool True"),
        ((3, None, 5), r"argument 'options\['n'\]\[0\]' must be an integer, got NoneType"),
        ((3, 3, "5"), "argument 'length' must be an integer, got str '5'"),
        ((3, 2**63, 5), r"argument 'options\['n'\]\[0\]' must fit into 64 bits, got 9223372036854775808"),
        ((3, -1, 5), r"options\['n'\]\[0\] must be at least 0, got -1"),
        ((3, 2, 9), r"length - options\['n'\]\[0\] \* x.size\(0\) must be at most 0, got 3"),
        ((3, 3, 5, 0.25), r"argument 'options\['shift'\]' was fixed to 0.5 at export, got 0.25"),
        ((3, 3, 5, 1), r"argument 'options\['shift'\]' was fixed to 0.5 at export, got 1"),
        ((3, 3, 5, 0.5, "sum"), r"argument 'options\['mode'\]' was fixed to 'mean' at export, got 'sum'"),
    ],
)
def test_what_does_not_fit_is_named(executable: sw.Executable, arguments: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call(executable, *arguments)


class Fixed(torch.nn.Module):
    """Arguments of each type that export fixes."""

    def forward(
        self, x: torch.Tensor, times: int, scale: float, negate: bool, name: str, bias: Any, *, far: float
    ) -> Any:
        return (-x if negate else x) * times * scale + far


def test_fixed_values_are_checked() -> None:
    fixed = (2, float("nan"), True, "left", None)
    exported = torch.export.export(Fixed(), (torch.ones(2), *fixed), {"far": float("inf")})
    executable = sw.compile(exported, progress=False)
    x = torch.ones(2)
    assert executable(x, *fixed, far=float("inf")).isnan().all()
    # numpy's numbers are as good.
    assert executable(x, np.int32(2), np.float64("nan"), np.True_, "left", None, far=np.inf).isnan().all()
    wrong = {
        "times": (3, *fixed[1:]),
        "scale": (2, 1.0, *fixed[2:]),
        "negate": (2, float("nan"), 1, "left", None),
        "name": (*fixed[:3], "right", None),
        "bias": (*fixed[:4], 0),
    }
    for name, values in wrong.items():
        with pytest.raises(ArgumentError, match=f"argument '{name}' was fixed to .* at export, got"):
            executable(x, *values, far=float("inf"))
    with pytest.raises(ArgumentError, match="argument 'far' was fixed to inf at export, got 1"):
        executable(x, *fixed, far=1.0)
    with pytest.raises(ArgumentError, match=r"expected 6 positional arguments \(x, times, scale, negate, name, bias\)"):
        executable(x)
