"""Masked stores of a single lane, which LLVM 22's code for AVX-512 does wrongly.

Where a vector is narrowed by ``trunc nuw`` or ``nsw`` and stored under a constant mask of one lane, LLVM makes one
store of a number of it, but as wide as it was before: over what lies behind it in memory.  (Issue 179489 of
llvm-project tells of truncating stores in general; 22.1.8 still has this.)  A store of the number alone says the same.
"""

from collections.abc import Iterator
from ctypes import byref, c_void_p
from typing import Any

from stepwell.support.llvm_c import llvm_c

_MASKED_STORE = b"llvm.masked.store"


def store_single_lanes(module: c_void_p, context: c_void_p) -> None:
    """Write masked stores under constant masks of one lane as stores of that number, after all optimizations.

    Args:
        module: an LLVMModuleRef.
        context: the LLVMContextRef it lives in.
    """
    single = [(call, lane) for call in _masked_stores(module) if (lane := _single_lane(call)) is not None]
    if not single:
        return
    library = llvm_c()
    builder = library.LLVMCreateBuilderInContext(context)
    try:
        index_type = library.LLVMInt64TypeInContext(context)
        for call, lane in single:
            _store_lane(builder, call, library.LLVMConstInt(index_type, lane, 0))
    finally:
        library.LLVMDisposeBuilder(builder)


def _masked_stores(module: c_void_p) -> Iterator[Any]:
    library = llvm_c()
    wanted = library.LLVMLookupIntrinsicID(_MASKED_STORE, len(_MASKED_STORE))
    function = library.LLVMGetFirstFunction(module)
    while function:
        if library.LLVMGetIntrinsicID(function) == wanted:
            use = library.LLVMGetFirstUse(function)
            while use:
                yield library.LLVMGetUser(use)
                use = library.LLVMGetNextUse(use)
        function = library.LLVMGetNextFunction(function)


def _single_lane(call: Any) -> int | None:
    """Return the number of the one lane that a masked store writes, if its mask tells it."""
    library = llvm_c()
    mask = library.LLVMGetOperand(call, 2)
    if not library.LLVMIsConstant(mask):
        return None
    lanes = []
    for lane in range(library.LLVMGetVectorSize(library.LLVMTypeOf(mask))):
        element = library.LLVMGetAggregateElement(mask, lane)
        # A lane may be undefined: LLVM does not write it.
        if element and library.LLVMIsAConstantInt(element) and library.LLVMConstIntGetZExtValue(element):
            lanes.append(lane)
    return lanes[0] if len(lanes) == 1 else None


def _store_lane(builder: Any, call: Any, lane: Any) -> None:
    library = llvm_c()
    vector, pointer = (library.LLVMGetOperand(call, number) for number in range(2))
    element_type = library.LLVMGetElementType(library.LLVMTypeOf(vector))
    library.LLVMPositionBuilderBefore(builder, call)
    element = library.LLVMBuildExtractElement(builder, vector, lane, b"")
    place = library.LLVMBuildGEP2(builder, element_type, pointer, byref(c_void_p(lane)), 1, b"")
    # An access of this machine needs no alignment, and the mask's says nothing of the lane's.
    library.LLVMSetAlignment(library.LLVMBuildStore(builder, element, place), 1)
    library.LLVMInstructionEraseFromParent(call)
