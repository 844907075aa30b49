"""Comparisons and selections: set, setp, selp, slct. Source: PTX ISA, "Comparison and Selection Instructions"."""

from collections.abc import Callable

import numpy as np

from stepwell.runtime.simulator.instructions.elementwise import compute
from stepwell.runtime.simulator.instructions.floating_point import flushed
from stepwell.runtime.simulator.machine.binding import Binder
from stepwell.runtime.simulator.machine.lanes import Array, Lanes
from stepwell.runtime.simulator.machine.registry import Step, instruction
from stepwell.runtime.simulator.numbers.formats import decoder
from stepwell.runtime.simulator.ptx.module import Instruction, Sink
from stepwell.runtime.simulator.ptx.types import TYPES, PtxType

Function = Callable[[Array, Array], Array]
_ORDERED: dict[str, Function] = {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
}
_UNSIGNED = {"lo": "lt", "ls": "le", "hi": "gt", "hs": "ge"}
_COMBINE: dict[str, Function] = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor}
_COMPARED = (
    "b16",
    "b32",
    "b64",
    "u16",
    "u32",
    "u64",
    "s16",
    "s32",
    "s64",
    "f16",
    "f16x2",
    "bf16",
    "bf16x2",
    "f32",
    "f64",
)


def _either_nan(a: Array, b: Array) -> Array:
    return np.isnan(a) | np.isnan(b)


def _comparison(ins: Instruction, bind: Binder, kind: PtxType) -> tuple[str, Function]:
    """Return the comparison's name and its function on frames of the type."""
    floats = kind.name.startswith(("f", "bf"))
    unordered = [f"{name}u" for name in _ORDERED]
    name = ins.one_of(
        *_ORDERED, *(() if not floats else (*unordered, "num", "nan")), *(_UNSIGNED if not floats else ())
    )
    if not name:
        bind.fail("the comparison is missing")
    if not floats:
        return name, _ORDERED[_UNSIGNED.get(name, name)]
    if name == "num":
        function: Function = lambda a, b: ~_either_nan(a, b)  # noqa: E731
    elif name == "nan":
        function = _either_nan
    elif name == "ne":
        function = lambda a, b: (a != b) & ~_either_nan(a, b)  # noqa: E731
    elif name in _ORDERED:
        function = _ORDERED[name]
    else:
        plain = _ORDERED[name[:-1]]
        function = lambda a, b: plain(a, b) | _either_nan(a, b)  # noqa: E731
    decode = decoder(kind)
    if ins.has("ftz") and kind.name == "f32":
        return name, lambda a, b: function(flushed(a), flushed(b))
    return name, function if kind.name in ("f32", "f64") else lambda a, b: function(decode(a), decode(b))


@instruction("setp", group="compare")
def _set_predicate(ins: Instruction, bind: Binder) -> Step:
    kind = bind.type(*_COMPARED)
    name, compare = _comparison(ins, bind, kind)
    combine = ins.one_of(*_COMBINE)
    bind.only(name, combine, "ftz", kind.name)
    bind.count(4 if combine else 3)
    if kind.name in ("f16x2", "bf16x2"):
        return _set_two_predicates(ins, bind, kind, compare, combine)
    first, second = bind.pair(0)
    left, right = bind.source(1, kind), bind.source(2, kind)
    destination = bind.destination(first, "pred")
    if not combine and second is None:
        return compute(destination, compare, [left, right])
    other = bind.destination(second if second is not None else Sink(), "pred")
    extra = bind.source(3, "pred") if combine else None
    join = _COMBINE.get(combine)

    def step(lanes: Lanes) -> None:
        result = compare(left(lanes), right(lanes))
        opposite = ~result
        if extra is not None and join is not None:
            predicate = extra(lanes)
            result, opposite = join(result, predicate), join(opposite, predicate)
        destination(lanes, result)
        other(lanes, opposite)

    return step


def _set_two_predicates(ins: Instruction, bind: Binder, kind: PtxType, compare: Function, combine: str) -> Step:
    first, second = bind.pair(0)
    low = bind.destination(first, "pred")
    high = bind.destination(second if second is not None else Sink(), "pred")
    left, right = bind.source(1, kind), bind.source(2, kind)
    extra = bind.source(3, "pred") if combine else None
    join = _COMBINE.get(combine)

    def step(lanes: Lanes) -> None:
        result = compare(left(lanes), right(lanes))
        if extra is not None and join is not None:
            result = join(result, extra(lanes)[..., None])
        low(lanes, result[..., 0])
        high(lanes, result[..., 1])

    return step


@instruction("set", group="compare")
def _set(ins: Instruction, bind: Binder) -> Step:
    if len(ins.types) != 2:
        bind.fail("a result type and an operand type are expected")
    to, kind = bind.type("u32", "s32", "f32", which=0), bind.type(*_COMPARED)
    if kind.name in ("f16x2", "bf16x2"):
        bind.fail("packed operands are not supported here")
    name, compare = _comparison(ins, bind, kind)
    combine = ins.one_of(*_COMBINE)
    bind.only(name, combine, "ftz", *ins.types)
    bind.count(4 if combine else 3)
    true = np.array([1.0 if to.name == "f32" else -1], np.float32 if to.name == "f32" else np.int32)
    yes, no = true.view(to.dtype)[0], to.dtype.type(0)
    join = _COMBINE.get(combine)

    def function(a: Array, b: Array, *predicate: Array) -> Array:
        holds = compare(a, b)
        result: Array = np.where(join(holds, *predicate) if join is not None else holds, yes, no)
        return result

    operands = [bind.source(1, kind), bind.source(2, kind)]
    operands += [bind.source(3, "pred")] if combine else []
    return compute(bind.destination(0, to), function, operands)


@instruction("selp", group="compare")
def _select(ins: Instruction, bind: Binder) -> Step:
    kind = bind.type("b16", "b32", "b64", "u16", "u32", "u64", "s16", "s32", "s64", "f32", "f64", "f16", "bf16")
    bind.only(kind.name)
    bind.count(4)
    operands = [bind.source(3, "pred"), bind.source(1, kind), bind.source(2, kind)]
    return compute(bind.destination(0, kind), np.where, operands)


@instruction("slct", group="compare")
def _select_by_sign(ins: Instruction, bind: Binder) -> Step:
    if len(ins.types) != 2:
        bind.fail("two types are expected")
    kind, tested = TYPES[ins.types[0]], bind.type("s32", "f32")
    bind.only(*ins.types, "ftz")
    bind.count(4)
    ftz = ins.has("ftz") and tested.name == "f32"

    def function(a: Array, b: Array, c: Array) -> Array:
        return np.where((flushed(c) if ftz else c) >= 0, a, b)

    operands = [*(bind.source(number, kind) for number in (1, 2)), bind.source(3, tested)]
    return compute(bind.destination(0, kind), function, operands)
