"""Resize and Upsample."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as functions

from stepwell.frontends.onnx.registry import Call, operator
from stepwell.frontends.onnx.values import Value, integers
from stepwell.support.errors import ImportProgramError

# What torch calls a mode, by the number of dimensions.
_MODES = {
    1: {"linear": "linear"},
    2: {"linear": "bilinear", "cubic": "bicubic"},
    3: {"linear": "trilinear"},
}
_ROUNDINGS: dict[str, Callable[[Any], Any]] = {
    "round_prefer_floor": lambda place: (place - 0.5).ceil(),
    "round_prefer_ceil": lambda place: (place + 0.5).floor(),
    "floor": torch.floor,
    "ceil": torch.ceil,
}
# Attributes with any other value than these are refused.
_PLAIN = {
    "antialias": 0,
    "axes": None,
    "cubic_coeff_a": -0.75,
    "exclude_outside": 0,
    "keep_aspect_ratio_policy": "stretch",
}


@operator("Resize")
def resize(call: Call, x: Any, roi: Any = None, scales: Value = None, sizes: Value = None) -> Any:
    for name, value in _PLAIN.items():
        if call.get(name, value) != value:
            raise ImportProgramError(f"node '{call.name}': Resize with {name} = {call.get(name)} is not supported")
    wanted, factors = _wanted(call, x, 2, sizes)
    how = call.get("coordinate_transformation_mode", "half_pixel")
    if call.get("mode", "nearest") == "nearest":
        return _nearest(call, x, wanted, factors, how, call.get("nearest_mode", "round_prefer_floor"))
    return _interpolated(call, x, wanted, factors, how)


@operator("Upsample")
def upsample(call: Call, x: Any, scales: Value = None) -> Any:
    wanted, factors = _wanted(call, x, 1, None)
    if call.get("mode", "nearest") == "nearest":
        return _nearest(call, x, wanted, factors, "asymmetric", "floor")
    raise ImportProgramError(f"node '{call.name}': Upsample with mode '{call.get('mode')}' is not supported")


def _wanted(call: Call, x: Any, place: int, sizes: Value) -> tuple[list[Any], list[Any]]:
    """Return the sizes of all dimensions, and by which factors they grow: input ``place``, or an attribute."""
    if sizes is not None and sizes.shape[0]:
        wanted = integers(sizes, f"the sizes of '{call.name}'")
        return wanted, [want / have for want, have in zip(wanted, x.shape, strict=True)]
    factors = call.get("scales")
    if factors is None:
        if place not in call.constants:
            raise ImportProgramError(f"node '{call.name}': the scales of {call.operator} must be constants")
        factors = call.constants[place].tolist()
    return [int(size * factor) for size, factor in zip(x.shape, factors, strict=True)], list(factors)


def _nearest(call: Call, x: Any, wanted: Sequence[Any], factors: Sequence[Any], how: str, rounding: str) -> Any:
    """Read each element from a place in each dimension."""
    for dim, (want, factor) in enumerate(zip(wanted, factors, strict=True)):
        if factor == 1:
            continue
        numbers = torch.arange(want, dtype=torch.float32)
        match how:
            case "asymmetric":
                places = numbers / factor
            case "half_pixel" | "pytorch_half_pixel":
                places = (numbers + 0.5) / factor - 0.5
            case "align_corners":
                places = numbers * ((x.shape[dim] - 1) / (want - 1) if want > 1 else 0.0)
            case _:
                raise ImportProgramError(f"node '{call.name}': Resize with coordinates '{how}' is not supported")
        x = x.index_select(dim, _ROUNDINGS[rounding](places).long().clamp(0, x.shape[dim] - 1))
    return x


def _interpolated(call: Call, x: Any, wanted: Sequence[Any], factors: Sequence[Any], how: str) -> Any:
    mode = _MODES.get(x.dim() - 2, {}).get(call.get("mode"))
    # torch has no case of its own for one element.
    known = how == "half_pixel" or (how == "pytorch_half_pixel" and 1 not in wanted[2:])
    # ONNX aligns the corners of sizes that are no whole numbers.
    grown = zip(x.shape[2:], factors[2:], wanted[2:], strict=True)
    known = known or (how == "align_corners" and all(have * factor == want for have, factor, want in grown))
    if mode is None or not known or list(factors[:2]) != [1, 1]:
        raise ImportProgramError(
            f"node '{call.name}': Resize with mode '{call.get('mode')}' and coordinates '{how}' of "
            f"{x.dim()} dimensions is not supported"
        )
    if how == "align_corners":
        return functions.interpolate(x, list(wanted[2:]), mode=mode, align_corners=True)
    if all(isinstance(factor, float) for factor in factors[2:]):
        return functions.interpolate(x, scale_factor=list(factors[2:]), mode=mode, recompute_scale_factor=False)
    return functions.interpolate(x, list(wanted[2:]), mode=mode)
