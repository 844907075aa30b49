"""Quantized programs: ops with parameters as numbers and as tensors, PT2E, and torchao's formats of weights."""

import logging
from typing import Any

import pytest
import torch
import torch.ao.quantization.fx._decomposed  # registers the ops
from torch.ao.quantization.fx import _decomposed

import stepwell as sw

assert _decomposed
ops = torch.ops.quantized_decomposed


class Function(torch.nn.Module):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self.function(*inputs)


def check(function: Any, *inputs: torch.Tensor, atol: float = 0.0) -> None:
    """Compile and compare with eager: integers exactly, floats within ``atol`` of the largest."""
    exe = sw.compile(torch.export.export(Function(function), inputs))
    for ours, eager in zip(exe(*inputs), function(*inputs), strict=True):
        scale = eager.double().abs().max().item() if eager.numel() else 0.0
        torch.testing.assert_close(ours.double(), eager.double(), rtol=0, atol=atol * max(scale, 1))
        assert ours.dtype == eager.dtype or eager.dtype == torch.float32


def test_tensors_and_channels() -> None:
    scale, shift = torch.tensor(0.07), torch.tensor(3)
    scales, shifts = torch.rand(5) + 0.01, torch.randint(-9, 9, (5,))

    def run(x: torch.Tensor, h: torch.Tensor) -> Any:
        a = ops.quantize_per_tensor(x, 0.05, -3, -128, 127, torch.int8)
        b = ops.quantize_per_tensor(h, 0.05, 100, 0, 255, torch.uint8)
        c = ops.quantize_per_tensor.tensor(x, scale, shift, -127, 127, torch.int8)
        d = ops.quantize_per_channel(x, scales, shifts, 1, -128, 127, torch.int8)
        e = ops.quantize_per_token(x, scales[:3, None], shifts[:3, None], -128, 127, torch.int8)
        return (
            *(a, b, c, d, e),
            ops.dequantize_per_tensor(a, 0.05, -3, -128, 127, torch.int8),
            ops.dequantize_per_tensor(b, 0.05, 100, 0, 255, torch.uint8, out_dtype=torch.float32),
            ops.dequantize_per_tensor.tensor(c, scale, shift, -127, 127, torch.int8),
            ops.dequantize_per_channel(d, scales, shifts, 1, -128, 127, torch.int8),
            ops.dequantize_per_channel(d, scales, None, 1, -128, 127, torch.int8),
            ops.dequantize_per_token(e, scales[:3, None], shifts[:3, None], -128, 127, torch.int8, torch.float32),
        )

    x = torch.randn(3, 5) * 4
    check(run, x, x.half(), atol=1e-7)


def test_groups() -> None:
    scales, shifts = torch.rand(3, 4) + 0.01, torch.randint(-9, 9, (3, 4))

    def run(x: torch.Tensor) -> Any:
        q = ops.quantize_per_channel_group(x, scales, shifts, -8, 7, torch.int8, 8)
        return q, ops.dequantize_per_channel_group(q, scales, shifts, -8, 7, torch.int8, 8, torch.float32)

    check(run, torch.randn(3, 32), atol=1e-7)


def test_parameters_from_data() -> None:
    def run(x: torch.Tensor, h: torch.Tensor) -> Any:
        return (
            *ops.choose_qparams(x, -128, 127, 1e-5, torch.int8),
            *ops.choose_qparams(x + 9, 0, 255, 1e-5, torch.uint8),
            *ops.choose_qparams_symmetric(x, -127, 127, 1e-5, torch.int8),
            *ops.choose_qparams_per_token_asymmetric(x, torch.int8),
            ops.choose_qparams_per_token(h, torch.int8)[0],
        )

    x = torch.randn(7, 13)
    check(run, x, x.half(), atol=1e-6)


def test_simulated_quantization() -> None:
    scales, shifts = torch.rand(4) + 0.05, torch.zeros(4, dtype=torch.int32)
    on, off = torch.tensor([1]), torch.tensor([0])
    scale, shift = torch.tensor([0.1]), torch.tensor([2], dtype=torch.int32)

    def run(x: torch.Tensor) -> Any:
        switched = torch.ops.aten._fake_quantize_per_tensor_affine_cachemask_tensor_qparams
        return (
            torch.fake_quantize_per_tensor_affine(x, 0.1, 3, -128, 127),
            *torch.ops.aten.fake_quantize_per_tensor_affine_cachemask(x, 0.01, 3, -128, 127),
            torch.fake_quantize_per_channel_affine(x, scales, shifts, 1, -8, 7),
            *switched(x, scale, shift, on, 0, 15),
            *switched(x, scale, shift, off, 0, 15),
        )

    check(run, torch.randn(3, 4) * 3, atol=1e-7)


def test_products_of_integers() -> None:
    a, b = (torch.randint(-128, 128, shape, dtype=torch.int8) for shape in ((33, 16), (16, 8)))
    check(lambda a, b: (torch._int_mm(a, b),), a, b)


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 8, 3, padding=1)
        self.first, self.last = torch.nn.Linear(8, 32), torch.nn.Linear(32, 64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.first(self.conv(x).relu().mean((2, 3))).relu())


@pytest.mark.parametrize("dynamic", [False, True])
def test_a_program_of_pt2e(dynamic: bool) -> None:
    logging.disable(logging.ERROR)  # torchao tells of GPU libraries that it does not find
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.testing.pt2e._xnnpack_quantizer import XNNPACKQuantizer, get_symmetric_quantization_config

    logging.disable(logging.NOTSET)
    x = torch.randn(2, 3, 8, 8)
    config = get_symmetric_quantization_config(is_per_channel=True, is_dynamic=dynamic)
    prepared = prepare_pt2e(torch.export.export(Net().eval(), (x,)).module(), XNNPACKQuantizer().set_global(config))
    prepared(x)
    program = torch.export.export(convert_pt2e(prepared), (x,))
    assert any("quantize_per_tensor" in str(node.target) for node in program.graph.nodes)
    expected = program.module()(x)
    # A number that rounds to the other side becomes one step of the scale.
    torch.testing.assert_close(sw.compile(program)(x), expected, rtol=0, atol=0.02 * expected.abs().max().item())


@pytest.mark.parametrize("name", ["Int8WeightOnlyConfig", "Int8DynamicActivationInt8WeightConfig"])
def test_weights_of_torchao(name: str) -> None:
    import torchao.quantization as torchao

    model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 64)).eval()
    torchao.quantize_(model, getattr(torchao, name)())
    x = torch.randn(3, 64)
    program = torch.export.export(model, (x,))
    expected = program.module()(x)
    torch.testing.assert_close(sw.compile(program)(x), expected, rtol=0, atol=0.02 * expected.abs().max().item())
