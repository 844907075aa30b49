"""The state of a program's random numbers: seed and offset, an argument that every call reads.

To the runtime it is a buffer like those of a batch norm: each call writes the new state back.  Under ``torch.compile``
the caller passes a fresh state instead.  Every random op of a call draws at its own step, so that no two of them see
the same numbers.  Branches and loops whose bodies draw take the state as one more value, and give the state after them.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch

from stepwell.dialects.graph.assembly import CatOp
from stepwell.dialects.graph.elementwise import AddOp
from stepwell.dialects.graph.random import WORDS, RandomOperation
from stepwell.dialects.graph.shape import ReshapeOp, SliceOp
from stepwell.dialects.graph.types import TensorMeta
from stepwell.frontends.torch.call_recorder import Body
from stepwell.frontends.torch.interface import Argument, Interface, ProgramResult
from stepwell.frontends.torch.registry import RANDOM_TARGETS
from stepwell.support.dtypes import DType
from stepwell.support.errors import ImportProgramError
from stepwell.support.signature import GENERATOR, Signature
from stepwell.support.structure import Structure
from stepwell.support.symbolic import Expr


@dataclass(eq=False)
class _State:
    """Stands for a node of the graph where an interface wants one: no call makes the state."""

    name: str
    meta: dict[str, Any]
    stack_trace: None = None


def with_generator(graph: Any, interface: Interface) -> Interface:
    """Return the interface with an argument and a result for the generator's state, where a graph draws at all.

    One that has such an argument already stays as it is.
    """
    if state_of(interface) is not None or not _draws(graph):
        return interface
    argument = _state_argument(interface)
    result = ProgramResult(_State(f"next_{argument.name}", argument.node.meta), "buffer", argument.name)
    return replace(interface, arguments=(*interface.arguments, argument), results=(*interface.results, result))


def with_passed_generator(graph: Any, interface: Interface) -> Interface:
    """Return the interface with the generator's state as the last positional argument, where a graph draws at all."""
    if not _draws(graph):
        return interface
    positional, keyword = interface.inputs.children
    children = (*positional.children, Structure.leaf(len(interface.arguments)))
    inputs = replace(interface.inputs, children=(replace(positional, children=children), keyword))
    return replace(interface, arguments=(*interface.arguments, _state_argument(interface)), inputs=inputs)


def state_of(interface: Interface) -> Argument | None:
    """Return the argument that is the generator's state, or None."""
    return next((argument for argument in interface.arguments if argument.kind == GENERATOR), None)


def _draws(graph: Any) -> bool:
    for node in graph.nodes:
        if node.op == "call_function" and (str(node.target) in RANDOM_TARGETS or any(map(draws, node.args))):
            return True
        if node.op == "get_attr" and draws(getattr(graph.owning_module, str(node.target), None)):
            return True
    return False


def draws(module: Any) -> bool:
    """Return whether the body of a branch or a loop, or a body inside it, draws random numbers; nothing else does."""
    return isinstance(module, torch.fx.GraphModule | Body) and _draws(module.graph)


def _state_argument(interface: Interface) -> Argument:
    taken = {argument.name for argument in interface.arguments}
    name = next(name for name in (GENERATOR, *(f"{GENERATOR}_{n}" for n in range(len(taken)))) if name not in taken)
    meta = {"val": torch.empty(2, dtype=torch.int64, device="meta")}
    return Argument(_State(name, meta), name, GENERATOR, persistent=False)


def initial_states(signature: Signature) -> dict[str, Any]:
    """Return the state that a program starts with, by name: torch's own seed, int64[2]."""
    seed = torch.initial_seed()
    state = torch.tensor([seed - (1 << 64) if seed >> 63 else seed, 0], dtype=torch.int64)
    return {argument.name: state for argument in signature.arguments if argument.kind == GENERATOR}


STATE = TensorMeta((Expr.const(2),), DType.INT64)
"""Stands for the generator's state among the arguments of a body."""


class NoGenerator:
    """Stands for the generator where nothing may be drawn."""

    def draw(self, *_: Any) -> Any:
        """Refuse."""
        raise ImportProgramError("random numbers in the condition of a loop are not supported")


class Generator:
    """Builds the random ops of one program.

    Args:
        importer: of the program.
        state: seed and offset, int64[2]: an argument of the function under construction, or what a loop returns.
    """

    def __init__(self, importer: Any, state: Any) -> None:
        self._importer = importer
        self._seed, self._offset = (
            importer.emit(ReshapeOp, importer.emit(SliceOp, state, dim=0, start=at, end=at + 1, step=1), sizes=[])
            for at in range(2)
        )
        self._steps = 0

    def draw(self, op: type[RandomOperation], sizes: Any, dtype: DType) -> Any:
        """Return new random numbers."""
        step, self._steps = self._steps, self._steps + 1
        return self._importer.emit(op, self._seed, self._offset, step=step, sizes=sizes, dtype=dtype)

    def next_state(self) -> Any:
        """Return the state behind everything that was drawn."""
        moved = self._importer.emit(AddOp, self._offset, self._importer.constant(WORDS * self._steps, DType.INT64))
        halves = [self._importer.emit(ReshapeOp, half, sizes=[1]) for half in (self._seed, moved)]
        return self._importer.emit(CatOp, halves, dim=0)
