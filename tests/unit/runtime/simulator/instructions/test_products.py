"""mma.sync, ldmatrix, stmatrix and movmatrix, end to end."""

from collections.abc import Callable

import numpy as np
import pytest

from stepwell.runtime.simulator.matrices.products import multiply_add
from stepwell.support.errors import MemoryAccessError, SimulationError, UnsupportedPtxError

Execute = Callable[..., np.ndarray]


def _bits(values: np.ndarray, kind: str) -> np.ndarray:
    """Return the patterns of values that the type holds exactly."""
    if kind == "bf16":
        return (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    dtypes = {"f16": np.float16, "tf32": np.float32, "s8": np.int8, "u8": np.uint8, "f64": np.float64}
    patterns = values.astype(dtypes[kind])
    return patterns.view(f"u{patterns.itemsize}")


def _fragment(patterns: np.ndarray, register_bits: int, *, is_a: bool) -> np.ndarray:
    """Return registers [lane, register] of A [m, k] or B transposed [n, k], by the tables' formulas.

    A register of lane (g, t) holds E neighbours along K that begin at t*E + 4*E*block, of row g or g + 8; for A the two
    rows come first, then the blocks along K.
    """
    per = register_bits // (8 * patterns.itemsize)
    rows, columns = patterns.shape
    found = []
    for lane in range(32):
        g, t = lane // 4, lane % 4
        registers = []
        for block in range(columns // (4 * per)):
            for half in range(rows // 8 if is_a else 1):
                start = t * per + 4 * per * block
                registers.append(patterns[g + 8 * half, start : start + per])
        found.append(registers)
    return np.array(found).reshape(32, -1).view(f"u{register_bits // 8}")


CASES = [
    ("m16n8k8", "f32", "f16", "f16"),
    ("m16n8k16", "f32", "f16", "f16"),
    ("m16n8k16", "f16", "f16", "f16"),
    ("m16n8k16", "f32", "bf16", "bf16"),
    ("m16n8k4", "f32", "tf32", "tf32"),
    ("m16n8k8", "f32", "tf32", "tf32"),
    ("m8n8k16", "s32", "s8", "s8"),
    ("m16n8k16", "s32", "u8", "s8"),
    ("m16n8k32", "s32", "s8", "u8"),
    ("m8n8k4", "f64", "f64", "f64"),
    ("m16n8k16", "f64", "f64", "f64"),
]


@pytest.mark.parametrize(("shape", "kind", "left", "right"), CASES)
def test_mma(execute: Execute, shape: str, kind: str, left: str, right: str) -> None:
    """D = A B + C of small whole numbers, exact in every type, in two warps at once."""
    m, n, k = (int(part) for part in shape[1:].replace("n", " ").replace("k", " ").split())
    print("seed", 11)
    rng = np.random.default_rng(11)
    low = 0 if "u8" in (left, right) else -8
    a, b = rng.integers(low, 8, (m, k)), rng.integers(low, 8, (n, k))
    c = rng.integers(-50, 50, (m, n))
    width = 64 if kind == "f64" else 32
    fragments = [_fragment(_bits(a, left), width, is_a=True), _fragment(_bits(b, right), width, is_a=False)]
    dtype = {"f32": np.float32, "f16": np.float16, "s32": np.int32, "f64": np.float64}[kind]
    per = width // 8 // np.dtype(dtype).itemsize
    lanes = np.arange(32)
    places = [
        (lanes // 4 + 8 * (i // 2), lanes % 4 * 2 + i % 2) for i in range(m // 8 * 2)
    ]  # element i of C: row g, or g + 8 for the second pair
    counts = [fragment.shape[1] for fragment in fragments] + [len(places) // per]
    accumulators = np.stack([c[place] for place in places], axis=1).astype(dtype).view(f"u{width // 8}")
    packed = np.concatenate([*fragments, np.ascontiguousarray(accumulators)], axis=1)
    total, register, size = packed.shape[1], {32: "r", 64: "x"}[width], width // 8
    names = [f"%{register}{10 + number}" for number in range(total)]
    groups, start = [], 0
    for count in counts:
        groups.append("{" + ", ".join(names[start : start + count]) + "}")
        start += count
    if kind == "f32":
        results = ["%f" + str(number) for number in range(counts[2])]
        moves = "".join(f"mov.b32 {result}, {name};" for result, name in zip(results, names[-counts[2] :], strict=True))
        groups[2] = "{" + ", ".join(results) + "}"
    else:
        results, moves = names[-counts[2] :], ""
    loads = "".join(f"ld.global.b{width} {name}, [%d3+{size * at}];" for at, name in enumerate(names))
    stores = "".join(f"st.global.b{width} [%d4+{size * at}], {result};" for at, result in enumerate(results))
    body = f"""
      and.b32 %r2, %r0, 31;
      mul.wide.u32 %d2, %r2, {total * size}; add.u64 %d3, %d0, %d2;
      mul.wide.u32 %d2, %r0, {counts[2] * size}; add.u64 %d4, %d1, %d2;
      {loads} {moves}
      mma.sync.aligned.{shape}.row.col.{kind}.{left}.{right}.{kind} {groups[2]},
        {groups[0]}, {groups[1]}, {groups[2]};
      {stores}
    """
    if width == 64:
        body = body.replace("ld.global.b64", "ld.global.f64").replace("st.global.b64", "st.global.f64")
    result = execute(body, packed, np.zeros((64, counts[2] * per), dtype), threads=64)
    expected = a @ b.T + c
    for warp in range(2):
        for i, place in enumerate(places):
            assert np.array_equal(result[32 * warp + lanes, i], expected[place])


def test_integers_wrap_or_saturate() -> None:
    left, right = np.full((1, 1, 4), 100, np.float32), np.full((1, 1, 4), 100, np.float32)
    for old in (2**31 - 1, -(2**31)):
        addend, sign = np.full((1, 1, 1), old, np.int32), 1 if old > 0 else -1
        assert multiply_add(sign * left, right, addend).item() == old + sign * 40000 - sign * 2**32
        assert multiply_add(sign * left, right, addend, saturate=True).item() == old


def test_tf32_ignores_the_low_bits(execute: Execute) -> None:
    body = """
      mov.b32 %r10, 0x3f801fff;
      mov.b32 %f0, 0f00000000; mov.b32 %f1, 0f00000000; mov.b32 %f2, 0f00000000; mov.b32 %f3, 0f00000000;
      mma.sync.aligned.m16n8k4.row.col.f32.tf32.tf32.f32 {%f0, %f1, %f2, %f3},
        {%r10, %r10}, {%r10}, {%f0, %f1, %f2, %f3};
      mul.wide.u32 %d2, %r0, 4; add.u64 %d3, %d0, %d2; st.global.f32 [%d3], %f3;
    """
    assert execute(body, np.zeros(32, np.float32)).tolist() == [4.0] * 32


# A warp loads 8x8 tiles at 16-byte rows, and stores its registers as they are.
_LOAD = """
  mul.wide.u32 %d2, %r0, 16; add.u64 %d3, %d0, %d2;
  ld.global.v4.u32 {{%r2, %r3, %r4, %r5}}, [%d3];
  shl.b32 %r6, %r0, 4; add.u32 %r6, %r6, %r1;
  st.shared.v4.u32 [%r6], {{%r2, %r3, %r4, %r5}};
  bar.sync 0;
  mov.u32 %r20, 0; mov.u32 %r21, 0; mov.u32 %r22, 0; mov.u32 %r23, 0;
  {middle}
  add.u64 %d4, %d1, %d2;
  st.global.v4.u32 [%d4], {{%r20, %r21, %r22, %r23}};
"""


def _tiles() -> np.ndarray:
    return np.arange(4 * 64, dtype=np.uint16).reshape(4, 8, 8)


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("transpose", ["", ".trans"])
def test_ldmatrix(execute: Execute, count: int, transpose: str) -> None:
    registers = "{" + ", ".join(f"%r{20 + number}" for number in range(count)) + "}"
    middle = f"ldmatrix.sync.aligned.m8n8.x{count}{transpose}.shared.b16 {registers}, [%r6];"
    result = execute(_LOAD.format(middle=middle), _tiles(), np.zeros((32, 4), np.uint32))
    tiles = _tiles().swapaxes(1, 2) if transpose else _tiles()
    for lane in range(32):
        for tile in range(4):
            pair = tiles[tile, lane // 4, lane % 4 * 2 : lane % 4 * 2 + 2].astype(int)
            assert result[lane, tile] == (pair[0] | pair[1] << 16 if tile < count else 0)


@pytest.mark.parametrize("transpose", ["", ".trans"])
def test_stmatrix_undoes_ldmatrix(execute: Execute, transpose: str) -> None:
    middle = f"""
      ldmatrix.sync.aligned.m8n8.x4{transpose}.shared.b16 {{%r10, %r11, %r12, %r13}}, [%r6];
      stmatrix.sync.aligned.m8n8.x4{transpose}.shared.b16 [%r6+2048], {{%r10, %r11, %r12, %r13}};
      ld.shared.v4.u32 {{%r20, %r21, %r22, %r23}}, [%r6+2048];
    """
    result = execute(_LOAD.format(middle=middle), _tiles(), np.zeros((32, 4), np.uint32))
    assert np.array_equal(result.view(np.uint16).reshape(4, 8, 8), _tiles())


def test_movmatrix_transposes(execute: Execute) -> None:
    middle = """
      ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r10}, [%r6];
      movmatrix.sync.aligned.m8n8.trans.b16 %r20, %r10;
      ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%r21}, [%r6];
    """
    result = execute(_LOAD.format(middle=middle), _tiles(), np.zeros((32, 4), np.uint32))
    assert np.array_equal(result[:, 0], result[:, 1])


def test_a_row_must_be_aligned(execute: Execute) -> None:
    middle = "add.u32 %r7, %r6, 8; ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r20, %r21, %r22, %r23}, [%r7];"
    with pytest.raises(MemoryAccessError, match="not a multiple"):
        execute(_LOAD.format(middle=middle), _tiles(), np.zeros((32, 4), np.uint32))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mma.sync.aligned.m8n8k4.row.col.f32.f16.f16.f32 {%f0}, {%r1}, {%r1}, {%f0};", "the shape m8n8k4"),
        ("mma.sync.aligned.m16n8k16.row.col.f32.f16.bf16.f32 {%f0}, {%r1}, {%r1}, {%f0};", "f16 and .bf16"),
        ("mma.sync.aligned.m16n8k16.row.col.bf16.bf16.bf16.bf16 {%r2}, {%r1}, {%r1}, {%r2};", "accumulators"),
        ("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%f0}, {%r1}, {%r1}, {%f0};", "1 registers, expected 4"),
        ("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%r2}, [%r1];", "1 registers for 2 tiles"),
        ("ldmatrix.sync.aligned.m16n16.x1.trans.shared.b8 {%r2, %r3}, [%r1];", "not supported"),
    ],
)
def test_refusals(execute: Execute, text: str, message: str) -> None:
    with pytest.raises(UnsupportedPtxError, match=message):
        execute(text, np.zeros(1, np.uint32))


def test_all_lanes_must_come(execute: Execute) -> None:
    """An .aligned instruction that half a warp skips never executes."""
    middle = "setp.lt.u32 %p1, %r0, 16; @%p1 bra END;"
    middle += "ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r20}, [%r6]; END: bar.sync 0;"
    with pytest.raises(SimulationError):
        execute(_LOAD.format(middle=middle), _tiles(), np.zeros((32, 4), np.uint32))
