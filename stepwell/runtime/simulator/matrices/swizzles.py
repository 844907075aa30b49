"""The swizzling patterns of shared memory, which tensor copies and wgmma descriptors share.

Source: PTX ISA, "Swizzling Modes" (the tables of 16-byte cells) and "Canonical Layouts" (Swizzle<b, 4, 3>). Within a
span of 32, 64 or 128 bytes, the number of a 16-byte cell is exclusive-ored with the low 1, 2 or 3 bits of the number of
its 128-byte line, counted from the start of the repeating pattern.
"""

from stepwell.runtime.simulator.matrices.arrays import Addresses

SPANS = (0, 32, 64, 128)
"""Bytes of the patterns; 0 swizzles nothing."""


def pattern_bytes(span: int) -> int:
    """Return the alignment of the repeating pattern: 256, 512 or 1024 bytes; 16 where nothing is swizzled."""
    return 8 * span if span else 16


def swizzle(addresses: Addresses, span: int, first_line: int = 0) -> Addresses:
    """Return where the bytes at ``addresses`` really lie.

    Args:
        addresses: byte addresses in shared memory, as the unswizzled layout gives them.
        span: bytes of the pattern: 0, 32, 64 or 128.
        first_line: the "base offset": number, modulo 8, of the 128-byte line at which the pattern starts.
    """
    if not span:
        return addresses
    mask = span // 16 - 1
    return addresses ^ ((((addresses >> 7) - first_line) & mask) << 4)
