"""LLVM's C interface, of the library that MLIR runs on."""

import ctypes
from ctypes import POINTER, c_char_p, c_int, c_size_t, c_uint, c_ulonglong, c_void_p
from functools import cache
from typing import Any

from stepwell.support.bindings import llvm_library_path

# Name -> (result, parameters); what is not here is not called.
_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "LLVMBuildExtractElement": (c_void_p, [c_void_p, c_void_p, c_void_p, c_char_p]),
    "LLVMBuildGEP2": (c_void_p, [c_void_p, c_void_p, c_void_p, POINTER(c_void_p), c_uint, c_char_p]),
    "LLVMBuildStore": (c_void_p, [c_void_p, c_void_p, c_void_p]),
    "LLVMConstInt": (c_void_p, [c_void_p, c_ulonglong, c_int]),
    "LLVMConstIntGetZExtValue": (c_ulonglong, [c_void_p]),
    "LLVMContextCreate": (c_void_p, []),
    "LLVMContextDispose": (None, [c_void_p]),
    "LLVMCreateBuilderInContext": (c_void_p, [c_void_p]),
    "LLVMCreateMemoryBufferWithMemoryRangeCopy": (c_void_p, [c_char_p, c_size_t, c_char_p]),
    "LLVMCreatePassBuilderOptions": (c_void_p, []),
    "LLVMCreateTargetMachine": (c_void_p, [c_void_p, c_char_p, c_char_p, c_char_p, c_int, c_int, c_int]),
    "LLVMDisposeBuilder": (None, [c_void_p]),
    "LLVMDisposeErrorMessage": (None, [c_void_p]),
    "LLVMDisposeMemoryBuffer": (None, [c_void_p]),
    "LLVMDisposeMessage": (None, [c_void_p]),
    "LLVMDisposeModule": (None, [c_void_p]),
    "LLVMDisposePassBuilderOptions": (None, [c_void_p]),
    "LLVMDisposeTargetMachine": (None, [c_void_p]),
    "LLVMGetAggregateElement": (c_void_p, [c_void_p, c_uint]),
    "LLVMGetBufferSize": (c_size_t, [c_void_p]),
    "LLVMGetBufferStart": (c_void_p, [c_void_p]),
    "LLVMGetElementType": (c_void_p, [c_void_p]),
    "LLVMGetErrorMessage": (c_void_p, [c_void_p]),
    "LLVMGetFirstFunction": (c_void_p, [c_void_p]),
    "LLVMGetFirstUse": (c_void_p, [c_void_p]),
    "LLVMGetIntrinsicID": (c_uint, [c_void_p]),
    "LLVMGetNextFunction": (c_void_p, [c_void_p]),
    "LLVMGetNextUse": (c_void_p, [c_void_p]),
    "LLVMGetOperand": (c_void_p, [c_void_p, c_uint]),
    "LLVMGetTargetFromTriple": (c_int, [c_char_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "LLVMGetUser": (c_void_p, [c_void_p]),
    "LLVMGetVectorSize": (c_uint, [c_void_p]),
    "LLVMGetVersion": (None, [POINTER(c_uint), POINTER(c_uint), POINTER(c_uint)]),
    "LLVMInitializeX86AsmPrinter": (None, []),
    "LLVMInitializeX86Target": (None, []),
    "LLVMInitializeX86TargetInfo": (None, []),
    "LLVMInitializeX86TargetMC": (None, []),
    "LLVMInstructionEraseFromParent": (None, [c_void_p]),
    "LLVMInt64TypeInContext": (c_void_p, [c_void_p]),
    "LLVMIsAConstantInt": (c_void_p, [c_void_p]),
    "LLVMIsConstant": (c_int, [c_void_p]),
    "LLVMLookupIntrinsicID": (c_uint, [c_char_p, c_size_t]),
    # It takes the buffer over, whatever comes of it.
    "LLVMParseIRInContext": (c_int, [c_void_p, c_void_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "LLVMPositionBuilderBefore": (None, [c_void_p, c_void_p]),
    "LLVMRunPasses": (c_void_p, [c_void_p, c_char_p, c_void_p, c_void_p]),
    "LLVMSetAlignment": (None, [c_void_p, c_uint]),
    "LLVMTargetMachineEmitToMemoryBuffer": (
        c_int,
        [c_void_p, c_void_p, c_int, POINTER(c_void_p), POINTER(c_void_p)],
    ),
    "LLVMTypeOf": (c_void_p, [c_void_p]),
}


@cache
def llvm_c() -> Any:
    """Return the library, with its x86 target ready; raises OSError where it cannot be loaded."""
    library = ctypes.CDLL(str(llvm_library_path()), mode=ctypes.RTLD_GLOBAL)
    for name, (result, parameters) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, parameters
    for part in ("TargetInfo", "Target", "TargetMC", "AsmPrinter"):
        getattr(library, f"LLVMInitializeX86{part}")()
    return library
