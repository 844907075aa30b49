"""Calls on lists of tensors, which optimizers make: one call for each tensor."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from stepwell.frontends.torch.compositions import composes

# Where the name behind ``_foreach_`` is not that of the op on one tensor.
_NAMES = {"maximum": "clamp_min", "minimum": "clamp_max", "max": "amax"}
# Their last positional argument goes by name where there is one tensor.
_WITH_VALUE = ("addcmul", "addcdiv")


@composes("prims.fma.default")
def fma(first: Tensor, second: Tensor, addend: Tensor) -> Tensor:
    """Kernels round a product and a sum at once."""
    return first * second + addend


def _each(op: Any, function: Callable[..., Tensor], named: bool) -> Callable[..., Any]:
    """Return the composition of an overload on lists, by ``function`` on one tensor of each."""
    listed = [argument.name for argument in op._schema.arguments if isinstance(argument.type, torch.ListType)]
    order = [argument.name for argument in op._schema.arguments if not argument.kwarg_only]

    def composed(*args: Any, **kwargs: Any) -> list[Tensor]:
        given = dict(zip(order, args, strict=False)) | kwargs
        made = []
        for position in range(len(given[listed[0]])):
            one = {name: value[position] if name in listed else value for name, value in given.items()}
            positional = [one.pop(name) for name in order if name in one]
            if named and len(positional) > 3:
                one["value"] = positional.pop()
            made.append(function(*positional, **one))
        return made

    return composed


def _norm(operand: Tensor, ord: float = 2, dtype: Any = None) -> Tensor:
    return torch.linalg.vector_norm(operand, ord, dtype=dtype)


def _copy(operand: Tensor, source: Tensor, non_blocking: bool = False) -> Tensor:
    return source.to(operand.dtype).expand(operand.shape).clone()


_FUNCTIONS: dict[str, Callable[..., Tensor]] = {"norm": _norm, "copy": _copy, "zero": torch.zeros_like}


def _takes_tensor_of_scalars(op: Any) -> bool:
    """Tell whether an overload takes its numbers as the elements of a tensor."""
    return any(argument.name == "scalars" and "Tensor" in str(argument.type) for argument in op._schema.arguments)


def _register() -> None:
    names = {name.split("::")[1].split(".")[0] for name in torch._C._dispatch_get_all_op_names()}
    for name in sorted(name for name in names if name.startswith("_foreach_") and not name.endswith("_")):
        base = name.removeprefix("_foreach_")
        packet = getattr(torch.ops.aten, name, None)
        function = _FUNCTIONS.get(base) or getattr(torch.ops.aten, _NAMES.get(base, base), None)
        if packet is None or function is None:
            continue
        for overload in packet.overloads():
            op = getattr(packet, overload)
            if not op._schema.is_mutable and not _takes_tensor_of_scalars(op):
                composes(f"aten.{name}.{overload}")(_each(op, function, base in _WITH_VALUE))


_register()
