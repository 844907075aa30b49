"""Make a program of linalg on tensors, as other importers write it, one of stage ``linalg``.

Takes a module without a stage, after ``linalg-generalize-named-ops``, in which one public function is the program, and
gives what ``verify-linalg`` checks:

- the function is called @main, and its arguments have names;
- dynamic dimensions of arguments have names; two that one op loops over together are one size, and have one name;
- a generic that only fills is ``linalg.fill`` again, and generics read scalars from outside, not as operands;
- globals that nothing reads are gone.

Refuses a module with no such function, or with several.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from stepwell.passes.base import Pass, PassFailure, register_pass
from stepwell.passes.transforms.kernel_interface import SIZES
from stepwell.support.bindings import ir, linalg
from stepwell.support.locations import plain_location
from stepwell.support.stages import Stage

_Key = tuple[Any, int]


@register_pass
@dataclass(frozen=True)
class AdoptLinalgPass(Pass):
    """Name the program, its arguments and its sizes."""

    name: ClassVar[str] = "adopt-linalg"
    summary: ClassVar[str] = "make linalg on tensors from elsewhere a program of stage linalg"
    stage: ClassVar[Stage | None] = None
    gives: ClassVar[Stage | None] = None

    def apply(self, op: "ir.Operation") -> None:
        """Change the module in place."""
        function = _program(op)
        _drop_globals(op)
        function.attributes["sym_name"] = ir.StringAttr.get("main")
        for child in list(function.regions[0].blocks[0].operations):
            if child.operation.name == "linalg.generic":
                _read_scalars_from_outside(child.operation)
        arguments = list(function.regions[0].blocks[0].arguments)
        names = _size_names(function, arguments)
        function.attributes["arg_attrs"] = ir.ArrayAttr.get(
            [_attributes(number, argument, names) for number, argument in enumerate(arguments)]
        )


def _program(module: Any) -> Any:
    public = [
        child.operation
        for child in module.regions[0].blocks[0].operations
        if child.operation.name == "func.func"
        and "sym_visibility" not in child.operation.attributes
        and len(child.operation.regions[0].blocks)
    ]
    if len(public) != 1:
        found = ", ".join(f"@{each.attributes['sym_name'].value}" for each in public) or "none"
        raise PassFailure(
            f"the module must hold one public function, which is the program; it holds {found}",
            fix="make the others private",
            location=plain_location(module.location),
        )
    return public[0]


def _drop_globals(module: Any) -> None:
    text = str(module)
    for child in list(module.regions[0].blocks[0].operations):
        if child.operation.name == "ml_program.global":
            symbol = child.operation.attributes["sym_name"].value
            # Its own name, and no other.
            if text.count(f"@{symbol}") == 1:
                child.operation.erase()


def _read_scalars_from_outside(op: Any) -> None:
    """Rebuild a generic without its scalar operands: uses of them in the body become uses of the values."""
    generic = op.opview
    inputs, outputs = list(generic.inputs), list(generic.outputs)
    scalars = [not isinstance(value.type, ir.RankedTensorType) for value in inputs]
    if not any(scalars):
        return
    block = op.regions[0].blocks[0]
    body = list(block.operations)
    if len(body) == 1 and len(inputs) == 1 and body[0].operands[0] == block.arguments[0]:
        with ir.InsertionPoint(op), op.location:
            filled = linalg.fill(inputs[0], outs=outputs)
        op.results[0].replace_all_uses_with(filled)
        op.erase()
        return
    for argument, value, is_scalar in zip(list(block.arguments), inputs, scalars, strict=False):
        if is_scalar:
            argument.replace_all_uses_with(value)
    maps = list(generic.indexing_maps)
    kept = [number for number, is_scalar in enumerate(scalars) if not is_scalar]
    with ir.InsertionPoint(op), op.location:
        made = linalg.GenericOp(
            [result.type for result in op.results],
            [inputs[number] for number in kept],
            outputs,
            ir.ArrayAttr.get([*(maps[number] for number in kept), *maps[len(inputs) :]]),
            generic.iterator_types,
        )
    for number in reversed([number for number, is_scalar in enumerate(scalars) if is_scalar]):
        block.erase_argument(number)
    block.append_to(made.operation.regions[0])
    for old, new in zip(op.results, made.operation.results, strict=True):
        old.replace_all_uses_with(new)
    op.erase()


class _Classes:
    """Which sizes are equal: a size is a dimension of a value, or an index value."""

    def __init__(self) -> None:
        self._parents: dict[Any, Any] = {}

    def find(self, key: Any) -> Any:
        """Return what stands for all sizes that equal ``key``."""
        while key in self._parents:
            key = self._parents[key]
        return key

    def join(self, first: Any, second: Any) -> None:
        """Note that two sizes are equal."""
        first, second = self.find(first), self.find(second)
        if first != second:
            self._parents[second] = first


def _size_names(function: Any, arguments: list[Any]) -> dict[_Key, str]:
    """Return the name of each dynamic dimension of an argument."""
    classes = _Classes()
    for child in function.regions[0].blocks[0].operations:
        for first, second in _equal_sizes(child.operation):
            classes.join(first, second)
    names: dict[Any, str] = {}
    found: dict[_Key, str] = {}
    for argument in arguments:
        for dim in _dynamic_dims(argument):
            root = classes.find((argument, dim))
            found[argument, dim] = names.setdefault(root, f"s{len(names)}")
    return found


def _equal_sizes(op: Any) -> Iterator[tuple[Any, Any]]:
    """Yield pairs of sizes that an op says are equal."""
    if op.name == "tensor.dim":
        source, position = op.operands
        if isinstance(position.owner, ir.Operation | ir.OpView) and position.owner.name == "arith.constant":
            yield (source, position.owner.attributes["value"].value), op.results[0]
    elif op.name == "tensor.empty":
        for dim, size in zip(_dynamic_dims(op.results[0]), op.operands, strict=True):
            yield (op.results[0], dim), size
    elif op.name in ("tensor.cast", "linalg.fill"):
        source = op.operands[-1]
        for dim in range(ir.RankedTensorType(source.type).rank):
            yield (source, dim), (op.results[0], dim)
    elif op.name == "linalg.generic":
        yield from _equal_in_loops(op)


def _equal_in_loops(op: Any) -> Iterator[tuple[Any, Any]]:
    first: dict[int, Any] = {}
    operands, count = list(op.operands), len(op.opview.outputs)
    maps = [attribute.value for attribute in op.attributes["indexing_maps"]]
    pairs = [*zip(operands, maps, strict=True), *zip(op.results, maps[-count:], strict=True)]
    for value, map_ in pairs:
        for dim, expr in enumerate(map_.results):
            if isinstance(expr, ir.AffineDimExpr):
                yield first.setdefault(expr.position, (value, dim)), (value, dim)


def _dynamic_dims(value: Any) -> list[int]:
    if not isinstance(value.type, ir.RankedTensorType):
        return []
    kind = ir.RankedTensorType(value.type)
    return [dim for dim in range(kind.rank) if kind.is_dynamic_dim(dim)]


def _attributes(number: int, argument: Any, names: dict[_Key, str]) -> Any:
    entries = {"stepwell.name": ir.StringAttr.get(f"arg{number}"), "stepwell.kind": ir.StringAttr.get("user")}
    if dims := _dynamic_dims(argument):
        entries[SIZES] = ir.ArrayAttr.get([ir.StringAttr.get(names[argument, dim]) for dim in dims])
    return ir.DictAttr.get(entries)
