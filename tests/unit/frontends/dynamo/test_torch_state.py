"""Importing stepwell, and compiling with it, leaves torch as it was; torch finds the backend by itself."""

import subprocess
import sys

SCRIPT = """
import os, sys, warnings
import torch
import torch._dynamo, torch._functorch.config, torch._inductor.config
from torch._decomp import decomposition_table, meta_table
from torch.utils import _pytree

def configuration(module):
    return {name: repr(value) for name, value in module.get_config_copy().items()}

def state():
    return {
        "dtype": torch.get_default_dtype(),
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "grad": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "precision": torch.get_float32_matmul_precision(),
        "random": torch.get_rng_state().tolist(),
        "attention": (torch.backends.cuda.flash_sdp_enabled(), torch.backends.cuda.math_sdp_enabled()),
        "ops": sorted(torch._C._dispatch_get_all_op_names()),
        "decompositions": {str(op): id(function) for op, function in decomposition_table.items()},
        "metas": {str(op): id(function) for op, function in meta_table.items()},
        "containers": sorted(map(str, _pytree.SUPPORTED_NODES)),
        "dynamo": configuration(torch._dynamo.config),
        "functorch": configuration(torch._functorch.config),
        "inductor": configuration(torch._inductor.config),
        "warnings": list(warnings.filters),
        "environment": dict(os.environ),
    }

def train(backend):
    torch.compiler.reset()
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.ReLU())
    x = torch.randn(5, 3)
    before = state()
    torch.compile(model, backend=backend)(x).sum().backward()
    after = state()
    return [key for key in before if before[key] != after[key]]

# What torch itself sets up at the first use is none of our doing.
train("aot_eager")
assert not any(name.split(".")[0] == "stepwell" for name in sys.modules)
before = state()
import stepwell, stepwell.torch_backend
after = state()
print("import:", [key for key in before if before[key] != after[key]])
print("compile:", train("stepwell"))
"""


def run(script: str) -> str:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_state_of_torch_is_left_alone() -> None:
    assert run(SCRIPT).splitlines() == ["import: []", "compile: []"]


def test_backend_is_found_without_import() -> None:
    """Torch loads the backend by its entry point, when it is first named."""
    script = (
        "import sys, torch\n"
        "print('stepwell' in torch.compiler.list_backends(), 'stepwell' in sys.modules)\n"
        "print(torch.compile(lambda x: x * 2, backend='stepwell')(torch.ones(2)))\n"
    )
    assert run(script).splitlines() == ["True False", "tensor([2., 2.])"]
