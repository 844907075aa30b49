"""Programs on a GPU: on the real one with ``--device=cuda``, else on the simulated one, with the same cases."""

import sys
from pathlib import Path

import pytest
import torch

from stepwell.runtime.driver.gpu import find_gpu
from stepwell.support.errors import DeviceError

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--device", default="sim", help="cuda (the GPU of this machine) or sim, sim:strict")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--device").startswith("sim"):
        return
    for item in items:
        if item.get_closest_marker("cuda"):
            item.add_marker(pytest.mark.skip(reason="needs --device=cuda"))
        elif item.get_closest_marker("long"):
            item.add_marker(pytest.mark.skip(reason="too long for a simulated GPU"))


@pytest.fixture(scope="session")
def device(request: pytest.FixtureRequest) -> str:
    """The device to run on."""
    name: str = request.config.getoption("--device")
    if name.startswith("cuda"):
        try:
            find_gpu()
        except DeviceError as error:
            pytest.exit(f"--device={name}: {error}", returncode=1)
    return name


@pytest.fixture(scope="session")
def target(device: str) -> str:
    """What to compile for: the GPU present, else a Hopper one."""
    return "cuda" if device.startswith("cuda") else "cuda:sm_90a"


@pytest.fixture(autouse=True)
def seed() -> int:
    """Seed torch anew for each test; the seed is shown where one fails."""
    value = torch.seed() % 2**31
    torch.manual_seed(value)
    print(f"seed {value}")
    return value
