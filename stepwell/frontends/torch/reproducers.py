"""Programs of a few lines that are refused for the same reason as a large one.

    class Program(torch.nn.Module):
        def forward(self, a0):
            return torch.ops.aten.special_bessel_y0.default(a0)

A script holds the refused calls alone, one of each kind; what they read is made anew, of the same shapes, strides and
dtypes.  The values do not matter, for none is looked at before a program runs.
"""

import math
import platform
from collections.abc import Sequence
from typing import Any

import torch

from stepwell.frontends.torch.support_report import Refusal
from stepwell.support.errors import ImportProgramError
from stepwell.support.reproducer_files import write_reproducer

_SCRIPT = '''"""{message}

Written by stepwell {stepwell} with torch {torch} and Python {python} on {machine}.
"""

import torch

import stepwell as sw


class Program(torch.nn.Module):
    def forward(self{parameters}):
        return ({calls}
        )


torch.manual_seed(0)
inputs = ({inputs})
program = torch.export.export(Program(), inputs{dynamic})
sw.from_exported_program(program)
print("the program is imported")
'''


def attach_reproducer(error: ImportProgramError, refusals: Sequence[Refusal]) -> None:
    """Write a script that repeats the refusals, and note its path in ``error``.

    Calls with arguments that no script can spell, such as the bodies of control flow, are left out of it; where there
    is no other, nothing is written.
    """
    script = _Script()
    for refusal in {(str(refusal.node.target), refusal.error.message): refusal for refusal in refusals}.values():
        script.add(refusal.node)
    if not script.calls:
        return
    try:
        path = write_reproducer("import", ".py", script.text(error.message))
    except OSError as failure:
        # The refusal itself matters more than the file about it.
        error.fix = error.fix or f"no reproducer was written: {failure}"
        return
    error.reproducer = str(path or "")


class _UnspeakableError(Exception):
    """An argument that has no text."""


class _Script:
    """Collects calls, and the inputs that they share."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        # Text that makes the input, and text that tells its symbolic sizes, by node.
        self._inputs: dict[Any, tuple[str, str]] = {}

    def add(self, node: Any) -> None:
        """Add a call; one that cannot be written is left out."""
        before = dict(self._inputs)
        try:
            if not isinstance(node.target, torch._ops.OpOverload):
                raise _UnspeakableError
            arguments = [self._argument(argument) for argument in node.args]
            arguments += [f"{key}={self._argument(argument)}" for key, argument in node.kwargs.items()]
        except _UnspeakableError:
            self._inputs = before
            return
        self.calls.append(f"torch.ops.{node.target}({', '.join(arguments)})")

    def text(self, message: str) -> str:
        """Return the script."""
        from stepwell import __version__

        names = [f"a{number}" for number in range(len(self._inputs))]
        inputs = [text for text, _ in self._inputs.values()]
        shapes = [shape for _, shape in self._inputs.values()]
        return _SCRIPT.format(
            message=message.replace("\\", "/").replace('"""', "'''"),
            stepwell=__version__,
            torch=torch.__version__,
            python=platform.python_version(),
            machine=platform.platform(),
            parameters="".join(f", {name}" for name in names),
            calls="".join(f"\n            {call}," for call in self.calls),
            inputs="".join(f"\n    {text}," for text in inputs) + ("\n" if inputs else ""),
            dynamic=f", dynamic_shapes=({', '.join(shapes)},)" if any(shape != "{}" for shape in shapes) else "",
        )

    def _argument(self, value: Any) -> str:
        if isinstance(value, torch.fx.Node):
            return self._read(value)
        if isinstance(value, list | tuple):
            items = ", ".join(map(self._argument, value))
            return f"[{items}]"
        if isinstance(value, torch.SymInt | torch.SymFloat | torch.SymBool):
            return repr(_example(value))
        if isinstance(value, float) and not math.isfinite(value):
            return f'float("{value}")'
        if value is None or isinstance(value, bool | int | float | str | complex):
            return repr(value)
        if isinstance(value, torch.dtype | torch.layout | torch.memory_format):
            return str(value)
        if isinstance(value, torch.device):
            return f'torch.device("{value}")'
        raise _UnspeakableError

    def _read(self, node: Any) -> str:
        value = node.meta.get("val")
        if isinstance(value, list | tuple):
            raise _UnspeakableError
        if not isinstance(value, torch.Tensor):
            return self._argument(value)
        if node not in self._inputs:
            self._inputs[node] = (_tensor_text(value), _dynamic_text(value))
        return f"a{list(self._inputs).index(node)}"


def _example(value: Any) -> Any:
    hint = value.node.hint
    if hint is None:
        raise _UnspeakableError
    return hint


def _tensor_text(value: torch.Tensor) -> str:
    """Return an expression that makes a tensor of the same layout; raises _UnspeakableError for sparse ones."""
    if value.layout is not torch.strided:
        raise _UnspeakableError
    shape = tuple(_example(size) if isinstance(size, torch.SymInt) else size for size in value.shape)
    strides = tuple(_example(step) if isinstance(step, torch.SymInt) else step for step in value.stride())
    made = f"torch.empty_strided({shape}, {strides}, dtype={value.dtype})"
    if (value.dtype.is_floating_point and value.dtype.itemsize > 1) or value.dtype.is_complex:
        return f"{made}.normal_()"
    # Small numbers are in range for most indices, too.
    return f"{made}.fill_(0)"


def _dynamic_text(value: torch.Tensor) -> str:
    dims = [dim for dim, size in enumerate(value.shape) if isinstance(size, torch.SymInt)]
    return "{" + ", ".join(f"{dim}: torch.export.Dim.AUTO" for dim in dims) + "}"
