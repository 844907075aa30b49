"""Attention as one kernel on the simulated GPU: masks, groups, widths, odd and dynamic sizes, against float64."""

import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

import stepwell as sw
from stepwell.backends.nvidia.in_process import Run, assemble, compile_text, simulate
from stepwell.backends.plan_translation import host_functions, kernel_modules
from stepwell.dialects.plan import LaunchOp
from stepwell.passes.schedules.kernel import Refusal
from stepwell.passes.schedules.nvidia.attention.parameters import FlashParameters
from stepwell.passes.transforms.planning.lifetimes import root_of


class Fused(nn.Module):
    """torch's own attention."""

    def __init__(self, **options) -> None:
        super().__init__()
        self.options = options

    def forward(self, q, k, v, mask=None):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, **self.options)


class Spelled(nn.Module):
    """Attention as many models spell it, with a residual added."""

    def forward(self, q, k, v):
        scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
        return torch.softmax(scores, -1) @ v + q


def fresh() -> torch.Generator:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    return torch.Generator().manual_seed(seed)


def tensor(generator: torch.Generator, *shape: int, dtype: torch.dtype = torch.bfloat16) -> torch.Tensor:
    return torch.randn(*shape, generator=generator).to(dtype)


def lower(module: nn.Module, inputs, dynamic=None, **options) -> sw.Module:
    """Return a program at stage ``kernels``."""
    program = torch.export.export(module, inputs, dynamic_shapes=dynamic)
    return sw.lower(program, target="cuda:sm_90a", to="kernels", **options)


def kernels(lowered: sw.Module) -> list[str]:
    """Return the kernels of a program as text."""
    return [str(kernel) for kernel in kernel_modules(lowered.operation).values()]


def arguments(lowered: sw.Module, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """Return what the kernel of a program of one launch takes: some of the program's arguments, or views of them."""
    ops = host_functions(lowered.operation)["main"].regions[0].blocks[0].operations
    (launch,) = [op for op in ops if isinstance(op, LaunchOp)]
    found = []
    for value in launch.inputs:
        array = arrays[root_of(value)[0].arg_number]
        found.append(array if len(value.type.shape) == array.ndim else array.reshape(value.type.shape))
    return found


def to_numpy(value: torch.Tensor) -> np.ndarray:
    import ml_dtypes

    if value.dtype == torch.bfloat16:
        return value.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return value.numpy()


def check(module: nn.Module, *inputs: torch.Tensor, dynamic=None, factor: float = 8, **options) -> Run:
    """Run a program of one kernel and compare: max|y - y64| <= 4 max|eager - y64| + k eps max|y64|."""
    lowered = lower(module, inputs, dynamic)
    (text,) = kernels(lowered)
    done = simulate(text, arguments(lowered, list(map(to_numpy, inputs))), **options)
    assert done.compiled.info.schedule == "attention"
    exact = module(*(value.double() if value.is_floating_point() else value for value in inputs))
    eager = module(*inputs)
    got = torch.from_numpy(done.outputs[0].astype(np.float64)).reshape(exact.shape)
    assert torch.equal(got.isnan(), exact.isnan())
    error = (got - exact).nan_to_num().abs().max()
    allowed = 4 * (eager.double() - exact).nan_to_num().abs().max()
    allowed += factor * torch.finfo(eager.dtype).eps * exact.nan_to_num().abs().max()
    assert error <= allowed
    return done


def check_program(module: nn.Module, *inputs: torch.Tensor) -> None:
    """Compare a program of whatever kernels with eager."""
    run = sw.compile(module, example_inputs=inputs, target="cuda:sm_90a", device="sim")
    torch.testing.assert_close(run(*inputs), module(*inputs), rtol=2e-2, atol=2e-2)


def test_causal() -> None:
    g = fresh()
    done = check(Fused(is_causal=True), *(tensor(g, 1, 2, 150, 64) for _ in range(3)))
    assert any("last query" in reason for reason in done.compiled.info.reasons)


def test_masks_hide_and_bias() -> None:
    g = fresh()
    q, k, v = tensor(g, 2, 2, 70, 32), tensor(g, 2, 2, 90, 32), tensor(g, 2, 2, 90, 32)
    check(Fused(), q, k, v, torch.rand(2, 1, 70, 90, generator=g) > 0.3)
    check(Fused(scale=0.3), q, k, v, tensor(g, 70, 90))


def test_rows_that_are_masked_altogether_give_zeros() -> None:
    g = fresh()
    mask = torch.rand(40, 130, generator=g) > 0.5
    mask[7] = mask[33] = False
    # Nothing to see in the first step of keys, all in later ones.
    mask[20, :100] = False
    done = check(Fused(), tensor(g, 1, 1, 40, 16), tensor(g, 1, 1, 130, 16), tensor(g, 1, 1, 130, 16), mask)
    assert not done.outputs[0][0, 0, [7, 33]].any()


def test_unguarded_softmax_gives_nan_where_torch_does() -> None:
    class Masked(nn.Module):
        def forward(self, q, k, v, mask):
            scores = (q @ k.transpose(-1, -2)).masked_fill(mask, float("-inf"))
            return torch.softmax(scores, -1) @ v

    g = fresh()
    mask = torch.rand(24, 40, generator=g) > 0.5
    mask[5] = True
    check(Masked(), *(tensor(g, 1, 2, n, 16, dtype=torch.float16) for n in (24, 40, 40)), mask)


def test_grouped_heads() -> None:
    g = fresh()
    q, k, v = tensor(g, 1, 4, 50, 16), tensor(g, 1, 2, 50, 16), tensor(g, 1, 2, 50, 16)
    check(Fused(enable_gqa=True, is_causal=True), q, k, v)


def test_spelled_out_with_an_epilogue() -> None:
    g = fresh()
    check(Spelled(), *(tensor(g, 2, 3, 37, 40, dtype=torch.float16) for _ in range(3)))


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    rows=st.integers(1, 140),
    columns=st.integers(1, 140),
    depth=st.sampled_from([8, 24, 64, 128]),
    width=st.sampled_from([8, 16, 72, 128]),
    causal=st.booleans(),
    dtype=st.sampled_from([torch.float16, torch.bfloat16]),
    shift=st.sampled_from([0, 0, 1]),
)
def test_sizes(rows, columns, depth, width, causal, dtype, shift) -> None:
    g = fresh()
    shapes = ((rows, depth), (columns, depth), (columns, width))
    inputs = (tensor(g, 1, 1, *shape, dtype=dtype) for shape in shapes)
    check(Fused(is_causal=causal), *inputs, shift=shift)


def test_dynamic_lengths() -> None:
    g = fresh()
    length = torch.export.Dim("length", min=2, max=512)
    shapes = {2: length}
    inputs = tuple(tensor(g, 1, 2, 75, 32) for _ in range(3))
    check(Fused(is_causal=True), *inputs, dynamic={"q": shapes, "k": shapes, "v": shapes})


def test_strict() -> None:
    """No races; nothing is read before it is there."""
    g = fresh()
    inputs = (tensor(g, 1, 1, 20, 16), tensor(g, 1, 1, 150, 16), tensor(g, 1, 1, 150, 16))
    for shift in (0, 1):
        check(Fused(), *inputs, mode="strict", shift=shift)


@pytest.mark.parametrize("arch", ["sm_80", "sm_90a"])
def test_assembles_without_spills(arch: str) -> None:
    for width in (64, 128):
        inputs = tuple(torch.empty(1, 2, 300, width, dtype=torch.bfloat16) for _ in range(3))
        (text,) = kernels(lower(Fused(is_causal=True), inputs))
        report = assemble(compile_text(text, target=f"cuda:{arch}").ptx, arch)
        assert not report.warnings
        assert not any(entry.spills for entry in report.entries.values())


def test_masks_that_do_not_hide() -> None:
    """Keys behind a causal mask count where what comes after it makes their scores finite."""

    class Clamped(nn.Module):
        def forward(self, q, k, v):
            scores = q @ k.transpose(-1, -2)
            later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
            return torch.softmax(scores.masked_fill(later, float("-inf")).clamp(min=-1.0), -1) @ v

    g = fresh()
    check_program(Clamped(), *(tensor(g, 1, 1, 150, 16, dtype=torch.float16) for _ in range(3)))


def test_scores_that_start_from_something() -> None:
    class Biased(nn.Module):
        def forward(self, q, k, v, bias):
            return torch.softmax(torch.baddbmm(bias, q, k.transpose(-1, -2)), -1) @ v

    g = fresh()
    tensors = [tensor(g, 2, 40, width, dtype=torch.float16) for width in (16, 16, 16, 40)]
    check_program(Biased(), *tensors)


def test_what_is_left_to_other_kernels() -> None:
    """Wide heads, float32, roundings as eager's, and weights that are themselves results."""

    class WithWeights(nn.Module):
        def forward(self, q, k, v):
            weights = torch.softmax(q @ k.transpose(-1, -2), -1)
            return weights @ v, weights

    half = tuple(torch.empty(1, 2, 20, 16, dtype=torch.float16) for _ in range(3))
    assert len(kernels(lower(Fused(), half))) == 1
    assert len(kernels(lower(WithWeights(), half))) > 1
    assert len(kernels(lower(Fused(), half, options={"keep_roundings": True}))) > 1
    assert len(kernels(lower(Fused(), tuple(value.float() for value in half)))) > 1
    wide = tuple(torch.empty(1, 2, 20, 256, dtype=torch.float16) for _ in range(3))
    assert len(kernels(lower(Fused(), wide))) > 1


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ((9, 64, 64, 64), "warps must be 1 to 8, not 9"),
        ((4, 40, 64, 64), "columns must be a multiple of 16 up to 128, not 40"),
        ((4, 64, 65, 64), "depth must be a multiple of 8 up to 128, not 65"),
        ((4, 64, 64, 256), "width must be a multiple of 8 up to 128, not 256"),
    ],
)
def test_limits(values: tuple[int, ...], reason: str) -> None:
    with pytest.raises(Refusal, match=reason):
        FlashParameters(*values)
