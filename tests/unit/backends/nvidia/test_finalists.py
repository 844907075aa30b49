"""Candidates of a schedule rule compete with what ptxas made of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest

from stepwell.backends.codegen import compile_kernel
from stepwell.backends.nvidia.codegen import with_choice
from stepwell.backends.nvidia.finalists import Finalist, choose
from stepwell.backends.nvidia.ptxas import VARIABLE, find_ptxas
from stepwell.passes.pipelines import Pipeline
from stepwell.passes.schedules import schedule_nvidia
from stepwell.passes.schedules.kernel import Kernel
from stepwell.passes.schedules.nvidia.pointwise import PointwiseRule
from stepwell.passes.schedules.selection import FINALISTS
from stepwell.runtime.gpu_code import EntryReport, GpuCode, PtxasReport
from stepwell.runtime.grids import GridLaunch
from stepwell.runtime.plan import KernelInfo
from stepwell.support.symbolic import Expr
from stepwell.support.target import Target

TARGET = Target("cuda", "sm_90a")
PIPELINE = "builtin.module(cuda-kernel{target=cuda:sm_90a})"
KERNEL = b"""
#id = affine_map<(d0) -> (d0)>
func.func @k0(%a: tensor<4096xf32>) -> tensor<4096xf32> attributes {stepwell.result_sizes = [[]]} {
  %e = tensor.empty() : tensor<4096xf32>
  %r = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%a : tensor<4096xf32>) outs(%e : tensor<4096xf32>) {
  ^bb0(%x: f32, %o: f32):
    %y = arith.addf %x, %x : f32
    linalg.yield %y : f32
  } -> tensor<4096xf32>
  return %r : tensor<4096xf32>
}
"""


def finalist(choice: int, used: int, **facts: Any) -> Finalist:
    grid = GridLaunch("k0_0", Expr.const(100), 256, shared_bytes=1024)
    info = KernelInfo("k0", reasons=(f"candidate {choice}", "and so on"), grids=(grid,))
    entry = EntryReport(used, spill_stores=facts.pop("spills", 0))
    report = PtxasReport("sm_90a", "13.0", {"k0_0": entry}, tuple(facts.pop("warnings", ())))
    return Finalist(choice, info, "", b"", report, **facts)


def test_the_rules_own_order_decides_where_nothing_speaks_against_it() -> None:
    assert choose([finalist(0, 64), finalist(1, 32)], TARGET).choice == 0


def test_spills_and_warnings_lose() -> None:
    assert choose([finalist(0, 255, spills=8), finalist(1, 200)], TARGET).choice == 1
    serialized = finalist(0, 168, warnings=["(C7510) wgmma.mma_async instructions are serialized"])
    assert choose([serialized, finalist(1, 255, spills=400)], TARGET).choice == 1
    assert choose([finalist(0, 255, spills=80), finalist(1, 255, spills=8)], TARGET).choice == 1


def test_an_estimate_that_counted_on_fewer_registers_is_corrected() -> None:
    # 128 registers let two blocks of 256 threads onto a multiprocessor, 64 let four.
    hoped = finalist(0, 128, estimate=10.0, registers=64)
    kept = finalist(1, 64, estimate=15.0, registers=64)
    assert hoped.expected(TARGET) == 20.0
    assert kept.expected(TARGET) == 15.0
    assert choose([hoped, kept], TARGET).choice == 1
    assert choose([finalist(0, 64, estimate=10.0, registers=64), kept], TARGET).choice == 0


def test_reasons_name_the_losers() -> None:
    best = choose([finalist(0, 255, spills=8), finalist(1, 64)], TARGET)
    assert best.info.reasons == (
        "candidate 1",
        "compiled: 64 registers; 4 blocks per multiprocessor, limited by registers",
        "compiled and left: candidate 0 (255 registers; 1 blocks per multiprocessor, limited by registers; "
        "8 bytes spilled)",
        "and so on",
    )
    assert choose([finalist(0, 64)], TARGET).info.reasons == ("candidate 0", "and so on")


@dataclass(frozen=True)
class Wrapped:
    """Parameters of another rule, under a name and with an estimate of its own."""

    inner: Any
    reasons: tuple[str, ...]
    estimate: float


class ManyRule(PointwiseRule):
    """Offers more candidates than are compiled, of which it thinks the wrong one the best."""

    name: ClassVar[str] = "many"

    def candidates(self, kernel: Kernel, target: Target) -> Sequence[Any]:
        inner = super().parameters(kernel, target)
        return [Wrapped(inner, (f"candidate {n}",), estimate) for n, estimate in enumerate((9.0, 3.0, 5.0, 1.0))]

    def build(self, kernel: Kernel, target: Target, parameters: Any) -> None:
        super().build(kernel, target, replace(parameters.inner, reasons=parameters.reasons))


@pytest.fixture()
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule_nvidia, "RULES", (ManyRule(),))


@pytest.mark.skipif(find_ptxas() is None, reason="no ptxas on this machine")
def test_finalists_are_compiled(many: None) -> None:
    made = compile_kernel(KERNEL, PIPELINE, "cuda:sm_90a")
    assert GpuCode.from_bytes(made.object).choice == 1
    assert made.info.reasons[0] == "candidate 1"
    left = [reason for reason in made.info.reasons if reason.startswith("compiled and left")]
    assert [reason.split(" (")[0] for reason in left] == [f"compiled and left: candidate {n}" for n in (2, 0)]
    assert len(left) == FINALISTS - 1


def test_without_ptxas_the_rule_decides(many: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "/nowhere/ptxas")
    made = compile_kernel(KERNEL, PIPELINE, "cuda:sm_90a")
    assert GpuCode.from_bytes(made.object).choice == 0
    assert made.info.reasons[0] == "candidate 0"


def test_a_pipeline_for_another_choice() -> None:
    pipeline = Pipeline.parse(PIPELINE)
    assert "schedule-nvidia{target=cuda:sm_90a choice=2}" in str(with_choice(pipeline, 2)).replace(
        "choice=2 target=cuda:sm_90a", "target=cuda:sm_90a choice=2"
    )
