"""The host's program from the plan dialect to the plain data that the runtime executes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from stepwell.dialects.graph.data_dependent import SizeCheck
from stepwell.dialects.graph.types import meta_of
from stepwell.dialects.plan import BranchOp, ControlOperation, LaunchOp, PreparedOp, ReadSizeOp, SymbolOp
from stepwell.passes.transforms.planning.lifetimes import root_of
from stepwell.runtime.plan import (
    PLAN_VERSION,
    Branch,
    BufferRef,
    KernelInfo,
    Launch,
    Loop,
    Plan,
    Program,
    ReadSize,
    Step,
    SymbolDef,
    TensorRef,
)
from stepwell.support.bindings import ir
from stepwell.support.dtypes import DType
from stepwell.support.errors import CompileError
from stepwell.support.locations import plain_location
from stepwell.support.signature import Signature
from stepwell.support.size_guard import SizeGuard
from stepwell.support.symbolic import Expr

# Source ops named per launch; a launch of hundreds would drown the report.
MAX_SOURCES = 8


def translate(module: "ir.Operation", kernels: Mapping[str, KernelInfo], signature: Signature) -> Plan:
    """Return the plan of a program at stage ``kernels`` that ``plan-buffers`` has run on.

    Raises:
        CompileError: it is not at that stage, a launch has no placements, or ``prepare`` needs what callers pass.
    """
    functions = host_functions(module)
    if "main" not in functions:
        raise CompileError("the program has no host function @main", fix="run form-kernels and plan-buffers on it")
    numbers = list(range(len(signature.arguments)))
    main = _translate_function(functions["main"], numbers, functions)
    # Below the graph stage integers carry no sign, so that the signature alone tells uint8 from int8.
    dtypes = [spec.dtype for spec in signature.results]
    main = replace(main, guards=signature.guards, results=tuple(map(_with_dtype, main.results, dtypes)))
    prepare = None
    if "prepare" in functions:
        known = _argument_numbers(functions["prepare"])
        _check_prepare(known, signature)
        prepare = _translate_function(functions["prepare"], known, functions)
    return Plan(PLAN_VERSION, main, prepare, dict(kernels), signature)


def _check_prepare(numbers: Sequence[int], signature: Signature) -> None:
    """Refuse a ``prepare`` that reads what only a call brings."""
    passed = {number for number, _ in signature.inputs.paths()}
    names = [signature.arguments[number].name for number in numbers if number in passed]
    if names:
        raise CompileError(
            f"@prepare runs once and before any call, but reads what callers pass: {', '.join(names)}",
            fix="detach parameters, or read a module from text, at stage 'linalg' or above",
        )


def _with_dtype(tensor: TensorRef, dtype: DType) -> TensorRef:
    # A complex tensor lies in a real one, whose last dimension holds both parts.
    return replace(tensor, dtype=dtype, shape=tensor.shape[:-1] if dtype.is_complex else tensor.shape)


def host_functions(module: Any) -> dict[str, Any]:
    """Return the functions of the host by name."""
    operations = [op.operation for op in module.regions[0].blocks[0].operations]
    return {op.attributes["sym_name"].value: op for op in operations if op.name == "func.func"}


def kernel_modules(module: Any) -> dict[str, Any]:
    """Return the kernels' modules by name."""
    operations = [op.operation for op in module.regions[0].blocks[0].operations]
    return {op.attributes["sym_name"].value: op for op in operations if op.name == "builtin.module"}


def _argument_numbers(function: Any) -> list[int]:
    if "arg_attrs" not in function.attributes:
        return []
    return [attributes["stepwell.argument"].value for attributes in function.attributes["arg_attrs"]]


class _Places:
    """Where each tensor of a function lives."""

    def __init__(self, function: Any, numbers: Sequence[int]) -> None:
        arguments = function.regions[0].blocks[0].arguments
        self.found: dict[Any, BufferRef] = {
            argument: BufferRef("argument", number) for argument, number in zip(arguments, numbers, strict=True)
        }

    def add(self, op: Any) -> None:
        """Note the places of an op's results."""
        if isinstance(op, PreparedOp):
            self.found[op.output] = BufferRef("prepared", op.index.value)
        elif isinstance(op, LaunchOp | ControlOperation):
            if "placements" not in op.operation.attributes:
                raise CompileError("a launch has no placements", fix="run plan-buffers")
            for value, placement in zip(op.outputs, op.operation.attributes["placements"], strict=True):
                self.found[value] = _placement(placement)

    def tensor(self, value: Any) -> TensorRef:
        """Return a tensor, through views."""
        meta = meta_of(value)
        root, elements = root_of(value)
        base = self.found[root]
        place = BufferRef(base.space, base.index, base.offset + elements * meta.dtype.itemsize)
        return TensorRef(place, meta.dtype, meta.shape)

    def tensors(self, values: Sequence[Any]) -> tuple[TensorRef, ...]:
        """Return several tensors."""
        return tuple(map(self.tensor, values))


def _placement(attribute: Any) -> BufferRef:
    space = attribute["space"].value
    if space == "result":
        return BufferRef("result", attribute["index"].value)
    index = attribute["index"].value if "index" in attribute else 0
    return BufferRef(space, index, Expr.parse(attribute["offset"].value))


def _translate_function(function: Any, numbers: Sequence[int], functions: Mapping[str, Any]) -> Program:
    places = _Places(function, numbers)
    arguments = list(function.regions[0].blocks[0].arguments)
    symbols: list[SymbolDef] = []
    steps: list[Step] = []
    *body, terminator = list(function.regions[0].blocks[0].operations)
    for op in body:
        places.add(op)
        if isinstance(op, SymbolOp):
            symbols.append(SymbolDef(op.label.value, arguments.index(op.argument), op.dim.value))
        elif isinstance(op, LaunchOp):
            steps.append(_launch(op, places))
        elif isinstance(op, ReadSizeOp):
            steps.append(_read_size(op, places))
        elif isinstance(op, ControlOperation):
            inner = {name: _translate_inner(functions[name], functions) for name in op.functions}
            steps.append(_branch(op, places, inner) if isinstance(op, BranchOp) else _loop(op, places, inner))
    results = places.tensors(terminator.operands)
    arena = Expr.parse(function.attributes["stepwell.arena"].value)
    return Program(tuple(symbols), (), arena, tuple(steps), results)


def _translate_inner(function: Any, functions: Mapping[str, Any]) -> Program:
    """Translate a function that a step runs; it knows the sizes of the program around it."""
    numbers = range(len(function.regions[0].blocks[0].arguments))
    return replace(_translate_function(function, numbers, functions), symbols=())


def _branch(op: Any, places: _Places, inner: Mapping[str, Program]) -> Branch:
    then, otherwise = (inner[name] for name in op.functions)
    (scratch,) = map(_placement, op.operation.attributes["scratch"])
    return Branch(
        predicate=places.tensor(op.predicate),
        inputs=places.tensors(op.inputs),
        outputs=places.tensors(op.outputs),
        scratch=scratch,
        then=then,
        otherwise=otherwise,
        source=sources(op.location),
    )


def _loop(op: Any, places: _Places, inner: Mapping[str, Program]) -> Loop:
    *condition, body = (inner[name] for name in op.functions)
    scratch, predicate, *state = map(_placement, op.operation.attributes["scratch"])
    return Loop(
        inputs=places.tensors(op.inputs),
        outputs=places.tensors(op.outputs),
        carried=op.carried.value,
        scanned=op.scanned.value,
        body=body,
        condition=condition[0] if condition else None,
        trips=None if op.trips is None else Expr.parse(op.trips.value),
        scratch=scratch,
        predicate=predicate,
        state=tuple(state),
        source=sources(op.location),
    )


def _launch(op: Any, places: _Places) -> Launch:
    return Launch(
        kernel=ir.SymbolRefAttr(op.kernel).value[0],
        inputs=places.tensors(op.inputs),
        outputs=places.tensors(op.outputs),
        scalars=tuple(Expr.parse(size.value) for size in op.sizes),
        source=sources(op.location),
    )


def _read_size(op: Any, places: _Places) -> ReadSize:
    attributes = op.operation.attributes
    return ReadSize(
        symbol=op.label.value,
        tensor=places.tensor(op.count),
        minimum=None if op.minimum is None else Expr.parse(op.minimum.value),
        maximum=None if op.maximum is None else Expr.parse(op.maximum.value),
        checks=tuple(map(_guard, op.checks or ())),
        arena_bytes=Expr.parse(attributes["arena"].value) if "arena" in attributes else Expr.const(0),
        source=sources(op.location),
    )


def _guard(attribute: Any) -> SizeGuard:
    check = SizeCheck.of(attribute)
    return SizeGuard(check.expr, check.minimum, check.maximum, text=check.text)


def sources(location: Any) -> tuple[str, ...]:
    """Return the ops a location names, as ``conv2d model.py:12``."""
    parts = list(location.locations) if location.is_a_fused() else [location]
    found: dict[str, None] = {}
    for part in parts:
        place = plain_location(part)
        if place is not None:
            found[f"{place.name} {Path(place.file).name}:{place.line}".strip()] = None
        elif part.is_a_name():
            found[part.name_str] = None
    listed = tuple(found)
    if len(listed) > MAX_SOURCES:
        return (*listed[:MAX_SOURCES], f"and {len(listed) - MAX_SOURCES} more")
    return listed
