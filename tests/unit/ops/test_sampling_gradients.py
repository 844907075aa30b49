"""Samples at the places of a grid, and gradients of those, of distances, pads and losses, against torch's own."""

from typing import Any

import torch
import torch.nn.functional as F
from harness import Case, Inputs, check_cases, gradients

from stepwell.frontends.torch.composed.simple_gradients import soft_margin_loss_backward


def _sampled(**options: Any) -> Any:
    return lambda x, grid: F.grid_sample(x, grid, **options)


def test_samples_of_grids() -> None:
    draw = Inputs()
    x, y = draw.floats(2, 3, 5, 6), draw.floats(1, 2, 3, 4, 5)
    flat, deep = (draw.floats(*shape, low=-1.4, high=1.4) for shape in ((2, 4, 3, 2), (1, 2, 3, 2, 3)))
    cases = []
    for aligned, padding, mode in (
        (False, "zeros", "bilinear"),
        (True, "border", "bicubic"),
        (False, "reflection", "bilinear"),
        (True, "reflection", "bicubic"),
    ):
        options = {"padding_mode": padding, "align_corners": aligned}
        cases.append(Case(f"{padding}-{mode}", gradients(_sampled(mode=mode, **options)), [x, flat]))
        cases.append(Case(f"3d-{padding}-{aligned}", _sampled(**options), [y, deep]))
        cases.append(Case(f"gradients-3d-{padding}-{aligned}", gradients(_sampled(**options)), [y, deep]))
    cases.append(Case("nearest", _sampled(mode="nearest", align_corners=False), [y, deep]))
    cases.append(Case("gradients-nearest", gradients(_sampled(mode="nearest", align_corners=False)), [x, flat]))
    check_cases("resampling", cases)


def test_gradients_of_distances() -> None:
    draw = Inputs()
    x, y = draw.floats(5, 4), draw.floats(3, 4)
    same = torch.cat([y[:1], draw.floats(2, 4)])
    cases = [
        Case(f"cdist-{p}", gradients(lambda x, y, p=p: torch.cdist(x, y, p)), [x, y]) for p in (0.0, 1.0, 2.0, 3.5)
    ]
    cases += [Case(f"pdist-{p}", gradients(lambda x, p=p: torch.pdist(x, p)), [x]) for p in (1.0, 2.0, torch.inf)]
    cases.append(Case("equal", gradients(lambda x, y: torch.cdist(x, y, 1.5)), [same, y]))
    check_cases("normalization", cases)


def test_gradients_of_pads_and_shrinking() -> None:
    draw = Inputs()
    x, y = draw.floats(2, 3, 5, 4), draw.floats(1, 2, 3, 4, 2)
    cases = [
        Case("replicate-1d", gradients(lambda x: F.pad(x, (2, 3), mode="replicate")), [draw.floats(2, 3, 4)]),
        Case("replicate", gradients(lambda x: F.pad(x, (1, 2, 0, 3), mode="replicate")), [x]),
        Case("replicate-3d", gradients(lambda x: F.pad(x, (1, 0, 2, 1, 0, 1), mode="replicate")), [y]),
        Case("reflect", gradients(lambda x: F.pad(x, (1, 2, 0, 3), mode="reflect")), [x]),
        Case("circular", gradients(lambda x: F.pad(x, (1, 2, 0, 3), mode="circular")), [x]),
        Case("shrink", gradients(lambda x: F.hardshrink(x, 0.7) * F.softshrink(x, 0.4)), [x]),
        Case("masked", gradients(_masked), [draw.floats(3, 5), draw.bools(3, 5), draw.floats(4, 5)]),
        Case(
            "weight-norm", gradients(lambda v, g: torch._weight_norm(v, g, 0)), [draw.floats(4, 5), draw.floats(4, 1)]
        ),
    ]
    check_cases("normalization", cases)


def test_gradients_of_losses() -> None:
    draw = Inputs()
    x, target, weight = draw.floats(4, 5), draw.integers(4, low=0, high=4), draw.floats(5, low=0.1)
    labels = torch.tensor([[0, 3, -1, 1, 2], [4, -1, -1, -1, -1], [-1, 2, 3, 0, 0], [1, 2, 3, 4, 0]])
    cases = []
    for reduction in ("mean", "sum", "none"):
        multi, many = _loss(F.multi_margin_loss, reduction), _loss(F.multilabel_margin_loss, reduction)
        soft = gradients(lambda x, y, r=reduction: F.soft_margin_loss(x, y.to(x.dtype), reduction=r))
        cases += [Case(f"multi-{reduction}", multi, [x, target]), Case(f"labels-{reduction}", many, [x, labels])]
        cases += [Case(f"nll-{reduction}", _loss(F.cross_entropy, reduction), [x, target])]
        cases += [Case(f"soft-{reduction}", soft, [x, draw.integers(4, 5)])]
    squares = gradients(lambda x, t, w: F.multi_margin_loss(x, t, 2, 0.6, w.detach()) + w.sum())
    cases.append(Case("squares", squares, [x, target, weight]))
    check_cases("normalization", cases)


def test_the_small_gradients_of_a_soft_margin() -> None:
    x = torch.linspace(-30, 30, 31)
    found = soft_margin_loss_backward(torch.ones(31), x, torch.ones(31), 0)
    torch.testing.assert_close(found.double(), -(-x.double()).sigmoid(), rtol=1e-5, atol=0)


def _loss(function: Any, reduction: str) -> Any:
    return gradients(lambda x, target: function(x, target, reduction=reduction))


def _masked(x: torch.Tensor, mask: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    return x.masked_scatter(mask, source)
