"""What the parser reads, and what it says where it cannot."""

import re

import pytest

from stepwell.runtime.simulator.ptx.module import (
    Address,
    Guard,
    Immediate,
    Label,
    Module,
    Not,
    Pair,
    Register,
    Sink,
    Special,
    Symbol,
    Vector,
)
from stepwell.runtime.simulator.ptx.parser import parse
from stepwell.support.errors import PtxSyntaxError, UnsupportedPtxError

HEAD = ".version 8.6\n.target sm_90a, debug\n.address_size 64\n"


def kernel(body: str, before: str = "", header: str = "()") -> Module:
    return parse(f"{HEAD}{before}\n.visible .entry k{header}\n{{\n{body}\n}}\n")


def test_header() -> None:
    module = kernel("ret;")
    assert (module.version, module.target, module.address_size) == ((8, 6), "sm_90a", 64)
    assert list(module.entries) == ["k"]


def test_parameters_lie_at_their_alignment() -> None:
    header = """(
        .param .u64 .ptr .global .align 16 k_param_0,
        .param .u32 k_param_1,
        .param .align 64 .b8 k_param_2[128],
        .param .u8 k_param_3
      ) .maxntid 256, 1, 1 .minnctapersm 2 .reqnctapercluster 4"""
    entry = kernel("ret;", header=header).entries["k"]
    assert [(one.name[-1], one.offset, one.size) for one in entry.parameters] == [
        ("0", 0, 8),
        ("1", 8, 4),
        ("2", 64, 128),
        ("3", 192, 1),
    ]
    assert entry.parameter_bytes == 193
    assert entry.directives["maxntid"] == (256, 1, 1)
    assert entry.directives["reqnctapercluster"] == (4,)


def test_operands() -> None:
    entry = kernel("""
      .reg .b32 %r<4>; .reg .b64 %rd<2>; .reg .pred p, %q; .shared .b8 buffer[16];
      @!p mad.lo.s32 %r0, %r1, -3, 0x1F;
      shfl.sync.bfly.b32 %r0|%q, %r1, 16, 31, -1;
      setp.eq.and.s32 p, %r1, %r2, !%q;
      ld.global.v2.f32 {%r0, _}, [%rd1+-16];
      mov.f32 %r1, 0f3F800000; mov.f64 %rd1, 0d3FF0000000000000; mov.f32 %r1, 2.5;
      mov.u32 %r3, %ctaid.x; mov.u32 %r2, buffer;
      prefetch.global.L2 [buffer+4, {%r1, %r2}];
    """).entries["k"]
    first, shuffle, compare, load, single, double, decimal, special, symbol, bulk = entry.instructions
    p = first.guard.register
    assert first.guard == Guard(p, True)
    assert p.name == "p"
    assert first.operands[2:] == (Immediate(-3), Immediate(31))
    assert (first.opcode, first.modifiers, first.types) == ("mad.lo.s32", ("lo", "s32"), ("s32",))
    assert isinstance(shuffle.operands[0], Pair)
    assert isinstance(compare.operands[3], Not)
    assert isinstance(load.operands[0], Vector)
    assert load.operands[0].elements[1] == Sink()
    assert load.operands[1] == Address(Register("%rd1", load.operands[1].base.slot, load.operands[1].base.type), -16)
    assert single.operands[1] == Immediate(0x3F800000, "f32")
    assert double.operands[1] == Immediate(0x3FF0000000000000, "f64")
    assert decimal.operands[1] == Immediate(0x4004000000000000, "f64")
    assert special.operands[1] == Special("%ctaid.x")
    assert symbol.operands[1] == Symbol("buffer")
    assert len(bulk.operands[0].rest[0].elements) == 2
    assert bulk.operands[0].offset == 4


def test_modifiers_of_two_words() -> None:
    opcode = "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
    (ins,) = kernel(f".reg .b64 %d<3>; {opcode} [%d0], [%d1], [%d2];").entries["k"].instructions
    assert ins.modifiers[:6] == ("async", "bulk", "tensor", "2d", "shared::cluster", "global")
    assert ins.modifiers[-1] == "mbarrier::complete_tx::bytes"


def test_blocks_have_their_own_names() -> None:
    """Inline assembly declares registers and labels in braces, the same ones again and again."""
    entry = kernel("""
      .reg .b32 %r<2>;
      { .reg .pred p; setp.eq.s32 p, %r0, 0; @p bra DONE; add.s32 %r0, %r0, 1; DONE: }
      { .reg .pred p; WAIT: setp.eq.s32 p, %r1, 0; @p bra WAIT; @p bra OUT; }
      OUT: ret;
    """).entries["k"]
    branches = [ins.operands[0] for ins in entry.instructions if ins.name == "bra"]
    assert branches == [Label("DONE", 3), Label("WAIT", 3), Label("OUT", 6)]
    assert len({ins.guard.register.slot for ins in entry.instructions if ins.guard}) == 2


def test_lines_and_sources() -> None:
    module = parse(
        HEAD + '.file 1 "model.py"\n.entry k()\n{\n.reg .b32 %r<2>;\n.loc 1 42 7\n  mov.u32 %r1,\n    3; // three\n'
        "/* a\nlong */ ret;\n}\n.section .debug_str { .b8 1, 2\n }\n"
    )
    first, second = module.entries["k"].instructions
    assert (first.line, first.source, first.text) == (9, ("model.py", 42), "mov.u32 %r1, 3;")
    assert (second.line, second.source) == (12, ("model.py", 42))


def test_variables_and_their_values() -> None:
    module = kernel(
        "ret;",
        before="""
        .global .align 8 .b8 bytes[6] = {1, 2, 0xFF};
        .const .f32 pi[2] = {0f40490FDB, 1.5};
        .visible .global .u64 table[2] = {bytes, generic(bytes)+4};
        .global .s16 low = -2;
        .extern .shared .align 1024 .b8 dynamic[];
        """,
    )
    bytes_, pi, table, low, dynamic = module.variables.values()
    assert (bytes_.data, bytes_.size, bytes_.align) == (b"\1\2\xff", 6, 8)
    assert pi.data == bytes.fromhex("db0f49400000c03f")
    assert table.pointers == ((0, "bytes", 0), (8, "bytes", 4))
    assert low.data == b"\xfe\xff"
    assert (dynamic.external, dynamic.size, dynamic.align) == (True, 0, 1024)


def test_shared_memory_is_laid_out() -> None:
    """Static variables that the kernel uses, then the dynamic part at its alignment."""
    entry = kernel(
        ".shared .align 16 .b8 b[20]; .reg .b32 %r1; mov.u32 %r1, a; mov.u32 %r1, dynamic; mov.u32 %r1, b;",
        before=".shared .align 4 .b8 a[6]; .shared .b8 unused[999]; .extern .shared .align 128 .b8 dynamic[];",
    ).entries["k"]
    assert {name: one.offset for name, one in entry.variables.items()} == {"b": 0, "a": 20, "dynamic": 128}
    assert (entry.shared_bytes, entry.dynamic_offset) == (26, 128)


def test_calls_are_expanded() -> None:
    module = kernel(
        """
        .reg .b32 %r<3>;
        { .param .b32 in; .param .b32 out; st.param.b32 [in], %r1;
          call.uni (out), twice, (in); ld.param.b32 %r2, [out]; }
        """,
        before=""".func (.param .b32 result) twice(.param .b32 x)
        { .reg .b32 %r<3>; ld.param.b32 %r1, [x]; add.s32 %r1, %r1, %r1; st.param.b32 [result], %r1; ret; }""",
    )
    entry = module.entries["k"]
    assert [ins.name for ins in entry.instructions] == ["st", "ld", "add", "st", "bra", "ld"]
    names = [
        operand.base.name for ins in entry.instructions for operand in ins.operands if isinstance(operand, Address)
    ]
    assert names == ["in", "in", "out", "out"]
    assert {one.space for one in entry.variables.values()} == {"local"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("bra NOWHERE;", "PTX line 8: 'NOWHERE' is not declared"),
        ("ld.global.u32 %r1, [nothing];", "PTX line 8: 'nothing' is not declared"),
        ("add.s32 %r1, %r1", "expected ',', found '}'"),
        ("mov.u32 %r1, #3;", "'#3;' is not PTX"),
        ("A: ret; A: ret;", "the label 'A' is defined twice"),
        (".callprototype x;", "the directive '.callprototype' is not known"),
        ("@%r1 ret; { ", "never closed"),
        ("@3 ret;", "expected a predicate register, found '3'"),
        (".reg .v4 .f32 %v;", "vector registers are not supported"),
        (".reg .wide %v;", "'.wide' is not known in a declaration"),
        ("ld.global.u32 %r1, [%tid.x];", "cannot be the base of an address"),
    ],
)
def test_errors_name_line_and_token(body: str, message: str) -> None:
    with pytest.raises(PtxSyntaxError, match=re.escape(message)):
        kernel(f".reg .b32 %r<3>;\n{body}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (".version 8.0\n", "the module has no .target"),
        (HEAD + ".address_size 32\n", "only 64-bit addresses"),
        (HEAD + ".entry k() { ret; }\n.entry k() { ret; }", "PTX line 5: the kernel 'k' is defined twice"),
        (HEAD + ".alias a, b;", "'.alias' is not known at the level of a module"),
        (HEAD + ".global .b8 x[2] = {mask(x)};", "masked addresses"),
    ],
)
def test_errors_in_modules(text: str, message: str) -> None:
    with pytest.raises(PtxSyntaxError, match=re.escape(message)):
        parse(text)


def test_calls_that_cannot_be_expanded() -> None:
    loop = ".func f() { call f; ret; }"
    with pytest.raises(UnsupportedPtxError, match="recursive call of 'f'") as caught:
        kernel("call f;", before=loop)
    assert caught.value.ptx_line == 4
    with pytest.raises(UnsupportedPtxError, match="call of 'vprintf', which has no body"):
        kernel("call vprintf;", before=".extern .func vprintf();")
