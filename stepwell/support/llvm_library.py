"""LLVM's optimizer and code generator in this process, through the C interface of the library that MLIR runs on.

The same work as ``opt -O2 | llc -O2`` without starting two programs per kernel, which take longer to start than a small
kernel takes to compile.  LLVM ends the process where it meets what it cannot do; callers that must survive that run in
a worker.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_uint, c_void_p
from functools import cache
from typing import Any

from stepwell.support.bindings import llvm_library_path

# Of llvm-c/TargetMachine.h.
_LEVEL_DEFAULT = 2
# Code that finds its constants relative to itself may be loaded anywhere: see runtime/elf.py.
_RELOCATION_PIC = 2
_CODE_MODEL_SMALL = 3
_OBJECT_FILE = 1

# Name -> (result, parameters); what is not here is not called.
_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "LLVMContextCreate": (c_void_p, []),
    "LLVMContextDispose": (None, [c_void_p]),
    "LLVMCreateMemoryBufferWithMemoryRangeCopy": (c_void_p, [c_char_p, c_size_t, c_char_p]),
    "LLVMCreatePassBuilderOptions": (c_void_p, []),
    "LLVMCreateTargetMachine": (c_void_p, [c_void_p, c_char_p, c_char_p, c_char_p, c_int, c_int, c_int]),
    "LLVMDisposeErrorMessage": (None, [c_void_p]),
    "LLVMDisposeMemoryBuffer": (None, [c_void_p]),
    "LLVMDisposeMessage": (None, [c_void_p]),
    "LLVMDisposeModule": (None, [c_void_p]),
    "LLVMDisposePassBuilderOptions": (None, [c_void_p]),
    "LLVMDisposeTargetMachine": (None, [c_void_p]),
    "LLVMGetBufferSize": (c_size_t, [c_void_p]),
    "LLVMGetBufferStart": (c_void_p, [c_void_p]),
    "LLVMGetErrorMessage": (c_void_p, [c_void_p]),
    "LLVMGetVersion": (None, [POINTER(c_uint), POINTER(c_uint), POINTER(c_uint)]),
    "LLVMGetTargetFromTriple": (c_int, [c_char_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "LLVMInitializeX86AsmPrinter": (None, []),
    "LLVMInitializeX86Target": (None, []),
    "LLVMInitializeX86TargetInfo": (None, []),
    "LLVMInitializeX86TargetMC": (None, []),
    # It takes the buffer over, whatever comes of it.
    "LLVMParseIRInContext": (c_int, [c_void_p, c_void_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "LLVMRunPasses": (c_void_p, [c_void_p, c_char_p, c_void_p, c_void_p]),
    "LLVMTargetMachineEmitToMemoryBuffer": (
        c_int,
        [c_void_p, c_void_p, c_int, POINTER(c_void_p), POINTER(c_void_p)],
    ),
}


class LlvmError(Exception):
    """LLVM refuses what it was given; the text is its own message."""


@cache
def _library() -> Any:
    """Return the library with its x86 target ready."""
    library = ctypes.CDLL(str(llvm_library_path()), mode=ctypes.RTLD_GLOBAL)
    for name, (result, parameters) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, parameters
    for part in ("TargetInfo", "Target", "TargetMC", "AsmPrinter"):
        getattr(library, f"LLVMInitializeX86{part}")()
    return library


@contextmanager
def _machine(triple: str, cpu: str) -> Iterator[c_void_p]:
    library = _library()
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
    _library().LLVMGetVersion(*map(byref, parts))
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
    library = _library()
    with _machine(triple, cpu) as machine:
        context = library.LLVMContextCreate()
        try:
            module = _parse(llvm_ir, context)
            try:
                _run_passes(module, passes, machine)
                return _emit(module, machine)
            finally:
                library.LLVMDisposeModule(module)
        finally:
            library.LLVMContextDispose(context)


def _parse(llvm_ir: str, context: Any) -> c_void_p:
    data = llvm_ir.encode()
    buffer = _library().LLVMCreateMemoryBufferWithMemoryRangeCopy(data, len(data), b"kernel")
    module, message = c_void_p(), c_void_p()
    if _library().LLVMParseIRInContext(context, buffer, byref(module), byref(message)):
        raise LlvmError(_take_text(message))
    return module


def _run_passes(module: c_void_p, passes: str, machine: c_void_p) -> None:
    library = _library()
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
    library = _library()
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
        _library().LLVMDisposeMessage(message)
    return text
