"""Calls many kernels from machine code: one call from Python per program, not one per launch.

A launch is a row of 64-bit words in a table; rows follow each other:

    address of the kernel, number s of words at the end, six words for the argument registers, s words for the stack

``s`` is even, which keeps the stack aligned.  A call from Python costs about a microsecond for each kernel, and takes
the interpreter's lock again in between; this costs some nanoseconds.

Functions of the CUDA driver are called in the same way.  They return an error code: with a mask of all ones the first
that is not 0 ends the run, and takes the place of that row's ``s``.
"""

import ctypes
from collections.abc import Callable, Sequence
from functools import cache

from stepwell.runtime.memory import executable_bytes

REGISTERS = 6
_HEAD = 2

# The text is what a test assembles to compare.
ASSEMBLY = """
  push rbp
  mov rbp, rsp
  push rbx
  push r12
  push r13
  push r14
  mov rbx, rdi              # row
  mov r12, rsi              # end of the table
  mov r14, rdx              # which bits of a returned value are an error
next:
  cmp rbx, r12
  jae done
  mov rcx, [rbx + 8]
  lea r13, [rbx + 8*rcx + 64]  # the row after this one
more:
  test rcx, rcx
  jz go
  dec rcx
  push [rbx + 8*rcx + 64]
  jmp more
go:
  mov rdi, [rbx + 16]
  mov rsi, [rbx + 24]
  mov rdx, [rbx + 32]
  mov rcx, [rbx + 40]
  mov r8, [rbx + 48]
  mov r9, [rbx + 56]
  call [rbx]
  lea rsp, [rbp - 32]
  and eax, r14d
  jnz failed
  mov rbx, r13
  jmp next
failed:
  mov [rbx + 8], rax
  mov rax, rbx
  jmp out
done:
  xor eax, eax
out:
  pop r14
  pop r13
  pop r12
  pop rbx
  pop rbp
  ret
"""

MACHINE_CODE = bytes.fromhex(
    "554889e5534154415541564889fb4989f44989d64c39e37348488b4b084c8d6ccb404885c9740948ffc9ff74cb40ebf2488b7b10"
    "488b7318488b5320488b4b284c8b43304c8b4b38ff13488d65e04421f075054c89ebebbc488943084889d8eb0231c0415e415d41"
    "5c5b5dc3"
)


@cache
def launcher() -> Callable[[int, int, int], int]:
    """Return a function that runs the rows between two addresses.  It releases the interpreter's lock.

    Its third argument says which bits of what the functions return are an error; 0 for functions that return nothing.
    It returns the address of the row that failed, or 0.
    """
    prototype = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)
    function: Callable[[int, int, int], int] = prototype(executable_bytes(MACHINE_CODE))
    return function


def row(kernel: int, arguments: Sequence[int]) -> list[int]:
    """Return the words of one launch; argument ``i`` is at ``argument_position(i)``."""
    registers = [*arguments[:REGISTERS], *[0] * (REGISTERS - len(arguments))]
    stack = list(arguments[REGISTERS:])
    stack += [0] * (len(stack) % 2)
    return [kernel, len(stack), *registers, *stack]


def argument_position(number: int) -> int:
    """Return the index in a row of argument ``number``."""
    return _HEAD + number
