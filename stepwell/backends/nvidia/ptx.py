"""PTX from a GPU module in the llvm dialect, in this process."""

import re
from typing import Any

from stepwell.support.bindings import PassManager, gpu, ir
from stepwell.support.errors import CompileError

_FOREIGN = re.compile(r"^\.extern \.func\b[^;]*?(\w+)\s*\(", re.MULTILINE)
_TO_PTX = "builtin.module(gpu-module-to-binary{format=isa})"


def gpu_module(module: Any) -> Any:
    """Return the one GPU module in a kernel module at stage ``target``; raises CompileError."""
    found = [op.operation for op in module.regions[0].blocks[0].operations if op.operation.name == "gpu.module"]
    if len(found) != 1:
        raise CompileError(f"the pipeline left {len(found)} GPU modules, not one: it must end at stage 'target'")
    return found[0]


def to_ptx(module: Any) -> str:
    """Return the PTX of the GPU module in ``module``, a kernel module at stage ``target``, which stays as it is.

    Raises:
        CompileError: LLVM refused it, or the code calls a function that no GPU has.  What LLVM has no instructions for
            ends the process.
    """
    with module.context, ir.Location.unknown():
        copy = module.clone(ip=False)
        try:
            PassManager.parse(_TO_PTX).run(copy)
        except ir.MLIRError as error:
            raise CompileError(f"the kernel cannot be translated to PTX: {error}") from error
        operations = [op.operation for op in copy.regions[0].blocks[0].operations]
        (binary,) = [op for op in operations if op.name == "gpu.binary"]
        (described,) = ir.ArrayAttr(binary.attributes["objects"])
        # The text ends with a zero byte.
        ptx = str(gpu.ObjectAttr(described).object.rstrip(b"\0").decode())
    foreign = _FOREIGN.findall(ptx)
    if foreign:
        raise CompileError(f"the kernel calls {', '.join(sorted(set(foreign)))}, which no GPU has")
    return ptx
