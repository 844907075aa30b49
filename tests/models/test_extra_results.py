"""A program that returns more of what it computes gives the same results as before.

What is returned has to lie in memory, so that fusion takes other ways; a kernel may then add numbers up in another
order or round a value that it kept in a register.  Results are therefore held to a few roundings of their largest
element, and to the last bit where the program computes the same kernels.
"""

from dataclasses import replace
from typing import Any

import pytest
import torch
from zoo import SMALL_CASES, ModelCase
from zoo.comparison import export

import stepwell as sw
from stepwell.frontends.torch.interface import ProgramResult
from stepwell.frontends.torch.program import import_opened, open_program
from stepwell.frontends.torch.registry import DEFAULT_RULES
from stepwell.support.module import Module
from stepwell.support.structure import Structure

# Every so many calls the tensor that one computes is returned; of a small model more.
_STEP = 7
_LEAST = 3
_ROUNDINGS = 32


def with_more_results(program: Any) -> Module:
    """Return a program that returns a pair: what it returned before, and some of the tensors on the way."""
    opened = open_program(program, DEFAULT_RULES)
    interface = opened.interface
    users = [result for result in interface.results if result.kind == "user"]
    calls = [node for node in opened.decomposed.graph.nodes if isinstance(node.meta.get("val"), torch.Tensor)]
    calls = [node for node in calls if node.op == "call_function"]
    step = min(_STEP, max(len(calls) // _LEAST, 1))
    more = [ProgramResult(node, "user") for node in calls[step // 2 :: step]]
    written = [result for result in interface.results if result.kind != "user"]
    leaves = tuple(Structure.leaf(len(users) + number) for number in range(len(more)))
    outputs = Structure("tuple", (interface.outputs, Structure("tuple", leaves)))
    interface = replace(interface, results=(*users, *more, *written), outputs=outputs)
    return import_opened(replace(opened, interface=interface))


@pytest.mark.parametrize("case", SMALL_CASES, ids=lambda case: case.name)
def test_more_results(case: ModelCase) -> None:
    _, program = export(case)
    inputs = case.inputs(2)
    plain = sw.compile(program, progress=False)
    wide = sw.compile(with_more_results(program), progress=False)
    before = plain(*inputs)
    after, more = wide(*inputs)
    assert len(more) >= _LEAST
    same_kernels = set(plain.kernels.values()) == set(wide.kernels.values())
    for old, new in zip(*map(_flat, (before, after)), strict=True):
        error = (old - new).abs().max().item()
        allowed = 0 if same_kernels else _ROUNDINGS * torch.finfo(old.dtype).eps * old.abs().max().item()
        print(f"{case.name}: largest difference {error}, allowed {allowed}")
        assert error <= allowed
    # The same call twice gives the same bits.
    for old, new in zip(*map(_flat, (after, wide(*inputs)[0])), strict=True):
        assert torch.equal(old, new)


def _flat(value: Any) -> list[torch.Tensor]:
    return [value] if isinstance(value, torch.Tensor) else [tensor for item in value for tensor in _flat(item)]
