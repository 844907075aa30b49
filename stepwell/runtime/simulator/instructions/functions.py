"""Division, roots and transcendental functions.

Source: PTX ISA, "Floating Point Instructions": div, rcp, sqrt, rsqrt, ex2, lg2, sin, cos, tanh. The ISA bounds the
error of the approximate forms; here each gives the exact result rounded to nearest, which lies within every such
bound. Code that relies on more accuracy than the ISA promises is therefore not found out.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from stepwell.runtime.simulator.instructions.elementwise import compute, sources
from stepwell.runtime.simulator.instructions.floating_point import MODES, modified
from stepwell.runtime.simulator.machine.binding import Binder
from stepwell.runtime.simulator.machine.lanes import Array
from stepwell.runtime.simulator.machine.registry import Step, instruction
from stepwell.runtime.simulator.numbers import rounding
from stepwell.runtime.simulator.ptx.module import Instruction
from stepwell.runtime.simulator.ptx.types import PtxType

Function = Callable[..., Array]


def _through_double(function: Function) -> Function:
    """Return a function that computes in float64 and rounds to the operand's type."""

    def rounded(a: Array) -> Array:
        result: Array = function(a.astype(np.float64)).astype(a.dtype)
        return result

    return rounded


_FUNCTIONS: dict[str, Function] = {
    "rcp": _through_double(lambda a: 1.0 / a),
    "sqrt": np.sqrt,
    "rsqrt": _through_double(lambda a: 1.0 / np.sqrt(a)),
    "ex2": _through_double(np.exp2),
    "lg2": _through_double(np.log2),
    "sin": _through_double(np.sin),
    "cos": _through_double(np.cos),
    "tanh": _through_double(np.tanh),
}

_APPROXIMATE = {
    "rcp": ("f32",),
    "sqrt": ("f32",),
    "rsqrt": ("f32", "f64"),
    "ex2": ("f32", "f16", "f16x2", "bf16", "bf16x2"),
    "lg2": ("f32",),
    "sin": ("f32",),
    "cos": ("f32",),
    "tanh": ("f32", "f16", "f16x2", "bf16", "bf16x2"),
}


def _divide_directed(kind: PtxType, mode: str) -> Function:
    if mode == "rn":
        return np.divide
    if kind.name == "f64":
        return lambda a, b: rounding.directed(a / b, rounding.double_error("div", a / b, a, b), mode)
    return partial(rounding.divide_single, mode=mode)


def _root_directed(kind: PtxType, mode: str) -> Function:
    if mode == "rn":
        return np.sqrt
    if kind.name == "f64":
        return lambda a: rounding.directed(np.sqrt(a), rounding.double_error("sqrt", np.sqrt(a), a), mode)
    return partial(rounding.root_single, mode=mode)


def divide(ins: Instruction, bind: Binder) -> Step:
    """Decode div of floating-point numbers."""
    kind = bind.type("f32", "f64")
    mode = ins.one_of(*MODES, "approx", "full")
    if not mode or (kind.name == "f64" and mode not in MODES):
        bind.fail("a rounding mode is missing")
    bind.only(mode, "ftz", kind.name)
    bind.count(3)
    function = _divide_directed(kind, mode if mode in MODES else "rn")
    return compute(bind.destination(0, kind), modified(function, ins, kind), sources(bind, kind))


@instruction("rcp", "sqrt", "rsqrt", "ex2", "lg2", "sin", "cos", "tanh", group="special")
def _function(ins: Instruction, bind: Binder) -> Step:
    kind = bind.type()
    bind.count(2)
    mode = ins.one_of(*MODES, "approx")
    bind.only(mode, "ftz", kind.name)
    if mode in MODES and ins.name in ("rcp", "sqrt"):
        bind.type("f32", "f64")
        if ins.name == "sqrt":
            function = _root_directed(kind, mode)
        else:
            over = _divide_directed(kind, mode)

            def function(a: Array) -> Array:
                return over(np.ones_like(a), a)

    elif mode == "approx" or ins.name == "tanh":
        allowed = _APPROXIMATE[ins.name]
        if kind.name == "f64" and ins.name in ("rcp", "rsqrt") and ins.has("ftz"):
            allowed = ("f64",)
        bind.type(*allowed)
        function = _FUNCTIONS[ins.name]
    else:
        bind.fail("a rounding mode, or .approx, is missing")
    return compute(bind.destination(0, kind), modified(function, ins, kind), sources(bind, kind))
