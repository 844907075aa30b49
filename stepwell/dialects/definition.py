"""Define dialects in Python, in the class syntax of upstream's ``mlir.dialects.ext``.

    class Graph(Dialect, name="graph"): ...

    class ReluOp(Graph.Operation, name="relu", traits=[Pure]):
        operand: Operand[ir.RankedTensorType]
        result: Result[ir.RankedTensorType]

Annotations are the single source of an op's operands, attributes, results and regions: the builder's parameters, the
accessors and the IRDL definition are all made from them.  ``Optional[Operand[T]]`` and ``Sequence[Operand[T]]`` are
variadic; an attribute annotated ``SomeAttr | None`` is optional.

The installed bindings (22.1) lack upstream's own module, and these properties of their IRDL shape the code below:

* A constraint value is a variable: used twice, it forces both uses to be the same type.  Each operand gets its own.
  For the same reason a variadic forces one type on all its elements, so ``Sequence`` fields are spelled as
  ``max_elements`` optional operands behind one accessor where ``mixed=True`` asks for it.
* ``any_of`` over base types aborts the process, so type constraints are checked here, in ``verify_fields``.
* There are no optional attributes, traits or interfaces: optional attributes stay out of IRDL, and traits are data
  that our own passes read.
* Loading a dialect twice into one context aborts the process: ``load`` is called once, where the context is made.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from types import UnionType
from typing import Any, ClassVar, Optional, Union, get_args, get_origin

from stepwell.support.bindings import ir, irdl, native, ods_common

__all__ = [
    "Dialect",
    "Operand",
    "OperationBase",
    "Optional",
    "Pure",
    "Region",
    "Result",
    "Sequence",
    "operand",
    "result",
]

Operand = ir.Value
Result = ir.OpResult
Region = ir.Region
_Variadicity = irdl.Variadicity


class Pure:
    """Trait: no side effect, so that equal ops may merge and unused ones may go."""


@dataclass(frozen=True)
class FieldOptions:
    """Extra facts on a field, given as its class attribute value."""

    mixed: int = 0


# IRDL's variadics demand one type for all elements, so a mixed sequence becomes this many optional operands.
MIXED_LIMIT = 16


def operand(*, mixed: bool = False, limit: int = MIXED_LIMIT) -> Any:
    """Describe a ``Sequence`` operand; ``mixed`` lets its elements, at most ``limit``, have different types."""
    return FieldOptions(limit if mixed else 0)


def result(*, mixed: bool = False, limit: int = MIXED_LIMIT) -> Any:
    """Describe a ``Sequence`` result; ``mixed`` lets its elements, at most ``limit``, have different types."""
    return FieldOptions(limit if mixed else 0)


@dataclass(frozen=True)
class Field:
    """One operand, attribute, result or region of an op."""

    name: str
    kind: str
    variadicity: Any
    constraint: Any
    mixed: int = 0


def _parse_field(name: str, annotation: Any, options: FieldOptions) -> Field:
    variadicity = _Variadicity.single
    origin = get_origin(annotation)
    if origin in (Union, UnionType) and type(None) in get_args(annotation):
        kept = [argument for argument in get_args(annotation) if argument is not type(None)]
        annotation = kept[0] if len(kept) == 1 else Union[tuple(kept)]  # noqa: UP007
        variadicity = _Variadicity.optional
    elif origin is Sequence:
        annotation = get_args(annotation)[0]
        variadicity = _Variadicity.variadic
    origin = get_origin(annotation)
    if origin is ir.OpResult:
        return Field(name, "result", variadicity, get_args(annotation)[0], options.mixed)
    if origin is ir.Value:
        return Field(name, "operand", variadicity, get_args(annotation)[0], options.mixed)
    if annotation is ir.Region:
        return Field(name, "region", variadicity, Any)
    return Field(name, "attribute", variadicity, annotation)


def _satisfies(constraint: Any, value: Any) -> bool:
    if constraint is Any:
        return True
    classes = get_args(constraint) if get_origin(constraint) in (Union, UnionType) else (constraint,)
    # Types and attributes reach Python as their most derived class, or as a base that isinstance of a cast decides.
    return isinstance(value, classes)


def _constraint_text(constraint: Any) -> str:
    classes = get_args(constraint) if get_origin(constraint) in (Union, UnionType) else (constraint,)
    return " or ".join(getattr(cls, "__name__", str(cls)) for cls in classes)


class VerificationError(Exception):
    """An op breaks its own rules; the verifier turns it into a diagnostic at the op."""


class OperationBase(ir.OpView):
    """Base of all ops defined here; use ``MyDialect.Operation``."""

    fields: ClassVar[tuple[Field, ...]] = ()
    traits: ClassVar[tuple[type, ...]] = ()
    dialect: ClassVar[type["Dialect"]]
    mnemonic: ClassVar[str]

    def __init_subclass__(
        cls, *, name: str | None = None, traits: Sequence[type] = (), dialect: Any = None, **kwargs: Any
    ) -> None:
        super().__init_subclass__(**kwargs)
        if dialect is not None:
            cls.dialect = dialect
        cls.traits = (*cls.traits, *traits)
        own = inspect.get_annotations(cls)
        parsed = []
        for key, annotation in own.items():
            if str(get_origin(annotation)) == "typing.ClassVar" or key.startswith("_"):
                continue
            options = cls.__dict__.get(key)
            parsed.append(
                _parse_field(key, annotation, options if isinstance(options, FieldOptions) else FieldOptions())
            )
        cls.fields = (*cls.fields, *parsed)
        if name is None:
            return
        cls.mnemonic = name
        cls.OPERATION_NAME = f"{cls.dialect.DIALECT_NAMESPACE}.{name}"
        _define_shape(cls)
        _define_accessors(cls)
        _define_builder(cls)
        cls.dialect.operations.append(cls)

    @classmethod
    def of_kind(cls, kind: str) -> list[Field]:
        """Return the fields of one kind: "operand", "attribute", "result" or "region"."""
        return [field for field in cls.fields if field.kind == kind]

    def verify_fields(self) -> None:
        """Check each field against its annotation; raises VerificationError."""
        for field in self.fields:
            value = getattr(self, field.name)
            if field.kind == "attribute":
                if value is not None and not _satisfies(field.constraint, value):
                    raise VerificationError(
                        f"attribute '{field.name}' must be {_constraint_text(field.constraint)}, got {value}"
                    )
            elif field.kind in ("operand", "result"):
                single = field.variadicity != _Variadicity.variadic
                for item in ([] if value is None else [value]) if single else value:
                    if not _satisfies(field.constraint, item.type):
                        raise VerificationError(
                            f"{field.kind} '{field.name}' must be {_constraint_text(field.constraint)}, got {item.type}"
                        )

    def verify_invariants(self) -> None:
        """Check what types alone do not say; raises VerificationError.  Ops override this."""


def _segments(fields: Sequence[Field]) -> list[int] | None:
    if all(field.variadicity == _Variadicity.single for field in fields):
        return None
    size = {_Variadicity.single: 1, _Variadicity.optional: 0, _Variadicity.variadic: -1}
    return [size[field.variadicity] for field in fields]


def _define_shape(cls: type[OperationBase]) -> None:
    cls._ODS_REGIONS = (len(cls.of_kind("region")), True)
    cls._ODS_OPERAND_SEGMENTS = _segments(_expanded(cls.of_kind("operand")))
    cls._ODS_RESULT_SEGMENTS = _segments(_expanded(cls.of_kind("result")))


def _expanded(fields: Sequence[Field]) -> list[Field]:
    """Replace each mixed sequence by its optional operands, as IRDL sees them."""
    expanded: list[Field] = []
    for field in fields:
        if field.mixed:
            expanded += [
                Field(f"{field.name}_{i}", field.kind, _Variadicity.optional, field.constraint)
                for i in range(field.mixed)
            ]
        else:
            expanded.append(field)
    return expanded


def _define_accessors(cls: type[OperationBase]) -> None:
    for kind, listed, sizes in (
        ("operand", "operands", "operandSegmentSizes"),
        ("result", "results", "resultSegmentSizes"),
    ):
        fields = cls.of_kind(kind)
        segmented = _segments(_expanded(fields)) is not None
        position = 0
        for field in fields:
            count = field.mixed or 1
            setattr(cls, field.name, property(_value_getter(field, position, count, listed, sizes, segmented)))
            position += count
    for field in cls.of_kind("attribute"):
        setattr(cls, field.name, property(_attribute_getter(field.name)))
    for index, field in enumerate(cls.of_kind("region")):
        setattr(cls, field.name, property(_region_getter(index)))


def _value_getter(
    field: Field, position: int, count: int, listed: str, sizes: str, segmented: bool
) -> Callable[[Any], Any]:
    def get(self: Any) -> Any:
        values = getattr(self.operation, listed)
        if not segmented:
            return values[position]
        lengths = list(ir.DenseI32ArrayAttr(self.operation.attributes[sizes]))
        start = sum(lengths[:position])
        found = list(values)[start : start + sum(lengths[position : position + count])]
        if field.variadicity == _Variadicity.variadic:
            return found
        return found[0] if found else None

    return get


def _attribute_getter(name: str) -> Callable[[Any], Any]:
    def get(self: Any) -> Any:
        attributes = self.operation.attributes
        return attributes.get(name)

    return get


def _region_getter(index: int) -> Callable[[Any], Any]:
    def get(self: Any) -> Any:
        return self.operation.regions[index]

    return get


def _define_builder(cls: type[OperationBase]) -> None:
    parameters = [field.name for field in cls.fields if field.kind != "region"]

    def __init__(self: Any, *args: Any, loc: Any = None, ip: Any = None, **kwargs: Any) -> None:
        if len(args) > len(parameters):
            raise TypeError(f"{cls.OPERATION_NAME} takes {', '.join(parameters)}; got {len(args)} positional values")
        values = dict(zip(parameters, args, strict=False))
        unknown = kwargs.keys() - set(parameters)
        if unknown:
            raise TypeError(f"{cls.OPERATION_NAME} takes {', '.join(parameters)}; got {', '.join(sorted(unknown))}")
        values.update(kwargs)
        operands = _padded(cls, cls.of_kind("operand"), values)
        attributes = {
            field.name: values[field.name] for field in cls.of_kind("attribute") if values.get(field.name) is not None
        }
        super(OperationBase, self).__init__(
            cls.OPERATION_NAME,
            cls._ODS_REGIONS,
            cls._ODS_OPERAND_SEGMENTS,
            cls._ODS_RESULT_SEGMENTS,
            attributes=attributes,
            results=_padded(cls, cls.of_kind("result"), values),
            operands=operands,
            successors=None,
            regions=len(cls.of_kind("region")) or None,
            loc=loc,
            ip=ip,
        )

    cls.__init__ = __init__  # type: ignore[method-assign]


def _padded(cls: type[OperationBase], fields: Sequence[Field], values: dict[str, Any]) -> list[Any]:
    """Return what the generic builder takes for ``fields``: one item each, or one per slot of a mixed sequence."""
    padded: list[Any] = []
    for field in fields:
        value = values.get(field.name)
        if not field.mixed:
            padded.append(value)
            continue
        items = list(value or ())
        if len(items) > field.mixed:
            raise TypeError(f"{cls.OPERATION_NAME} takes at most {field.mixed} values of '{field.name}'")
        padded += items + [None] * (field.mixed - len(items))
    return padded


_NAMESPACES: set[str] = set()
"""Of all dialects defined here."""


class Dialect(ir.Dialect):
    """Base of all dialects defined here; ``class MyDialect(Dialect, name="mine")``."""

    DIALECT_NAMESPACE: ClassVar[str]
    operations: ClassVar[list[type[OperationBase]]]
    Operation: ClassVar[type[OperationBase]]
    _registered: ClassVar[bool] = False
    _definition: ClassVar[bytes]

    def __init_subclass__(cls, name: str, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.DIALECT_NAMESPACE = name
        _NAMESPACES.add(name)
        cls.operations = []
        cls._definition = b""
        cls.Operation = type("Operation", (OperationBase,), {}, dialect=cls)

    @classmethod
    def irdl_module(cls) -> "ir.Module":
        """Return the dialect's IRDL definition, as ``mlir-opt --irdl-file`` reads it; needs a current context."""
        with ir.Location.unknown():
            module = ir.Module.create()
            with ir.InsertionPoint(module.body):
                dialect = irdl.dialect(cls.DIALECT_NAMESPACE)
                with ir.InsertionPoint(dialect.body):
                    for operation in cls.operations:
                        _emit_irdl(operation)
        return module

    @classmethod
    def load(cls) -> None:
        """Load the dialect into the current context; exactly once per context."""
        if not cls._definition:
            # Building it takes some ten times as long as reading it, which every further context does.
            stream = BytesIO()
            cls.irdl_module().operation.write_bytecode(stream)
            cls._definition = stream.getvalue()
        irdl.load_dialects(ir.Module.parse(cls._definition))
        if not cls._registered:
            # Without a search prefix the bindings do not find our classes and silently give plain OpViews.
            native.globals.append_dialect_search_prefix(cls.__module__.partition(f".{cls.DIALECT_NAMESPACE}")[0])
            native.globals._register_dialect_impl(cls.DIALECT_NAMESPACE, cls)
            for operation in cls.operations:
                ods_common._cext.register_operation(cls, replace=True)(operation)
            cls._registered = True


def _emit_irdl(operation: type[OperationBase]) -> None:
    definition = irdl.operation_(operation.mnemonic)
    with ir.InsertionPoint(definition.body):
        for kind, emit in (("operand", irdl.operands_), ("result", irdl.results_)):
            fields = _expanded(operation.of_kind(kind))
            if fields:
                emit([irdl.any() for _ in fields], [f.name for f in fields], [f.variadicity for f in fields])
        required = [f for f in operation.of_kind("attribute") if f.variadicity == _Variadicity.single]
        if required:
            irdl.attributes_([irdl.any() for _ in required], [f.name for f in required])
        if operation.of_kind("region"):
            irdl.regions_(
                [irdl.region([]) for _ in operation.of_kind("region")], [f.name for f in operation.of_kind("region")]
            )


def verify(root: "ir.Operation") -> int:
    """Check every op under ``root`` that is defined here; emit a diagnostic for each fault and return their number."""
    faults = 0

    def visit(op: Any) -> Any:
        nonlocal faults
        # Most ops are upstream's, and making an op's view takes longer than reading its name.
        if op.name.partition(".")[0] not in _NAMESPACES:
            return ir.WalkResult.ADVANCE
        view = op.opview
        if isinstance(view, OperationBase):
            try:
                view.verify_fields()
                view.verify_invariants()
            except VerificationError as error:
                op.location.emit_error(f"'{op.name}' op {error}")
                faults += 1
        return ir.WalkResult.ADVANCE

    root.operation.walk(visit, ir.WalkOrder.PRE_ORDER)
    return faults
