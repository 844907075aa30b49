"""Compare results with eager torch and with float64."""

import torch

from harness.tolerances import ELEMENT_BY_ELEMENT, ROUNDINGS


def difference(
    got: torch.Tensor, eager: torch.Tensor, exact: torch.Tensor, family: str, slack: torch.Tensor | None = None
) -> str:
    """Return what is wrong with a result, or "".

    Args:
        got: the result to judge.
        eager: what torch computes in the same dtype: fixes shape, dtype, NaN and infinities, and whole numbers exactly.
        exact: what torch computes in float64.
        family: the row of the tolerance table.
        slack: how much further each element may be from `exact`; float64, of the result's shape.
    """
    if got.dtype is not eager.dtype:
        return f"dtype {got.dtype}, not {eager.dtype}"
    if got.shape != eager.shape:
        return f"shape {list(got.shape)}, not {list(eager.shape)}"
    if not (got.dtype.is_floating_point or got.dtype.is_complex):
        wrong = got != eager
        return _first(wrong, got, eager, eager) if wrong.any() else ""
    wide = torch.complex128 if got.dtype.is_complex else torch.float64
    y, reference, best = got.to(wide), eager.to(wide), exact.to(wide)
    wrong = _special(y, reference)
    finite = torch.isfinite(y) & torch.isfinite(reference) & torch.isfinite(best)
    zero = torch.zeros(y.shape, dtype=torch.float64)
    error = torch.where(finite, (y - best).abs(), zero)
    eager_error = torch.where(finite, (reference - best).abs(), zero)
    size = torch.where(finite, best.abs(), zero)
    info = torch.finfo(eager.dtype)
    if family not in ELEMENT_BY_ELEMENT and size.numel():
        eager_error, size = eager_error.max(), size.max()
    # Results below the smallest normal number have fewer digits.
    allowed = 4 * eager_error + ROUNDINGS[family] * info.eps * torch.clamp(size, min=info.tiny)
    if slack is not None:
        allowed = allowed + slack
    wrong |= error > allowed
    return _first(wrong, got, eager, exact) if wrong.any() else ""


def _special(y: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Return where one is NaN or infinite and the other is not the same; of complex numbers in either part."""
    if y.is_complex():
        return _special(y.real, reference.real) | _special(y.imag, reference.imag)
    infinite = torch.isinf(reference) | torch.isinf(y)
    return (torch.isnan(y) != torch.isnan(reference)) | (infinite & (y != reference) & ~torch.isnan(y))


def _first(wrong: torch.Tensor, got: torch.Tensor, eager: torch.Tensor, exact: torch.Tensor) -> str:
    where = tuple(wrong.nonzero()[0].tolist())
    return (
        f"{int(wrong.sum())} of {wrong.numel()} elements differ, first at {list(where)}: "
        f"got {got[where].item()}, eager {eager[where].item()}, float64 {exact[where].item()}"
    )
