"""What only a real GPU can show: streams, memory, errors of the driver, and times."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

import stepwell as sw

pytestmark = pytest.mark.cuda


@pytest.fixture(scope="module")
def program() -> Callable[..., sw.Executable]:
    """Return a function that compiles ``softmax(x) + y`` for n rows."""

    class Model(torch.nn.Module):
        def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return torch.softmax(x, -1) + y

    rows = torch.export.Dim("rows", min=1, max=1 << 20)
    inputs = torch.randn(4, 256), torch.randn(4, 256)
    exported = torch.export.export(Model(), inputs, dynamic_shapes=({0: rows}, {0: rows}))
    return lambda **options: sw.compile(exported, target="cuda", device="cuda", **options)


def test_numpy_and_profile(program: Callable[..., sw.Executable]) -> None:
    exe = program()
    x, y = (np.random.default_rng().standard_normal((1000, 256)).astype(np.float32) for _ in range(2))
    got = exe(x, y)
    np.testing.assert_allclose(got, torch.softmax(torch.from_numpy(x), -1).numpy() + y, rtol=1e-5, atol=1e-6)
    report = exe.profile(x, y)
    assert all(launch.seconds and launch.seconds > 0 for launch in report.launches)


needs_torch = pytest.mark.skipif(not torch.cuda.is_available(), reason="this torch knows no GPU")


@needs_torch
def test_streams(program: Callable[..., sw.Executable]) -> None:
    """A call waits for what its stream has to do, and the stream's later work for the call."""
    exe = program()
    x, y = torch.zeros(1 << 14, 256, device="cuda"), torch.zeros(1 << 14, 256, device="cuda")
    for _ in range(5):
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            torch.cuda._sleep(10_000_000)
            x.normal_()
            got = exe(x, y)
            doubled = got * 2
        side.synchronize()
        assert torch.equal(doubled, 2 * got)
        torch.testing.assert_close(got, torch.softmax(x, -1) + y)


@needs_torch
def test_memory_is_torchs(program: Callable[..., sw.Executable]) -> None:
    exe = program()
    x, y = torch.randn(1000, 256, device="cuda"), torch.randn(1000, 256, device="cuda")
    exe(x, y)
    before = torch.cuda.memory_allocated()
    for _ in range(10):
        exe(x, y)
    torch.cuda.synchronize()
    assert torch.cuda.memory_allocated() == before


@needs_torch
def test_graphed_calls(program: Callable[..., sw.Executable]) -> None:
    exe = program(cuda_graphs=True)
    for rows in (10, 1000, 10, 1000, 10):
        x, y = torch.randn(rows, 256, device="cuda"), torch.randn(rows, 256, device="cuda")
        torch.testing.assert_close(exe(x, y), torch.softmax(x, -1) + y)


def test_saved_and_loaded(program: Callable[..., sw.Executable], tmp_path: object) -> None:
    path = f"{tmp_path}/model.swx"
    program().save(path)
    x = np.ones((3, 256), np.float32)
    np.testing.assert_allclose(sw.load(path)(x, x), np.full((3, 256), 1 + 1 / 256), rtol=1e-6)
