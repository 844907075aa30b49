"""Every error a user can meet, with a stable code, a message and a fix.

    StepwellError                    base: catch this one
    |-- MissingDependencyError       SW001  a package or program is not installed
    |-- InvalidOptionError           SW002  an option, target, pass or pipeline text is wrong
    |-- ImportProgramError           SW100  an exported program cannot be imported
    |   |-- UnsupportedOpError       SW101  it holds ops we do not support (all are listed)
    |   |-- TypeMismatchError        SW102  our type rule and torch's metadata differ
    |   `-- ConverterFaultError      SW104  a converter broke on a program
    |-- InvalidInputFileError        SW103  a .pt2, .mlir or .swx file cannot be read
    |-- CompileError                 SW200  a pass, the code generator or a worker failed
    |   |-- PassFailure              SW201  a pass refused the program or broke
    |   |-- WorkerError              SW202  a compile worker died, ran out of time or of memory
    |   |-- CodeSelectionError       SW204  LLVM has no instructions for what a kernel asks of the target
    |   `-- PtxasError               SW205  ptxas refused a kernel or broke
    |       `-- PtxasTimeoutError    SW206  ptxas ran out of time
    |-- CacheError                   SW203  the cache directory cannot be used
    |-- ArtifactError                SW300  an artifact is foreign, damaged, newer or does not fit this machine
    |   `-- ObjectError              SW301  a kernel's object file holds what the loader does not take
    |-- ArgumentError                SW400  a call's arguments do not fit the program
    |-- RuntimeFailure               SW401  a kernel reported an error (an index out of range, ...)
    |-- DeviceError                  SW402  no usable GPU or driver, or not enough device memory
    |   `-- LaunchError              SW403  a kernel cannot be launched, or broke while it ran
    `-- SimulationError              SW500  the simulated GPU met code that it must not, or cannot, run
        |-- PtxSyntaxError           SW501  the PTX text cannot be read
        |-- UnsupportedPtxError      SW502  an instruction, modifier or directive that the simulator does not know
        |-- MemoryAccessError        SW503  an access out of bounds, misaligned, to freed or to never written memory
        |-- DeadlockError            SW504  threads that wait for what cannot come
        |-- BarrierError             SW505  a barrier that its threads do not meet as the PTX ISA demands
        `-- RaceError                SW506  two accesses to the same bytes that nothing orders

Errors carry plain locations (file, line, column, frames), never MLIR objects, so that they outlive the context.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar


@dataclass(frozen=True)
class SourceLocation:
    """A place in the user's program.

    Attributes:
        file: path of the file as the compiler saw it.
        line: line number, counted from 1.
        column: column, counted from 1, or 0 where it is unknown.
        name: the node or op at that place, or "".
        frames: the callers, innermost first, as (function, file, line).
    """

    file: str
    line: int
    column: int = 0
    name: str = ""
    frames: tuple[tuple[str, str, int], ...] = field(default=())

    def __str__(self) -> str:
        column = f":{self.column}" if self.column else ""
        return f"{self.file}:{self.line}{column}"


class StepwellError(Exception):
    """Base of all errors that stepwell raises on purpose.

    Args:
        message: what was expected and what was found, in one phrase or more lines.
        fix: what the user can do about it.
        location: the user's line, where it is known.
    """

    code: ClassVar[str] = "SW000"

    def __init__(self, message: str, *, fix: str = "", location: SourceLocation | None = None) -> None:
        self.message = message
        self.fix = fix
        self.location = location
        super().__init__(message)

    def __str__(self) -> str:
        where = f"{self.location}: " if self.location is not None else ""
        fix = f"\n  fix: {self.fix}" if self.fix else ""
        return f"{where}{self.message} [{self.code}]{fix}"


class MissingDependencyError(StepwellError):
    """A package or program that this step needs is not installed."""

    code = "SW001"


class InvalidOptionError(StepwellError):
    """An option, target, pass name or pipeline text is wrong."""

    code = "SW002"


class ImportProgramError(StepwellError):
    """An exported program cannot be imported.

    Attributes:
        node: name of the node of the program's graph that cannot, or "".
        reproducer: path of a program of a few lines that is refused for the same reason, or "".
    """

    code = "SW100"

    def __init__(self, message: str, *, fix: str = "", location: SourceLocation | None = None) -> None:
        super().__init__(message, fix=fix, location=location)
        self.node = ""
        self.reproducer = ""

    def __str__(self) -> str:
        return super().__str__() + (f"\n  repeat: python {self.reproducer}" if self.reproducer else "")


class UnsupportedOpError(ImportProgramError):
    """A program holds calls that cannot be imported; the message lists all of them.

    Attributes:
        refusals: the calls, each with its node of the program's graph and the error that tells why.
    """

    code = "SW101"

    def __init__(self, message: str, *, fix: str = "", location: SourceLocation | None = None) -> None:
        super().__init__(message, fix=fix, location=location)
        self.refusals: tuple[Any, ...] = ()


class TypeMismatchError(ImportProgramError):
    """The result type that our rule computes differs from torch's own metadata."""

    code = "SW102"


class ConverterFaultError(ImportProgramError):
    """A converter broke on a program, which is a fault of its own and not the program's."""

    code = "SW104"


class InvalidInputFileError(StepwellError):
    """A program file cannot be read."""

    code = "SW103"


class CompileError(StepwellError):
    """A program cannot be compiled."""

    code = "SW200"


class PassFailure(CompileError):
    """A pass refused the program, or broke.

    Attributes:
        pass_name: the pass that failed.
        diagnostics: what was reported, as plain ``Diagnostic`` records.
        ir_before: the whole module as it was before that pass.
        pipeline: text of the pipeline that fails on it: that pass alone, nested as it was.
        command: the ``stepwell-opt`` command line that repeats the failure, or "".
        reproducer: path of the file that command reads, or "".
    """

    code = "SW201"

    def __init__(self, message: str, *, fix: str = "", location: SourceLocation | None = None) -> None:
        super().__init__(message, fix=fix, location=location)
        self.pass_name = ""
        self.diagnostics: tuple[object, ...] = ()
        self.ir_before = ""
        self.pipeline = ""
        self.command = ""
        self.reproducer = ""

    def __str__(self) -> str:
        others = "".join(f"\n  {line}" for line in map(str, self.diagnostics) if self.message not in line)
        repeat = f"\n  repeat: {self.command}" if self.command else ""
        return super().__str__() + others + repeat


class WorkerError(CompileError):
    """A compile worker died, or ran out of time or memory."""

    code = "SW202"


class CodeSelectionError(CompileError):
    """LLVM has no instructions of the target for what a kernel asks."""

    code = "SW204"


class PtxasError(CompileError):
    """ptxas refused a kernel, or broke."""

    code = "SW205"


class PtxasTimeoutError(PtxasError):
    """ptxas ran longer than it may."""

    code = "SW206"


class CacheError(StepwellError):
    """The cache directory cannot be used."""

    code = "SW203"


class ArtifactError(StepwellError):
    """An artifact is foreign, damaged, newer, or does not fit this machine."""

    code = "SW300"


class ObjectError(ArtifactError):
    """A kernel's object file holds what the loader does not take."""

    code = "SW301"


class ArgumentError(StepwellError, TypeError):
    """The arguments of a call do not fit the program."""

    code = "SW400"


class RuntimeFailure(StepwellError, RuntimeError):
    """A kernel reported an error while it ran; the program's results were not returned."""

    code = "SW401"


class SimulationError(StepwellError):
    """The simulated GPU met code that it must not, or cannot, run.

    Attributes:
        entry: name of the kernel, or "".
        ptx_line: line of the instruction in the PTX text, from 1, or 0.
        instruction: text of the instruction, or "".
        block: number of the block in its grid, or None.
        thread: number of the thread in its block, or None.
    """

    code = "SW500"

    def __init__(self, message: str, *, fix: str = "", location: SourceLocation | None = None) -> None:
        super().__init__(message, fix=fix, location=location)
        self.entry = ""
        self.ptx_line = 0
        self.instruction = ""
        self.block: int | None = None
        self.thread: int | None = None

    def __str__(self) -> str:
        places = [f"kernel '{self.entry}'"] if self.entry else []
        places += [f"PTX line {self.ptx_line}"] if self.ptx_line else []
        places += [f"block {self.block}"] if self.block is not None else []
        places += [f"thread {self.thread}"] if self.thread is not None else []
        shown = f"\n  in {', '.join(places)}" if places else ""
        text = f"\n  {self.instruction}" if self.instruction else ""
        return super().__str__() + shown + text


class PtxSyntaxError(SimulationError):
    """The PTX text cannot be read."""

    code = "SW501"


class UnsupportedPtxError(SimulationError):
    """The PTX holds an instruction, a modifier or a directive that the simulator does not know."""

    code = "SW502"


class MemoryAccessError(SimulationError):
    """An access out of bounds, misaligned, to freed memory, or a read of memory that nothing wrote."""

    code = "SW503"


class DeadlockError(SimulationError):
    """Threads wait for what cannot come."""

    code = "SW504"


class BarrierError(SimulationError):
    """A barrier is not met by its threads as the PTX ISA demands."""

    code = "SW505"


class RaceError(SimulationError):
    """Two accesses to the same bytes, at least one a write, that nothing orders."""

    code = "SW506"


class DeviceError(StepwellError, RuntimeError):
    """A device cannot be used: no GPU, no driver or one too old, another architecture, not enough memory."""

    code = "SW402"


class LaunchError(DeviceError):
    """A kernel cannot be launched, or broke while it ran (an access outside of memory, ...)."""

    code = "SW403"
