"""Is a result right?  Structure, dtype, shape and values, against eager torch and against float64."""

import math
from typing import Any

import torch
from torch.utils import _pytree as pytree

# Roundings of the dtype that a compiled op may add to what eager torch does: the kernels of one op hold long sums.
ROUNDINGS = 16


def difference(got: Any, eager: Any, exact: Any, *, values: bool = True) -> str:
    """Return what is wrong with the result of one sample, or "".

    Args:
        got: what the compiled program returned.
        eager: what torch returns: fixes structure, dtype and shape; whole numbers and NaN, with ``exact``.
        exact: the same computed in float64.
        values: compare the elements too.
    """
    if fault := _structure(got, eager, "result"):
        return fault
    plain, best = pytree.tree_leaves(eager), pytree.tree_leaves(exact)
    for number, (y, reference) in enumerate(zip(pytree.tree_leaves(got), plain, strict=True)):
        fault = _leaf(y, reference, best[number] if len(best) == len(plain) else reference, values)
        if fault:
            return f"result {number}: {fault}" if len(plain) > 1 else fault
    return ""


def _structure(got: Any, eager: Any, where: str) -> str:
    """Compare containers; torch's own named results may be plain tuples, which is what artifacts know."""
    if not isinstance(eager, tuple | list | dict):
        return f"{where} is a {type(got).__name__}" if isinstance(got, tuple | list | dict) else ""
    kind = next(plain for plain in (list, dict, tuple) if isinstance(eager, plain))
    if not isinstance(got, kind) or len(got) != len(eager):
        return f"{where} is a {type(got).__name__}, not a {kind.__name__} of {len(eager)}"
    if isinstance(eager, dict):
        if list(got) != list(eager):
            return f"{where} has keys {list(got)}, not {list(eager)}"
        pairs = [(got[key], eager[key], f"{where}[{key!r}]") for key in eager]
    else:
        pairs = [(a, b, f"{where}[{i}]") for i, (a, b) in enumerate(zip(got, eager, strict=True))]
    return next((fault for pair in pairs if (fault := _structure(*pair))), "")


def _leaf(got: Any, eager: Any, exact: Any, values: bool) -> str:
    if not isinstance(eager, torch.Tensor):
        same = type(got) is type(eager) and (got == eager or got != got)
        return "" if same else f"got {got!r}, eager {eager!r}"
    if not isinstance(got, torch.Tensor):
        return f"a {type(got).__name__}, not a tensor"
    if got.dtype is not eager.dtype:
        return f"dtype {got.dtype}, not {eager.dtype}"
    if got.shape != eager.shape:
        return f"shape {list(got.shape)}, not {list(eager.shape)}"
    return _elements(got, eager, exact) if values and got.numel() else ""


def _elements(got: torch.Tensor, eager: torch.Tensor, exact: torch.Tensor) -> str:
    got, eager, exact = (tensor.detach().resolve_conj().resolve_neg().to_dense() for tensor in (got, eager, exact))
    if exact.shape != eager.shape:
        exact = eager
    if not (got.dtype.is_floating_point or got.dtype.is_complex):
        # What is counted or ordered in a narrow type may be either.
        wrong = (got != eager) & (got != exact)
        return _first(wrong, got, eager, exact) if wrong.any() else ""
    if got.dtype.is_complex:
        got, eager, exact = (torch.view_as_real(_complex(tensor)) for tensor in (got, eager, exact))
    y, reference, best = got.double(), eager.double(), exact.double()
    finite = torch.isfinite(y) & torch.isfinite(reference) & torch.isfinite(best)
    error, eager_error, size = (y - best).abs(), (reference - best).abs(), best.abs()
    if finite.all():
        wrong = torch.zeros_like(finite)
    else:
        # Where a narrow type overflows on the way depends on where it rounds.
        rounded = exact.to(eager.dtype).double()
        wrong = ~(_same_special(y, reference) | _same_special(y, rounded))
        error, eager_error, size = (torch.where(finite, part, 0.0) for part in (error, eager_error, size))
    info = torch.finfo(eager.dtype)
    wrong |= error > 4 * eager_error.max() + ROUNDINGS * info.eps * max(size.max().item(), info.tiny)
    return _first(wrong, got, eager, exact) if wrong.any() else ""


def _complex(tensor: torch.Tensor) -> torch.Tensor:
    return tensor if tensor.dtype.is_complex else torch.complex(tensor.double(), torch.zeros_like(tensor.double()))


def _same_special(got: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Return where both are finite, both NaN, or the same infinity."""
    special = ~torch.isfinite(got) | ~torch.isfinite(wanted)
    return ~special | (torch.isnan(got) & torch.isnan(wanted)) | (got == wanted)


def _first(wrong: torch.Tensor, got: torch.Tensor, eager: torch.Tensor, exact: torch.Tensor) -> str:
    where = tuple(wrong.nonzero()[0].tolist())
    return (
        f"{int(wrong.sum())} of {wrong.numel()} elements differ, first at {list(where)}: "
        f"got {got[where].item()}, eager {eager[where].item()}, float64 {exact[where].item()}"
    )


def same(a: Any, b: Any) -> bool:
    """Return whether two results are equal to the bit, NaN apart."""
    first, second = pytree.tree_leaves(a), pytree.tree_leaves(b)
    return len(first) == len(second) and all(map(_same_leaf, first, second))


def _same_leaf(a: Any, b: Any) -> bool:
    if not (isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor)):
        return type(a) is type(b)
    if a.shape != b.shape or a.layout is not torch.strided:
        return a.shape == b.shape
    return bool(torch.equal(a, b) or torch.all((a == b) | ((a != a) & (b != b))))


# Where equal elements end up, torch leaves open for these; their argument ``dim`` is at this position.
_DIM_AT = {"argsort": 1, "kthvalue": 2, "mode": 1, "msort": 1, "sort": 1, "topk": 2}
_PERMUTING = ("argsort", "sort")


def with_places_as_values(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> Any:
    """Return a result in which positions of elements are the elements, for the ops that may choose among equal ones.

    A permutation of positions is also given as the sorted positions.  Other results are returned as they are.
    """
    if name not in _DIM_AT or kwargs.get("stable"):
        return result
    operand, at = args[0], _DIM_AT[name]
    dim = kwargs.get("dim", args[at] if len(args) > at else -1)

    def leaf(value: Any) -> Any:
        if value.dtype is not torch.int64 or (name != "argsort" and value is pytree.tree_leaves(result)[0]):
            return value
        places = value.unsqueeze(dim) if value.dim() < operand.dim() else value
        picked = torch.take_along_dim(operand, places, dim) if operand.dim() else operand
        return (picked, value.sort(dim).values) if name in _PERMUTING and operand.dim() else picked

    return pytree.tree_map(leaf, result)


def implausible(got: Any, draws: list[Any]) -> str:
    """Return why random results cannot be of the distribution that eager torch draws from, or "".

    The mean of each result's arc tangent, which heavy tails do not move, is held against those of eager's draws: six of
    their standard deviations, and a rounding.
    """
    for number, y in enumerate(pytree.tree_leaves(got)):
        if not isinstance(y, torch.Tensor) or not y.numel() or y.dtype.is_complex:
            continue
        means = [_centre(pytree.tree_leaves(draw)[number]) for draw in draws]
        centre, own = sum(means) / len(means), _centre(y)
        spread = math.sqrt(sum((mean - centre) ** 2 for mean in means) / (len(means) - 1))
        rounding = torch.finfo(y.dtype).eps if y.dtype.is_floating_point else 0.0
        if not abs(own - centre) <= 6 * spread + rounding:
            return f"result {number}: a random result is around {own}, eager's draws around {centre} +- {spread}"
    return ""


def _centre(y: torch.Tensor) -> float:
    return y.double().nan_to_num().atan().mean().item()
