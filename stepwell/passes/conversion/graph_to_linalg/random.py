"""Random ops: Philox4x32-10 as integer arithmetic of each element."""

import math as numbers
from typing import Any

from stepwell.dialects.graph.philox import KEY_STEPS, MULTIPLIERS, ROUNDS
from stepwell.dialects.graph.random import WORDS, RandomBitsOp, RandomNormalOp, RandomOperation, RandomUniformOp
from stepwell.dialects.graph.sizes import integer_of
from stepwell.dialects.graph.types import TensorMeta
from stepwell.passes.conversion.graph_to_linalg.lowering import Builder, Tensor, lowers, result_meta
from stepwell.passes.conversion.graph_to_linalg.scalars import constant, loop_index
from stepwell.support.bindings import arith, ir, math


@lowers(RandomBitsOp)
def lower_random_bits(build: Builder, op: Any, seed: Tensor, offset: Tensor) -> Tensor:
    def finish(words: list[Any], kind: Any) -> Any:
        return arith.extui(kind, words[0])

    return _lower(build, op, seed, offset, finish)


@lowers(RandomUniformOp)
def lower_random_uniform(build: Builder, op: Any, seed: Tensor, offset: Tensor) -> Tensor:
    return _lower(build, op, seed, offset, lambda words, kind: _unit(words[0], words[1], kind))


@lowers(RandomNormalOp)
def lower_random_normal(build: Builder, op: Any, seed: Tensor, offset: Tensor) -> Tensor:
    def finish(words: list[Any], kind: Any) -> Any:
        wide = isinstance(kind, ir.F64Type)
        radius = _unit(words[0], words[1], kind)
        angle = _unit(words[2], words[3], kind) if wide else _unit(words[1], words[1], kind)
        length = math.sqrt(arith.mulf(math.log(radius), constant(-2.0, kind)))
        return arith.mulf(length, math.sin(arith.mulf(angle, constant(2 * numbers.pi, kind))))

    return _lower(build, op, seed, offset, finish)


def _lower(build: Builder, op: RandomOperation, seed: Tensor, offset: Tensor, finish: Any) -> Tensor:
    meta = result_meta(op)
    word = ir.IntegerType.get_signless(32)
    wide = ir.IntegerType.get_signless(64)

    def body(key: Any, start: Any) -> Any:
        # Offsets are not negative, so that the sign does not matter.
        place = arith.addi(arith.divui(start, constant(WORDS, wide)), constant(integer_of(op.step), wide))
        counter = [*_halves(place, word), *_halves(_number(build, meta, wide), word)]
        words = _philox(counter, _halves(key, word), wide)
        return finish(words, ir.Type.parse(meta.dtype.mlir))

    return build.pointwise(meta, [seed, offset], body)


def _number(build: Builder, meta: TensorMeta, wide: Any) -> Any:
    """Return the number of the element at hand, in row-major order."""
    total = constant(0, wide)
    for dim, size in enumerate(meta.shape):
        extent = arith.index_cast(wide, build.size(size))
        total = arith.addi(arith.muli(total, extent), arith.index_cast(wide, loop_index(dim)))
    return total


def _halves(value: Any, word: Any) -> list[Any]:
    return [arith.trunci(word, value), arith.trunci(word, arith.shrui(value, constant(32, value.type)))]


def _philox(words: list[Any], keys: list[Any], wide: Any) -> list[Any]:
    """Return the four random words of a counter of four; see ``dialects/graph/philox.py``."""
    word = words[0].type
    for _ in range(ROUNDS):
        low, high = zip(
            *(
                _halves(arith.muli(arith.extui(wide, item), constant(factor, wide)), word)
                for factor, item in zip(MULTIPLIERS, words[::2], strict=True)
            ),
            strict=True,
        )
        words = [
            arith.xori(arith.xori(high[1], words[1]), keys[0]),
            low[1],
            arith.xori(arith.xori(high[0], words[3]), keys[1]),
            low[0],
        ]
        keys = [arith.addi(key, _signed(step, word)) for key, step in zip(keys, KEY_STEPS, strict=True)]
    return words


def _signed(value: int, word: Any) -> Any:
    """Return a 32-bit constant; the bindings take signed numbers alone."""
    return constant(value - (1 << 32) if value >> 31 else value, word)


def _unit(low: Any, high: Any, kind: Any) -> Any:
    """Return random words as a number in (0, 1]."""
    if isinstance(kind, ir.F64Type):
        wide = ir.IntegerType.get_signless(64)
        shifted = arith.shli(arith.extui(wide, high), constant(21, wide))
        bits, exponent = arith.xori(arith.extui(wide, low), shifted), 53
    else:
        bits, exponent = low, 32
    scaled = arith.mulf(arith.uitofp(kind, bits), constant(2.0**-exponent, kind))
    return arith.addf(scaled, constant(2.0 ** -(exponent + 1), kind))
