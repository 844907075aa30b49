"""What checked programs are run on: ordinary numbers, and those that break careless code."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations, islice, product
from typing import Any

import numpy as np

from stepwell.runtime.tensors import Array, as_array
from stepwell.support.dtypes import DType
from stepwell.support.errors import PassFailure
from stepwell.support.signature import ArgumentSpec, Signature, SymbolSpec

# Sums of huge numbers depend on their order, so that there are none here.
SPECIAL_FLOATS = (float("nan"), float("inf"), float("-inf"), -0.0, 0.0, 1e-40, -1.0)
SIZES = (5, 1, 0)
# Where those break a guard: what else is tried for some of the symbols, and how many assignments are tried.
_OTHER_SIZES = (2, 3, 4, 6, 8, 10, 16, 32, 64, 128)
_ATTEMPTS = 10_000


@dataclass(frozen=True)
class InputSet:
    """One set of arguments of main.

    Attributes:
        name: what messages call it.
        arrays: one per argument; an int for one that is an integer.
    """

    name: str
    arrays: tuple[Array | int, ...]


def input_sets(signature: Signature, parameters: Mapping[str, Any], seed: int = 0) -> list[InputSet]:
    """Return the sets for a program: ordinary and adversarial values, and the sizes 1 and 0 where they are allowed.

    Raises:
        PassFailure: no small sizes satisfy the guards of the program.
    """
    generator = np.random.default_rng(seed)
    found: dict[tuple[tuple[int, ...], ...], InputSet] = {}
    for wanted in SIZES:
        sizes = _sizes_near(signature, wanted)
        if sizes is None:
            continue
        shapes = tuple(tuple(e.evaluate(sizes) for e in spec.shape) for spec in signature.arguments)
        if shapes in found:
            continue
        label = ", ".join(f"{name} = {value}" for name, value in sizes.items())
        arrays = _arrays(signature, shapes, parameters, generator, special=False)
        found[shapes] = InputSet(f"random values{f' with {label}' if label else ''}", arrays)
    if not found:
        guards = ", ".join(guard.text or str(guard.expr) for guard in signature.guards)
        raise PassFailure(
            f"no small sizes satisfy what the program asks of its sizes: {guards}",
            fix="compile without check; or export the program with tighter bounds of its dynamic dimensions",
        )
    first = next(iter(found))
    adversarial = _arrays(signature, first, parameters, generator, special=True)
    return [*found.values(), InputSet("NaN, infinities, signed zeros and negative integers", adversarial)]


def _sizes_near(signature: Signature, wanted: int) -> dict[str, int] | None:
    """Return sizes that satisfy the signature's guards, as many as possible near ``wanted``; None where none do."""
    for sizes in islice(_assignments(signature.symbols, wanted), _ATTEMPTS):
        if all(guard.holds(sizes) for guard in signature.guards):
            return sizes
    return None


def _assignments(symbols: tuple[SymbolSpec, ...], wanted: int) -> Iterator[dict[str, int]]:
    """Yield sizes near ``wanted`` for all symbols, then with other sizes for one of them, for two, and so on."""
    near = {symbol.name: _size_of(symbol, wanted) for symbol in symbols}
    others = sorted((*SIZES, *_OTHER_SIZES), key=lambda size: abs(size - wanted))
    for count in range(len(symbols) + 1):
        for changed in combinations(symbols, count):
            for values in product(*([_size_of(symbol, size) for size in others] for symbol in changed)):
                yield near | {symbol.name: value for symbol, value in zip(changed, values, strict=True)}


def _size_of(symbol: SymbolSpec, wanted: int) -> int:
    """Return the allowed size nearest to ``wanted``."""
    size = max(wanted, symbol.minimum)
    if symbol.maximum is not None:
        size = min(size, symbol.maximum)
    off = (size - symbol.remainder) % symbol.divisor
    return size + (symbol.divisor - off) % symbol.divisor


def _arrays(
    signature: Signature, shapes: Any, parameters: Mapping[str, Any], generator: np.random.Generator, *, special: bool
) -> tuple[Array | int, ...]:
    return tuple(
        shape[0] if spec.is_size else _array(spec, shape, parameters, generator, special=special)
        for spec, shape in zip(signature.arguments, shapes, strict=True)
    )


def _array(
    spec: ArgumentSpec,
    shape: tuple[int, ...],
    parameters: Mapping[str, Any],
    rng: np.random.Generator,
    *,
    special: bool,
) -> Array:
    if spec.name in parameters:
        given = np.ascontiguousarray(as_array(parameters[spec.name], spec.name)).reshape(shape)
        return given.reshape(*shape, 1).view(spec.dtype.part.numpy) if spec.dtype.is_complex else given
    if spec.dtype is DType.BOOL:
        return rng.random(shape) < 0.5
    if spec.dtype.is_complex:
        # As the function takes it: real and imaginary parts along a last dimension.
        spec, shape = replace(spec, dtype=spec.dtype.part), (*shape, 2)
    if not spec.dtype.is_float:
        low = 0 if spec.dtype is DType.UINT8 else -2
        return rng.integers(low if special else 0, 3, shape).astype(spec.dtype.numpy)
    values = rng.standard_normal(shape)
    if special and values.size:
        # Few enough that most results stay ordinary numbers; NaN is always there.
        chosen = rng.choice(values.size, max(1, values.size // 8), replace=False)
        values.reshape(-1)[chosen] = np.resize(SPECIAL_FLOATS, len(chosen))
    return values.astype(spec.dtype.numpy)
