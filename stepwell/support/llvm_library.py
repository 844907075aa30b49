"""LLVM's optimizer and code generator in this process, through the C interface of the library that MLIR runs on.

The same work as ``opt -O2 | llc -O2`` without starting two programs per kernel, which take longer to start than a small
kernel takes to compile.  LLVM ends the process where it meets what it cannot do; callers that must survive that run in
a worker.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import byref, c_uint, c_void_p
from typing import Any

from stepwell.support.llvm_c import llvm_c
from stepwell.support.llvm_masked_stores import store_single_lanes

# Of llvm-c/TargetMachine.h.
_LEVEL_DEFAULT = 2
# Code that finds its constants relative to itself may be loaded anywhere: see runtime/elf.py.
_RELOCATION_PIC = 2
_CODE_MODEL_SMALL = 3
_OBJECT_FILE = 1


class LlvmError(Exception):
    """LLVM refuses what it was given; the text is its own message."""


@contextmanager
def _machine(triple: str, cpu: str) -> Iterator[c_void_p]:
    library = llvm_c()
    target, message = c_void_p(), c_void_p()
    if library.LLVMGetTargetFromTriple(triple.encode(), byref(target), byref(message)):
        raise LlvmError(_take_text(message))
    machine = library.LLVMCreateTargetMachine(
        target, triple.encode(), cpu.encode(), b"", _LEVEL_DEFAULT, _RELOCATION_PIC, _CODE_MODEL_SMALL
    )
    try:
        yield c_void_p(machine)
    finally:
        library.LLVMDisposeTargetMachine(machine)


def llvm_version() -> str:
    """Return the version of the library, such as ``22.1.8``; raises OSError where it cannot be loaded."""
    parts = (c_uint(), c_uint(), c_uint())
    llvm_c().LLVMGetVersion(*map(byref, parts))
    return ".".join(str(part.value) for part in parts)


def compile_object(llvm_ir: str, *, triple: str, cpu: str, passes: str = "default<O2>") -> bytes:
    """Optimize LLVM IR and return an object file of position-independent code; equal text gives equal bytes.

    Args:
        llvm_ir: a module as text.
        triple: what machine and system it is for, such as ``x86_64-unknown-linux-gnu``.
        cpu: the processor, such as ``x86-64-v3``.
        passes: what ``opt -passes=`` would get.

    Raises:
        LlvmError: the text is no module, or LLVM has no code for it.
    """
    library = llvm_c()
    with _machine(triple, cpu) as machine:
        context = library.LLVMContextCreate()
        try:
            module = _parse(llvm_ir, context)
            try:
                _run_passes(module, passes, machine)
                store_single_lanes(module, context)
                return _emit(module, machine)
            finally:
                library.LLVMDisposeModule(module)
        finally:
            library.LLVMContextDispose(context)


def _parse(llvm_ir: str, context: Any) -> c_void_p:
    data = llvm_ir.encode()
    buffer = llvm_c().LLVMCreateMemoryBufferWithMemoryRangeCopy(data, len(data), b"kernel")
    module, message = c_void_p(), c_void_p()
    if llvm_c().LLVMParseIRInContext(context, buffer, byref(module), byref(message)):
        raise LlvmError(_take_text(message))
    return module


def _run_passes(module: c_void_p, passes: str, machine: c_void_p) -> None:
    library = llvm_c()
    options = library.LLVMCreatePassBuilderOptions()
    try:
        error = library.LLVMRunPasses(module, passes.encode(), machine, options)
    finally:
        library.LLVMDisposePassBuilderOptions(options)
    if error:
        text = library.LLVMGetErrorMessage(error)
        try:
            raise LlvmError(_text(text))
        finally:
            library.LLVMDisposeErrorMessage(text)


def _emit(module: c_void_p, machine: c_void_p) -> bytes:
    library = llvm_c()
    buffer, message = c_void_p(), c_void_p()
    if library.LLVMTargetMachineEmitToMemoryBuffer(machine, module, _OBJECT_FILE, byref(message), byref(buffer)):
        raise LlvmError(_take_text(message))
    try:
        return ctypes.string_at(library.LLVMGetBufferStart(buffer), library.LLVMGetBufferSize(buffer))
    finally:
        library.LLVMDisposeMemoryBuffer(buffer)


def _text(address: Any) -> str:
    return ctypes.string_at(address).decode(errors="replace").strip() if address else "no message"


def _take_text(message: c_void_p) -> str:
    """Return a message that LLVM hands over, and free it."""
    text = _text(message.value)
    if message.value:
        llvm_c().LLVMDisposeMessage(message)
    return text
