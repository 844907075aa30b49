"""wgmma: layouts in shared memory, A in registers, scales, transposes, and types."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from stepwell.support.errors import SimulationError, UnsupportedPtxError

Execute = Callable[..., np.ndarray]

_CODES = {0: 0, 128: 1, 64: 2, 32: 3}
_DTYPES = {
    "f16": np.float16,
    "bf16": np.uint16,
    "tf32": np.float32,
    "s8": np.int8,
    "u8": np.uint8,
    "e4m3": np.uint8,
    "e5m2": np.uint8,
}


@dataclass(frozen=True)
class _Form:
    """How a multiplicand lies in shared memory: what is contiguous ("k" or "mn"), and the swizzling span."""

    major: str
    span: int

    def place(self, row: int, byte: int, rows: int) -> int:
        """Return where a byte lies: ``row`` counts along the strided way, ``byte`` along the contiguous one.

        Swizzled, as tensor copies of boxes of ``span`` bytes would leave it: 8 strided rows of a span are a pattern,
        and the boxes follow each other. Without swizzling: blocks of 8 rows of 16 bytes, along that way first.
        """
        if not self.span:
            return byte // 16 * 128 + row // 8 * (128 * 32) + row % 8 * 16 + byte % 16
        flat = byte // self.span * (rows * self.span) + row * self.span + byte % self.span
        return flat ^ ((flat // 128 % (self.span // 16)) << 4)

    def offsets(self, rows: int) -> tuple[int, int]:
        """Return the leading and the stride dimension byte offset."""
        if self.span:
            return rows * self.span, 8 * self.span
        return (128, 4096) if self.major == "k" else (4096, 128)


def _patterns(values: np.ndarray, kind: str) -> np.ndarray:
    """Return the elements of whole numbers from -4 to 4 in a type, each as one number."""
    if kind == "bf16":
        return (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    if kind in ("e4m3", "e5m2"):
        import ml_dtypes

        exact = {"e4m3": ml_dtypes.float8_e4m3fn, "e5m2": ml_dtypes.float8_e5m2}[kind]
        return values.astype(exact).view(np.uint8)
    return values.astype(_DTYPES[kind])


def _image(values: np.ndarray, kind: str, form: _Form) -> np.ndarray:
    """Return 32 KiB that hold a matrix [m or n, k]."""
    patterns = _patterns(values, kind)
    lines = patterns if form.major == "k" else patterns.T
    rows = np.ascontiguousarray(lines).view(np.uint8)
    image = np.zeros(32768, np.uint8)
    for row, content in enumerate(rows):
        for byte, value in enumerate(content):
            image[form.place(row, byte, len(rows))] = value
    return image


def _descriptor(form: _Form, rows: int) -> int:
    leading, stride = form.offsets(rows)
    return (leading >> 4) << 16 | (stride >> 4) << 32 | _CODES[form.span] << 62


_BODY = """
  @%p0 mbarrier.init.shared.b64 [%r1], 1; fence.mbarrier_init.release.cluster; bar.sync 0;
  add.u32 %r3, %r1, 1024; add.u32 %r4, %r3, 32768;
  @%p0 mbarrier.arrive.expect_tx.shared.b64 _, [%r1], 65536;
  @%p0 cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r3], [%d0], 65536, [%r1];
  WAIT: mbarrier.try_wait.parity.shared.b64 %p1, [%r1], 0; @!%p1 bra WAIT;
  cvt.u64.u32 %d10, %r3; and.b64 %d10, %d10, 262143; shr.u64 %d10, %d10, 4; or.b64 %d10, %d10, {a_bits};
  cvt.u64.u32 %d11, %r4; and.b64 %d11, %d11, 262143; shr.u64 %d11, %d11, 4; or.b64 %d11, %d11, {b_bits};
  mul.wide.u32 %d20, %r0, 16; add.u64 %d21, %d1, %d20;
  ld.global.v4.u32 {{%r10, %r11, %r12, %r13}}, [%d21];
  {start}
  setp.ne.u32 %p2, %r0, 9999;
  wgmma.fence.sync.aligned;
  {products}
  wgmma.commit_group.sync.aligned;
  wgmma.wait_group.sync.aligned 0;
  mul.wide.u32 %d20, %r0, {row_bytes}; add.u64 %d3, %d2, %d20;
  {stores}
"""


def _registers(values: np.ndarray, kind: str) -> np.ndarray:
    """Return A [64, k] as registers [thread, 4]: the tables "register fragment layout for matrix A"."""
    patterns = np.ascontiguousarray(_patterns(values, kind)).view(np.uint8)
    found = np.zeros((128, 4, 4), np.uint8)
    for thread in range(128):
        warp, group, place = thread // 32, thread % 32 // 4, thread % 4
        for register in range(4):
            row = 16 * warp + group + 8 * (register % 2)
            start = 4 * place + 16 * (register // 2)
            found[thread, register] = patterns[row, start : start + 4]
    return found.view(np.uint32)[..., 0]


def _run(
    execute: Execute,
    n: int,
    kinds: tuple[str, str, str],
    forms: tuple[_Form, _Form],
    *,
    a_in_registers: bool = False,
    immediates: str = "1, 1",
    transposes: bool = True,
    scale: str = "%p2",
    repeat: int = 1,
    start: float = 3.0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (D, A, B) of a product that begins with D full of ``start``."""
    result, left, right = kinds
    k = 32 // np.dtype(_DTYPES[left]).itemsize
    print("seed", n + k)
    rng = np.random.default_rng(n + k)
    low = 0 if "u8" in (left, right) else -4
    a, b = rng.integers(low, 5, (64, k)), rng.integers(low, 5, (n, k))
    images = [_image(a, left, forms[0]), _image(b, right, forms[1])]
    rows = [k if form.major == "mn" else extent for form, extent in zip(forms, (64, n), strict=True)]
    a_bits, b_bits = (_descriptor(form, count) for form, count in zip(forms, rows, strict=True))
    half = result == "f16"
    count = n // 4 if half else n // 2
    names = [f"%{'f' if result == 'f32' else 'r'}{100 + number}" for number in range(count)]
    initial = {"f32": np.float32, "s32": np.int32, "f16": np.float16}[result]
    value = int(np.full(2 if half else 1, start, initial).view(np.uint32)[0])
    turned = ""
    if transposes:
        letters = [str(int(form.major == "mn")) for form in forms]
        turned = ", " + (letters[1] if a_in_registers else ", ".join(letters))
    scales = f", {immediates}" if immediates else ""
    operand = "{%r10, %r11, %r12, %r13}" if a_in_registers else "%d10"
    product = f"wgmma.mma_async.sync.aligned.m64n{n}k{k}.{result}.{left}.{right}"
    product += f" {{{', '.join(names)}}}, {operand}, %d11, {scale}{scales}{turned};"
    body = _BODY.format(
        a_bits=hex(a_bits),
        b_bits=hex(b_bits),
        start="".join(f"mov.b32 {name}, {value:#x};" for name in names),
        products="\n".join([product] * repeat),
        row_bytes=4 * count,
        stores="".join(f"st.global.b32 [%d3+{4 * number}], {name};" for number, name in enumerate(names)),
    )
    out = np.zeros((128, count * (2 if half else 1)), initial)
    got = execute(body, np.concatenate(images), _registers(a, left), out, threads=128, shared=70000)
    return _matrix(got), a, b


def _matrix(elements: np.ndarray) -> np.ndarray:
    """Return D [64, n] from a thread's elements, by the figure "accumulator matrix D"."""
    found = np.zeros((64, elements.shape[1] * 2), elements.dtype)
    thread = np.arange(128)
    for i in range(elements.shape[1]):
        row = thread // 32 * 16 + thread % 32 // 4 + 8 * (i // 2 % 2)
        found[row, i // 4 * 8 + thread % 4 * 2 + i % 2] = elements[:, i]
    return found


_K128 = _Form("k", 128)
_BF16 = ("f32", "bf16", "bf16")


@pytest.mark.parametrize("span", [0, 32, 64, 128])
@pytest.mark.parametrize("majors", [("k", "k"), ("mn", "k"), ("k", "mn"), ("mn", "mn")])
def test_layouts_of_half_precision(execute: Execute, span: int, majors: tuple[str, str]) -> None:
    d, a, b = _run(execute, 64, ("f32", "f16", "f16"), (_Form(majors[0], span), _Form(majors[1], span)))
    assert np.array_equal(d, a @ b.T + 3)


@pytest.mark.parametrize("n", [8, 24, 128, 256])
def test_widths(execute: Execute, n: int) -> None:
    d, a, b = _run(execute, n, _BF16, (_Form("mn", 64), _K128))
    assert np.array_equal(d, a @ b.T + 3)


@pytest.mark.parametrize(
    ("kinds", "immediates"),
    [
        (("f32", "tf32", "tf32"), "1, 1"),
        (("s32", "s8", "s8"), ""),
        (("s32", "u8", "s8"), ""),
        (("f32", "e4m3", "e5m2"), "1, 1"),
        (("f16", "e5m2", "e5m2"), "1, 1"),
    ],
)
@pytest.mark.parametrize("a_in_registers", [False, True])
def test_types_without_transposes(
    execute: Execute, kinds: tuple[str, str, str], immediates: str, a_in_registers: bool
) -> None:
    forms = (_Form("k", 64), _K128)
    d, a, b = _run(execute, 16, kinds, forms, immediates=immediates, transposes=False, a_in_registers=a_in_registers)
    assert np.array_equal(d, a @ b.T + 3)


def test_a_in_registers(execute: Execute) -> None:
    d, a, b = _run(execute, 32, ("f16", "f16", "f16"), (_K128, _Form("mn", 32)), a_in_registers=True)
    assert np.array_equal(d, a @ b.T + 3)


@pytest.mark.parametrize(("immediates", "sign"), [("-1, 1", -1), ("1, -1", -1), ("-1, -1", 1)])
def test_negation(execute: Execute, immediates: str, sign: int) -> None:
    d, a, b = _run(execute, 16, _BF16, (_K128, _K128), immediates=immediates)
    assert np.array_equal(d, sign * (a @ b.T) + 3)


@pytest.mark.parametrize("scale", ["!%p2", "0"])
def test_without_the_accumulator(execute: Execute, scale: str) -> None:
    """Even a NaN in D does not matter where scale-d is false."""
    scale = scale.replace("!%p2", "%p3")
    d, a, b = _run(execute, 16, _BF16, (_K128, _K128), scale=scale, start=float("nan"))
    assert np.array_equal(d, a @ b.T)


def test_products_in_a_row(execute: Execute) -> None:
    d, a, b = _run(execute, 16, _BF16, (_K128, _K128), repeat=3)
    assert np.array_equal(d, 3 * (a @ b.T) + 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": 12}, "n = 12 is not among"),
        ({"n": 264, "forms": (_K128, _Form("k", 32))}, "n = 264 is not among"),
        ({"n": 40, "kinds": ("s32", "s8", "s8"), "immediates": "", "transposes": False}, "n = 40 is not among"),
        ({"kinds": ("f32", "bf16", "f16")}, r"\.bf16 and \.f16 is not supported"),
        ({"kinds": ("f16", "bf16", "bf16")}, "D of type .f16"),
        ({"kinds": ("f32", "tf32", "tf32")}, "8 operands, expected 6"),
        ({"immediates": "2, 1"}, "imm-scale is 1 or -1"),
    ],
)
def test_refusals(execute: Execute, change: dict[str, object], message: str) -> None:
    arguments = {"n": 16, "kinds": _BF16, "forms": (_K128, _K128), **change}
    with pytest.raises(UnsupportedPtxError, match=message):
        _run(execute, **arguments)  # type: ignore[arg-type]


def test_warps_must_agree(execute: Execute) -> None:
    body = """
      shl.b32 %r2, %r0, 4; add.u32 %r3, %r1, %r2; st.shared.v4.u32 [%r3], {{%r0, %r0, %r0, %r0}};
      fence.proxy.async; bar.sync 0;
      cvt.u64.u32 %d10, %r0; and.b64 %d10, %d10, {mask}; shr.u32 %r1, %r1, 4;
      cvt.u64.u32 %d11, %r1; or.b64 %d10, %d10, %d11;
      wgmma.fence.sync.aligned;
      wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {{%f0, %f1, %f2, %f3}}, %d10, %d10, 0, 1, 1, 0, 0;
      wgmma.commit_group.sync.aligned;
      wgmma.wait_group.sync.aligned 0;
    """
    execute(body.format(mask=0), np.zeros(1, np.uint32), threads=128)
    for mask, message in ((1, "the lanes of a warp differ in the descriptor"), (32, "the warps of a warpgroup differ")):
        with pytest.raises(SimulationError, match=message):
            execute(body.format(mask=mask), np.zeros(1, np.uint32), threads=128)
