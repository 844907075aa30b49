"""What torch assumed of sizes while it exported a program: checked at each call, as torch's own module does."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from stepwell.frontends.torch.sizes import SizeTable
from stepwell.support.signature import ArgumentSpec
from stepwell.support.size_guard import SizeGuard
from stepwell.support.symbolic import Expr

# By path: the sizes of a tensor, or what an integer is.
_Sizes = Mapping[str, tuple[Expr, ...] | Expr]


def read_guards(program: Any, arguments: Sequence[ArgumentSpec], symbols: SizeTable) -> tuple[SizeGuard, ...]:
    """Return the guards of an ``ExportedProgram`` that say more than shapes and bounds do.

    Torch keeps them as Python text over ``L['x'].size()[0]`` and ``L['n']``.  A float that was computed from sizes and
    became a constant holds these sizes at what they were; else what is no comparison of sizes is left out.
    """
    sizes = {argument.name: argument.shape[0] if argument.is_size else argument.shape for argument in arguments}
    traced = _traced_sizes(program, symbols)
    found: dict[SizeGuard, None] = {}
    for text in getattr(program, "_guards_code", None) or ():
        for comparison in _comparisons(text):
            try:
                found |= dict.fromkeys(_guards(comparison, sizes))
            except ValueError:
                # It is about more than sizes.
                found |= dict.fromkeys(_held(comparison, sizes, traced))
    return tuple(found)


def _traced_sizes(program: Any, symbols: SizeTable) -> dict[str, int]:
    """Return the sizes that the program was traced at, by symbol."""
    values = [node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder"]
    every = [size for value in values for size in (value.shape if isinstance(value, torch.Tensor) else (value,))]
    plain = [size for size in every if isinstance(size, torch.SymInt) and size.node.expr.is_symbol]
    return {str(symbols.expr(size)): size.node.hint for size in plain if size.node.has_hint()}


def _held(condition: ast.expr, sizes: _Sizes, traced: Mapping[str, int]) -> Iterator[SizeGuard]:
    """Yield a guard for each size that a float in an equation was computed from."""
    if not (isinstance(condition, ast.Compare) and all(isinstance(operator, ast.Eq) for operator in condition.ops)):
        return
    for call in ast.walk(condition):
        match call:
            case ast.Call(func=ast.Attribute(attr="sym_float"), args=[size]):
                try:
                    expr = _expr(size, sizes)
                except ValueError:
                    continue
                if not expr.is_constant and expr.symbols <= traced.keys():
                    value = expr.evaluate(traced)
                    yield SizeGuard(expr, value, value, text=_text(size, sizes))


def zero_differences(guards: Sequence[SizeGuard]) -> frozenset[Expr]:
    """Return the differences of sizes that guards hold at zero."""
    return frozenset(
        guard.expr - guard.minimum for guard in guards if guard.minimum is not None and guard.minimum == guard.maximum
    )


def _comparisons(text: str) -> Sequence[ast.expr]:
    """Return the conditions that all have to hold."""
    try:
        condition = ast.parse(text, mode="eval").body
    except SyntaxError:
        return ()
    return condition.values if isinstance(condition, ast.BoolOp) and isinstance(condition.op, ast.And) else [condition]


def _guards(condition: ast.expr, sizes: _Sizes) -> Iterator[SizeGuard]:
    if not isinstance(condition, ast.Compare):
        raise ValueError("no comparison")
    left = condition.left
    for operator, right in zip(condition.ops, condition.comparators, strict=True):
        guard = _relation(left, operator, right, sizes)
        if guard is not None:
            yield guard
        left = right


def _relation(left: ast.expr, operator: ast.cmpop, right: ast.expr, sizes: _Sizes) -> SizeGuard | None:
    match left, operator, right:
        case ast.BinOp(left=size, op=ast.Mod(), right=ast.Constant(value=int(divisor))), ast.Eq(), ast.Constant(
            value=0
        ):
            return SizeGuard(_expr(size, sizes), divisor=divisor, text=_text(size, sizes))
    if isinstance(right, ast.Constant) or not isinstance(left, ast.Constant):
        subject, bound, mirrored = left, right, False
    else:
        subject, bound, mirrored = right, left, True
    expr, text = _expr(subject, sizes), _text(subject, sizes)
    limit = _expr(bound, sizes)
    if not limit.is_constant:
        expr, text, limit = expr - limit, f"{text} - {_text(bound, sizes)}", Expr.const(0)
    if expr.is_constant:
        return None
    if isinstance(operator, ast.NotEq):
        return _excluded(expr, limit.constant, subject, text)
    return _bounded(expr, operator, limit.constant, mirrored, text)


def _excluded(expr: Expr, value: int, subject: ast.expr, text: str) -> SizeGuard | None:
    """Return the guard that a size, or its remainder, is not what the program has another branch for.

    Torch itself compares computed sizes with strides, and any size with 0 and 1, mostly where that changes no result:
    these are left out, and with them a branch that a program takes on such a comparison, which looks the same.
    """
    is_remainder = isinstance(subject, ast.BinOp) and isinstance(subject.op, ast.Mod)
    is_plain = any(expr == Expr.symbol(name) for name in expr.symbols)
    return SizeGuard(expr, text=text, excluded=value) if is_remainder or (is_plain and value > 1) else None


def _bounded(expr: Expr, operator: ast.cmpop, limit: int, mirrored: bool, text: str) -> SizeGuard | None:
    match operator, mirrored:
        case (ast.Eq(), _):
            return SizeGuard(expr, limit, limit, text=text)
        case (ast.GtE(), False) | (ast.LtE(), True):
            return SizeGuard(expr, minimum=limit, text=text)
        case (ast.Gt(), False) | (ast.Lt(), True):
            return SizeGuard(expr, minimum=limit + 1, text=text)
        case (ast.LtE(), False) | (ast.GtE(), True):
            return SizeGuard(expr, maximum=limit, text=text)
        case (ast.Lt(), False) | (ast.Gt(), True):
            return SizeGuard(expr, maximum=limit - 1, text=text)
    return None


def _expr(node: ast.expr, sizes: _Sizes) -> Expr:
    match node:
        case ast.Constant(value=int(value)) if not isinstance(value, bool):
            return Expr.const(value)
        case ast.BinOp(left=left, op=operator, right=right):
            a, b = _expr(left, sizes), _expr(right, sizes)
            match operator:
                case ast.Add():
                    return a + b
                case ast.Sub():
                    return a - b
                case ast.Mult():
                    return a * b
                case ast.FloorDiv():
                    return a // b
                case ast.Mod():
                    return a % b
        case ast.Call(func=ast.Name(id="min" | "max" as name), args=operands):
            parts = [_expr(operand, sizes) for operand in operands]
            return Expr.min(*parts) if name == "min" else Expr.max(*parts)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_expr(operand, sizes)
        case ast.Subscript(
            value=ast.Call(func=ast.Attribute(value=x, attr="size")), slice=ast.Constant(value=int(dim))
        ):
            found = sizes.get(_path(x, sizes))
            if isinstance(found, tuple):
                return found[dim]
        case ast.Subscript():
            found = sizes.get(_path(node, sizes))
            if isinstance(found, Expr):
                return found
    raise ValueError("no size expression")


def _path(source: ast.expr, known: _Sizes) -> str:
    """Return ``x['mask'][0]`` for ``L['x']['mask'][0]``; raises ValueError for anything else.

    What ``*args`` and ``**kwargs`` collect has names of its own: ``args_0`` and ``key``.
    """
    keys: list[Any] = []
    while isinstance(source, ast.Subscript) and isinstance(source.slice, ast.Constant):
        keys.insert(0, source.slice.value)
        source = source.value
    if not isinstance(source, ast.Name) or source.id != "L" or not keys:
        raise ValueError("no input")
    name, *rest = keys
    found = _named(str(name), rest)
    if found not in known and rest:
        collected = str(rest[0]) if isinstance(rest[0], str) else f"{name}_{rest[0]}"
        other = _named(collected, rest[1:])
        return other if other in known else found
    return found


def _named(name: str, keys: Sequence[Any]) -> str:
    return name + "".join(f"[{key!r}]" for key in keys)


def _text(node: ast.expr, known: _Sizes) -> str:
    """Return an expression as the user knows it: ``x.size(0)``."""
    return ast.unparse(_Readable(known).visit(ast.parse(ast.unparse(node), mode="eval").body))


class _Readable(ast.NodeTransformer):
    def __init__(self, known: _Sizes) -> None:
        self._known = known

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        match node:
            case ast.Subscript(value=ast.Call(func=ast.Attribute(value=source, attr="size")), slice=dim):
                name = ast.parse(_path(source, self._known), mode="eval").body
                return ast.Call(ast.Attribute(name, "size", ast.Load()), [dim], [])
        return ast.parse(_path(node, self._known), mode="eval").body
