"""Accesses of different widths meet in shadow memory: no byte is taken for its neighbour."""

import pytest
from strict_kernels import run

from stepwell.support.errors import RaceError


def test_neighbouring_bytes_of_different_threads() -> None:
    run("add.u32 %r6, %r2, %r0; cvt.u16.u32 %h0, %r0; st.shared.u8 [%r6], %h0;")


def test_halves_of_a_word() -> None:
    body = "shl.b32 %r6, %r0, 1; add.u32 %r6, %r6, %r2; cvt.u16.u32 %h0, %r0; st.shared.u16 [%r6], %h0; {} {}"
    read = "and.b32 %r7, %r6, 0xfffffffc; ld.shared.u32 %r8, [%r7];"
    run(body.format("bar.sync 0;", read))
    with pytest.raises(RaceError):
        run(body.format("", read), threads=32)


def test_copy_of_part_of_a_piece_needs_finer_granules() -> None:
    """Words are accessed first, then the copy reads three of four bytes."""
    copy = "cp.async.ca.shared.global [%r3], [%d3], 4, 3;"
    body = "st.shared.u32 [%r3], %r0; bar.sync 0;" + copy + "{} ld.shared.u32 %r6, [%r3];"
    run(body.format("cp.async.wait_all;"))
    with pytest.raises(RaceError, match="a copy that thread"):
        run(body.format(""))
