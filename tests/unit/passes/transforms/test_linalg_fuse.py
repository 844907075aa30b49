"""Fusion as a whole: groups can run one after the other, and long programs take time in proportion."""

import random
import time

import pytest

from stepwell.dialects.context import make_context
from stepwell.passes.schedules.kernel import defining
from stepwell.passes.transforms.fusion.flow import Flow
from stepwell.passes.transforms.linalg_fuse import group_nodes
from stepwell.support.bindings import ir

HEADER = """
#id = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d0)>
#a = affine_map<(d0, d1, d2) -> (d0, d2)>
#b = affine_map<(d0, d1, d2) -> (d1, d2)>
#c = affine_map<(d0, d1, d2) -> (d0, d1)>
func.func @main(%x: tensor<64x64xf32>, %w: tensor<64x64xf32>) -> tensor<64x64xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<64x64xf32>
  %er = tensor.empty() : tensor<64xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<64x64xf32>) -> tensor<64x64xf32>
  %fr = linalg.fill ins(%zero : f32) outs(%er : tensor<64xf32>) -> tensor<64xf32>
"""
POINTWISE = """
  {name} = linalg.generic {{indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]}}
      ins({first}, {second} : tensor<64x64xf32>, tensor<64x64xf32>) outs(%e : tensor<64x64xf32>) {{
  ^bb0(%i: f32, %j: f32, %o: f32):
    %s = arith.addf %i, %j : f32
    linalg.yield %s : f32
  }} -> tensor<64x64xf32>"""
ROWS = """
  {name}r = linalg.generic {{indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}}
      ins({first} : tensor<64x64xf32>) outs(%fr : tensor<64xf32>) {{
  ^bb0(%i: f32, %acc: f32):
    %s = arith.addf %i, %acc : f32
    linalg.yield %s : f32
  }} -> tensor<64xf32>
  {name} = linalg.generic {{indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]}}
      ins({second}, {name}r : tensor<64x64xf32>, tensor<64xf32>) outs(%e : tensor<64x64xf32>) {{
  ^bb0(%i: f32, %j: f32, %o: f32):
    %s = arith.subf %i, %j : f32
    linalg.yield %s : f32
  }} -> tensor<64x64xf32>"""
CONTRACTION = """
  {name} = linalg.generic {{indexing_maps = [#a, #b, #c], iterator_types = ["parallel", "parallel", "reduction"]}}
      ins({first}, {second} : tensor<64x64xf32>, tensor<64x64xf32>) outs(%f : tensor<64x64xf32>) {{
  ^bb0(%i: f32, %j: f32, %acc: f32):
    %m = arith.mulf %i, %j : f32
    %s = arith.addf %acc, %m : f32
    linalg.yield %s : f32
  }} -> tensor<64x64xf32>"""


def random_program(count: int, seed: int) -> str:
    """Return a function of ``count`` ops that read from the last 30 values."""
    chance = random.Random(seed)
    lines, values = [HEADER], ["%x", "%w"]
    for number in range(count):
        template = chance.choices([POINTWISE, ROWS, CONTRACTION], [7, 2, 1])[0]
        first, second = values[-1], chance.choice(values[-30:])
        lines.append(template.format(name=f"%v{number}", first=first, second=second))
        values.append(f"%v{number}")
    return "".join([*lines, f"\n  return {values[-1]} : tensor<64x64xf32>\n}}"])


def grouped(module: ir.Module) -> tuple[Flow, list[list[int]], float]:
    """Return the flow, the op numbers of each kernel in order, and the seconds that grouping took.

    The caller keeps the module alive: a flow refers to its ops.
    """
    start = time.process_time()
    flow = Flow(module.body.operations[0].operation)
    groups = group_nodes(flow)
    elapsed = time.process_time() - start
    return flow, [[node.number for node in group] for group in groups], elapsed


@pytest.mark.parametrize("seed", range(8))
def test_groups_can_run_in_order(seed: int) -> None:
    print("seed", seed)
    with make_context(), ir.Location.unknown():
        module = ir.Module.parse(random_program(120, seed))
        flow, groups, _ = grouped(module)
        owner = {number: position for position, group in enumerate(groups) for number in group}
        assert len(owner) == sum(map(len, groups))
        for number, position in owner.items():
            for operand in flow.nodes[number].op.operands:
                op = defining(operand)
                source = owner.get(flow.node[op].number) if op is not None else None
                assert source is None or source <= position


def test_time_grows_with_length() -> None:
    with make_context(), ir.Location.unknown():
        short = min(grouped(ir.Module.parse(random_program(500, 1)))[2] for _ in range(2))
        long = grouped(ir.Module.parse(random_program(4000, 1)))[2]
    # Eight times the ops: a quadratic method takes sixty-four times as long.
    assert long < 24 * short
