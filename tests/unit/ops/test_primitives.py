"""Torch's primitive ops and the private forms of public ones, called by themselves."""

import pytest
import torch
from harness import Case, Inputs, check_cases
from torch import nn

from stepwell.frontends.torch import from_exported_program
from stepwell.support.errors import ImportProgramError

prims, aten = torch.ops.prims, torch.ops.aten


def test_primitives() -> None:
    draw = Inputs()
    x, n = draw.floats(3, 4, 5), draw.integers(3, 4, low=-9, high=9)
    cases = [
        Case("add", lambda a: prims.mul(prims.add(a, a), prims.exp(a)), [x]),
        Case("div", lambda a: prims.div(a, torch.full_like(a, 2)), [n]),
        Case("div-floats", lambda a: prims.div(a, torch.full_like(a, 3)), [x]),
        Case("cbrt", prims.cbrt, [x]),
        Case("shift", lambda a: prims.shift_right_arithmetic(a, torch.full_like(a, 1)), [n]),
        Case("special", lambda a: prims.erf_inv(prims.tanh(a) * 0.5), [x]),
        Case("reversed", lambda a: prims.rev(a, [0, 2]), [x]),
        Case("collapse", lambda a: prims.collapse(a, 0, 1), [x.clone()], {0: {0: "n"}}, [draw.floats(6, 4, 5)]),
        Case("sum", lambda a: prims.sum(a, [0, 2]), [x], family="reduction"),
        Case("prod", lambda a: prims.prod(a, [0, 2]), [x], family="reduction"),
        Case("amax", lambda a: prims.amax(a, [1]) - prims.amin(a, [1]), [x]),
        Case("var", lambda a: prims.var(a, [0, 1], 0), [x], family="reduction"),
        Case("full", lambda a: a + prims.full([4, 5], 2.5, dtype=a.dtype, device=a.device, requires_grad=False), [x]),
        Case(
            "iota",
            lambda a: (
                a + prims.iota(4, start=3, step=-2, dtype=torch.int32, device=torch.device("cpu"), requires_grad=False)
            ),
            [n],
        ),
    ]
    check_cases("elementwise", cases)


def test_views() -> None:
    draw = Inputs()

    def views(x: torch.Tensor) -> torch.Tensor:
        parts = prims.split_dim(prims.view_of(x), 1, 2)
        swapped = prims.transpose(prims.collapse_view(parts, 1, 2), [1, 0, 2])
        return prims.broadcast_in_dim(prims.squeeze(swapped, [2]), [4, 2, 3], [0, 2]) * 2

    check_cases("elementwise", [Case("views", views, [draw.floats(3, 4, 1)])])


def test_a_view_beside_what_is_decomposed() -> None:
    x = Inputs().floats(3)
    check_cases("elementwise", [Case("mixed", lambda x: nn.functional.huber_loss(prims.view_of(x), x * 2), [x])])


def test_a_view_that_torch_traces_is_refused() -> None:
    class Changed(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = x * 2
            y[0] = 3
            return nn.functional.huber_loss(prims.view_of(x), y)

    with pytest.raises(ImportProgramError, match=r"prims::view_of"):
        from_exported_program(torch.export.export(Changed(), (torch.ones(3),)))


def test_private_forms() -> None:
    draw = Inputs()
    image, kernel = draw.floats(1, 2, 6, 6), draw.floats(3, 2, 3, 3)
    lists = ([1, 1], [1, 1], [1, 1], False, [0, 0], 1)
    check_cases(
        "contraction",
        [
            Case("now", lambda x, w: aten._convolution(x, w, None, *lists, False, True, True, True), [image, kernel]),
            Case("before", lambda x, w: aten._convolution(x, w, None, *lists, False, True, True), [image, kernel]),
        ],
    )

    sequence, taps = draw.floats(7, 2, 3), draw.floats(3, 3, 4)
    check_cases(
        "contraction", [Case("tbc", lambda x, w, b: aten.conv_tbc(x, w, b, 1), [sequence, taps, draw.floats(4)])]
    )

    def put(x: torch.Tensor, places: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        return aten._index_put_impl_(x.clone(), [places], values, True, False)

    places = torch.tensor([1, 0, 1])
    check_cases("elementwise", [Case("put", put, [draw.floats(4, 2), places, draw.floats(3, 2)])])


def test_windows() -> None:
    def windows(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (
            x * torch.hann_window(9),
            x + torch.hamming_window(9, False, alpha=0.6, beta=0.4, dtype=torch.float64),
            x * torch.blackman_window(9, periodic=False),
            x * torch.bartlett_window(9),
            x * torch.kaiser_window(9, True, beta=5.0),
            x[:1] * torch.hamming_window(1),
        )

    # Eager computes them in float32, from a step that is rounded.
    check_cases("reduction", [Case("windows", windows, [Inputs().floats(9)])])
