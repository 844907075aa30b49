"""Modes and options: each has its effect, unknown ones are refused by name."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from stepwell.frontends.torch.dynamo.backend import compile_captured
from stepwell.frontends.torch.dynamo.options import MODES, GraphOptions
from stepwell.support.errors import InvalidOptionError

Check = Callable[..., None]


def function(x: torch.Tensor) -> torch.Tensor:
    return (x * 2 + 1).relu().sum(-1)


@pytest.mark.parametrize("mode", MODES)
def test_modes(mode: str, agree: Check) -> None:
    x = torch.randn(3, 5)
    agree(torch.compile(function, backend="stepwell", mode=mode)(x), function(x))


def test_graphs_on_gpus() -> None:
    """Modes that launch CUDA graphs do so on GPUs alone; the option has the last word."""
    graphed = {mode: GraphOptions.read(mode, None).compile_arguments("cuda")["cuda_graphs"] for mode in MODES}
    assert graphed == {
        "default": False,
        "reduce-overhead": True,
        "max-autotune": True,
        "max-autotune-no-cudagraphs": False,
    }
    assert not GraphOptions.read("reduce-overhead", None).compile_arguments("cpu")["cuda_graphs"]
    assert GraphOptions.read(None, {"cuda_graphs": True}).compile_arguments("cuda")["cuda_graphs"]


def test_simulated_gpu(agree: Check) -> None:
    """Tensors in the host's memory, kernels in PTX."""
    x = torch.randn(3, 5)
    options = {"target": "cuda:sm_90a", "device": "sim", "mode": "max-autotune-no-cudagraphs"}
    agree(torch.compile(function, backend="stepwell", options=options)(x), function(x))


def test_options_reach_the_compiler() -> None:
    told: list[dict[str, Any]] = []

    def compile_module(module: Any, **arguments: Any) -> Any:
        told.append(arguments)
        return lambda *tensors: (function(*tensors),)

    options = {"pipeline": "default", "pipeline_options": {"a": 1}, "check": "each-pass", "target": "cpu:x86-64-v3"}

    def backend(captured: Any, inputs: Any) -> Any:
        return compile_captured(captured, inputs, compile_module, None, options)

    torch.compile(function, backend=backend)(torch.randn(3, 5))
    (arguments,) = told
    assert (arguments["pipeline"], arguments["options"], arguments["check"]) == ("default", {"a": 1}, "each-pass")
    assert (arguments["target"], arguments["device"]) == ("cpu:x86-64-v3", "cpu")


def test_unknown_names() -> None:
    with pytest.raises(InvalidOptionError, match="no mode 'fast'"):
        GraphOptions.read("fast", None)
    with pytest.raises(InvalidOptionError, match="no option 'pipline'") as caught:
        GraphOptions.read(None, {"pipline": "default"})
    assert "did you mean 'pipeline'?" in str(caught.value)
    with pytest.raises(Exception, match=r"unknown target|no target|'tpu'"):
        torch.compile(function, backend="stepwell", options={"target": "tpu"})(torch.randn(2, 2))
