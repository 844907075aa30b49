"""Whole models for GPUs: small ones on the simulated GPU against eager, and all of them assembled at full size.

Tests marked ``long`` are for ``make models-gpu``.
"""

from collections.abc import Sequence

import pytest
import torch
from zoo import CASES, SMALL_CASES, ModelCase, find
from zoo.comparison import check, export

import stepwell as sw
from stepwell.backends.nvidia.ptxas import find_ptxas
from stepwell.runtime.gpu_code import GpuCode
from stepwell.support.target import Target

TARGET = "cuda:sm_90a"
HALF = [case for case in SMALL_CASES if case.half]
# Chains of dots, recurrences and attention: what differs most where sizes come late.
DYNAMIC = [find(name, SMALL_CASES) for name in ("mlp", "lstm", "gpt2")]


def named(case: ModelCase) -> str:
    return case.name


@pytest.mark.parametrize("case", SMALL_CASES, ids=named)
def test_static_batch(case: ModelCase) -> None:
    check(case, target=TARGET, device="sim")


@pytest.mark.parametrize("case", DYNAMIC, ids=named)
def test_dynamic_batch(case: ModelCase) -> None:
    check(case, target=TARGET, device="sim", batches=(2, 1, 3), dynamic=True)


@pytest.mark.long
@pytest.mark.parametrize("case", [case for case in SMALL_CASES if case not in DYNAMIC], ids=named)
def test_other_dynamic_batch(case: ModelCase) -> None:
    check(case, target=TARGET, device="sim", batches=(2, 1, 3), dynamic=True)


@pytest.mark.parametrize(("name", "dtype"), [("bert", torch.float16), ("llama", torch.bfloat16)], ids=str)
def test_attention_in_half_precision(name: str, dtype: torch.dtype) -> None:
    """The templates for tensor cores take part."""
    exe = check(find(name, SMALL_CASES), target=TARGET, device="sim", dtype=dtype)
    assert "attention" in {kernel.schedule for kernel in exe.plan.kernels.values()}
    assert any("mma.sync" in GpuCode.from_bytes(code).ptx for code in exe.kernels.values())


@pytest.mark.long
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("case", HALF, ids=named)
def test_half_precision(case: ModelCase, dtype: torch.dtype) -> None:
    check(case, target=TARGET, device="sim", dtype=dtype)


@pytest.mark.long
@pytest.mark.parametrize("case", SMALL_CASES, ids=named)
def test_strict(case: ModelCase) -> None:
    """No races, and nothing read before it is there."""
    check(case, target=TARGET, device="sim:strict", batches=(1,), dynamic=True)


@pytest.mark.long
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("case", HALF, ids=named)
def test_strict_in_half_precision(case: ModelCase, dtype: torch.dtype) -> None:
    check(case, target=TARGET, device="sim:strict", batches=(1,), dynamic=True, dtype=dtype)


def check_machine_code(case: ModelCase, targets: Sequence[str], dtype: torch.dtype = torch.float32) -> None:
    """Compile for all targets: every kernel has its cubin, nothing spills, and ptxas has no complaint."""
    _, program = export(case, dtype=dtype)
    exe = sw.compile(program, target="cuda:" + ",".join(targets), device="sim")
    assert [part.target.arch for part in exe.parts] == list(targets)
    for part in exe.parts:
        for name, code in part.kernels.items():
            found = GpuCode.from_bytes(code)
            (report,) = found.reports.values()
            assert found.cubins[part.target.arch].startswith(b"\x7fELF")
            assert report.clean, (name, part.plan.kernels[name].schedule, report)


needs_ptxas = pytest.mark.skipif(find_ptxas() is None, reason="there is no ptxas")


@needs_ptxas
def test_assembles() -> None:
    """One model at full size, for all GPUs."""
    check_machine_code(find("mlp"), Target.gpu_architectures(), torch.float16)


@needs_ptxas
@pytest.mark.long
@pytest.mark.parametrize("target", Target.gpu_architectures())
@pytest.mark.parametrize("case", CASES, ids=named)
def test_all_assemble(case: ModelCase, target: str) -> None:
    check_machine_code(case, [target])


@needs_ptxas
@pytest.mark.long
@pytest.mark.parametrize("target", Target.gpu_architectures())
@pytest.mark.parametrize("case", [case for case in CASES if case.half], ids=named)
def test_all_assemble_in_half_precision(case: ModelCase, target: str) -> None:
    check_machine_code(case, [target], torch.float16)
