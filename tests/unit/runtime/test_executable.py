"""Calls: arguments in, results out, for numpy and torch, and every way in which they do not fit."""

import threading
from collections import namedtuple
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from stepwell.runtime.executable import Executable
from stepwell.runtime.plan import PLAN_VERSION, Plan, Program
from stepwell.support.dtypes import DType
from stepwell.support.errors import ArgumentError, ArtifactError, InvalidOptionError, RuntimeFailure, StepwellError
from stepwell.support.size_guard import SizeGuard
from stepwell.support.symbolic import Expr

Build = Callable[..., Executable]


@pytest.fixture(scope="module")
def chain(kit: Any, build: Build) -> Executable:
    return build(kit.chain_plan())


def draw(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


def test_kinds_and_sizes(chain: Executable, rng: np.random.Generator) -> None:
    for rows in (1, 0, 3, 1000, 3):
        x, z = draw(rng, rows, 4), draw(rng, rows, 4)
        y = chain(x, z)
        assert type(y) is np.ndarray
        np.testing.assert_array_equal(y, x + x + z)
        t = chain(torch.from_numpy(x), torch.from_numpy(z))
        assert type(t) is torch.Tensor
        np.testing.assert_array_equal(t.numpy(), y)
        mixed = chain(x, torch.from_numpy(z))
        assert type(mixed) is torch.Tensor


def test_outputs_are_fresh(chain: Executable, rng: np.random.Generator) -> None:
    x, z = draw(rng, 5, 4), draw(rng, 5, 4)
    first = chain(x, z)
    kept = first.copy()
    chain(z, x)
    np.testing.assert_array_equal(first, kept)


def test_strided_arguments_are_packed(chain: Executable, rng: np.random.Generator) -> None:
    wide = draw(rng, 4, 12)
    for x in (wide.T[::3], wide.T[8:4:-1], np.broadcast_to(wide[0, :4], (4, 4)), np.asfortranarray(wide[:, :4])):
        z = draw(rng, 4, 4)
        np.testing.assert_array_equal(chain(x, z), x + x + z)
    t = torch.from_numpy(wide)
    for x in (t.t()[::3], t[:, :4], t[0, :4].expand(4, 4)):
        z = torch.from_numpy(draw(rng, 4, 4))
        assert torch.equal(chain(x, z), x + x + z)


def test_other_tensors(chain: Executable, rng: np.random.Generator) -> None:
    x, z = draw(rng, 2, 4), draw(rng, 2, 4)

    class Foreign:
        def __init__(self, array: np.ndarray) -> None:
            self.array = array

        def __dlpack__(self, **options: Any) -> Any:
            return self.array.__dlpack__(**options)

        def __dlpack_device__(self) -> Any:
            return self.array.__dlpack_device__()

    class Interface:
        def __init__(self, array: np.ndarray) -> None:
            self.__array_interface__ = array.__array_interface__
            self.array = array

    np.testing.assert_array_equal(chain(Foreign(x), Interface(z)), x + x + z)
    weight = torch.nn.Parameter(torch.from_numpy(x))
    assert not chain(weight, torch.from_numpy(z)).requires_grad


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (lambda x: (x,), r"expected 2 positional arguments \(x, z\), got 1"),
        (lambda x: (x, x, x), r"expected 2 positional arguments \(x, z\), got 3"),
        (lambda x: (x, [1.0]), "argument 'z' must be a torch tensor or a numpy array, got list"),
        (lambda x: (None, x), "argument 'x' must be a torch tensor or a numpy array, got NoneType"),
        (lambda x: (x, x.astype(np.float64)), "argument 'z' must have dtype float32, got float64"),
        (lambda x: (x, x.astype(">f4")), "argument 'z' must have dtype float32, got >f4"),
        (lambda x: (x, x.astype(np.complex64)), "argument 'z' must have dtype float32, got complex64"),
        (lambda x: (x, torch.zeros(3, 4, dtype=torch.int64)), "argument 'z' must have dtype float32, got torch.int64"),
        (lambda x: (x, torch.zeros(3, 4, device="meta")), "argument 'z' must be on device cpu, got meta"),
        (
            lambda x: (x, FakeTensorMode().from_tensor(torch.zeros(3, 4))),
            "argument 'z' has no memory of its own: it is a FakeTensor",
        ),
        (lambda x: (x, torch.zeros(3, 4).to_sparse()), "argument 'z' must be a dense tensor, got layout torch.sparse"),
        (lambda x: (x[0], x), r"argument 'x' must have 2 dimensions \(n, 4\), got 1: \(4,\)"),
        (lambda x: (x[:, :3], x), r"argument 'x' must have size 4 in dimension 1, got 3: expected shape \(n, 4\), got"),
        (
            lambda x: (x, x[:2]),
            r"argument 'z' must have size n = 3 \(n = 3 from x.size\(0\)\) in dimension 0, got 2",
        ),
        (lambda x: (np.zeros((100001, 4), np.float32),) * 2, r"x.size\(0\) must be at most 100000, got 100001"),
    ],
)
def test_refused_arguments(chain: Executable, arguments: Any, text: str) -> None:
    with pytest.raises(ArgumentError, match=text):
        chain(*arguments(np.zeros((3, 4), np.float32)))


def test_guards(kit: Any, build: Build) -> None:
    n = Expr.symbol("n")
    main = kit.chain_plan().main
    x = np.zeros((3, 4), np.float32)
    for guard, text in (
        (SizeGuard(n, divisor=2, text="x.size(0)"), r"x.size\(0\) must be a multiple of 2, got 3"),
        (SizeGuard(2 * n, minimum=7), r"x.size\(0\) must be at least 7, got 6"),
        (SizeGuard(n, excluded=3, text="x.size(0)"), r"x.size\(0\) must not be 3"),
        (SizeGuard(n % (n - 3), 0, 0), r"\(x.size\(0\) % \(.*\)\) divides by a size that is 0"),
        (SizeGuard(n * n, maximum=8, text="x.size(0)**2"), r"x.size\(0\)\*\*2 must be at most 8, got 9"),
    ):
        exe = build(kit.chain_plan(main=replace(main, guards=(guard,))))
        for _ in range(2):
            with pytest.raises(ArgumentError, match=text):
                exe(x, x)


def test_derived_sizes(kit: Any, build: Build) -> None:
    """An argument whose size is an expression of another's; the program itself uses no symbol."""
    n = Expr.symbol("s0")
    signature = kit.Signature(
        (kit.argument("x", n), kit.argument("pair['b']", 2 * n + 1)),
        (kit.result(1),),
        kit.call_structure(kit.Structure.leaf(0), kit.Structure("dict", (kit.Structure.leaf(1),), ("b",))),
        kit.Structure.leaf(0),
        (kit.SymbolSpec("s0", 0, 0, 2, None),),
    )
    main = Program(
        steps=(kit.add(kit.tensor("argument", 0, 1), kit.tensor("argument", 1, 1), kit.tensor("result", 0, 1), 1),),
        results=(kit.tensor("result", 0, 1),),
    )
    exe = build(Plan(PLAN_VERSION, main, None, {"add": kit.INFOS["add"]}, signature))
    ones = np.ones
    assert exe(ones(3, np.float32), {"b": ones(7, np.float32)}) == 2.0
    wrong = r"argument 'pair\['b'\]' must have size 2\*s0 \+ 1 = 7 \(s0 = 3 from x.size\(0\)\) in dimension 0, got 6"
    with pytest.raises(ArgumentError, match=wrong):
        exe(ones(3, np.float32), {"b": ones(6, np.float32)})
    with pytest.raises(ArgumentError, match=r"x.size\(0\) must be at least 2, got 1"):
        exe(ones(1, np.float32), {"b": ones(3, np.float32)})
    with pytest.raises(ArgumentError, match="argument 'pair' must be a dict with keys"):
        exe(ones(3, np.float32), {"c": ones(7, np.float32)})


def test_structure(kit: Any, build: Build, rng: np.random.Generator) -> None:
    leaf = kit.Structure.leaf
    pair = kit.Structure("namedtuple", (leaf(0), leaf(0)), ("first", "second"), "Pair")
    signature = replace(
        kit.chain_plan().signature,
        inputs=kit.call_structure(kit.Structure("list", (leaf(0), kit.Structure("constant", value=3))), scale=leaf(1)),
        outputs=kit.Structure("tuple", (pair, kit.Structure("constant"))),
    )
    exe = build(kit.chain_plan(signature=signature))
    x, z = draw(rng, 2, 4), draw(rng, 2, 4)
    named, none = exe([x, 3], scale=z)
    assert none is None
    assert named._fields == ("first", "second")
    assert type(named).__name__ == namedtuple("Pair", "a")(0).__class__.__name__
    np.testing.assert_array_equal(named.second, x + x + z)
    with pytest.raises(ArgumentError, match="was fixed to 3 at export, got 4"):
        exe([x, 4], scale=z)
    with pytest.raises(ArgumentError, match="missing 'scale', unexpected 'scales'; the program takes scale"):
        exe([x, 3], scales=z)
    with pytest.raises(ArgumentError, match="must be a list of 2, got list of 1"):
        exe([x], scale=z)


def test_out(chain: Executable, rng: np.random.Generator) -> None:
    x, z = draw(rng, 3, 4), draw(rng, 3, 4)
    out = np.full((3, 4), np.nan, np.float32)
    assert chain(x, z, out=out) is out
    np.testing.assert_array_equal(out, x + x + z)
    into = torch.empty(3, 4)
    assert chain(x, z, out=into) is into
    assert torch.equal(into, torch.from_numpy(out))
    read_only = out.copy()
    read_only.flags.writeable = False
    for wrong, text in (
        (np.empty((4, 3), np.float32), r"'out' must be a contiguous float32 tensor of shape \(3, 4\), got float32"),
        (np.empty((3, 4)), "'out' must be a contiguous float32 tensor"),
        (np.empty((4, 3), np.float32).T, "'out' must be a contiguous float32 tensor"),
        (x, "'out' overlaps an argument"),
        (read_only, "'out' is read-only"),
        ([out], "'out' must be a torch tensor"),
    ):
        with pytest.raises(ArgumentError, match=text):
            chain(x, z, out=wrong)


def test_many_threads(chain: Executable, rng: np.random.Generator) -> None:
    """Calls side by side, of different sizes, never share an arena."""
    inputs = [(draw(rng, rows, 4), draw(rng, rows, 4)) for rows in (1, 7, 500, 4000)]
    wrong: list[int] = []

    def work(x: np.ndarray, z: np.ndarray) -> None:
        expected = x + x + z
        wrong.extend(len(x) for _ in range(300) if not np.array_equal(chain(x, z), expected))

    threads = [threading.Thread(target=work, args=pair) for pair in inputs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_buffers_and_prepare(kit: Any, build: Build, rng: np.random.Generator) -> None:
    w, step = draw(rng, 4), np.ones(4, np.float32)
    count = torch.zeros(4)
    exe = build(kit.buffer_plan(), w=torch.nn.Parameter(torch.from_numpy(w.copy())), step=step, count=count)
    x = draw(rng, 4)
    for call in range(1, 4):
        got = exe(torch.from_numpy(x))
        np.testing.assert_array_equal(got["y"].numpy(), x + (w + w))
        assert got["count"].tolist() == [call] * 4
    assert count.tolist() == [0.0] * 4
    # What was prepared stays, whatever else takes memory.
    noise = [np.full(size, 0xFF, np.uint8) for size in range(256) for _ in range(9)]
    np.testing.assert_array_equal(exe(torch.from_numpy(x))["y"].numpy(), x + (w + w))
    del noise
    exe.load_state_dict({"count": np.full(4, 3, np.float32)})
    state = exe.state_dict()
    assert list(state) == ["count"]
    state["count"][:] = 7
    assert exe.state_dict()["count"].tolist() == [3] * 4
    exe.load_state_dict({"count": torch.full((4,), 10.0)})
    assert exe(x)["count"].tolist() == [11] * 4
    with pytest.raises(ArgumentError, match=r"must hold exactly \['count'\], got \['w'\]"):
        exe.load_state_dict({"w": w})
    with pytest.raises(ArgumentError, match=r"buffer 'count' must be float32 of shape \(4,\), got float32 of \(3,\)"):
        exe.load_state_dict({"count": w[:3]})


def test_counting_from_many_threads(kit: Any, build: Build) -> None:
    ones = np.ones(4, np.float32)
    exe = build(kit.buffer_plan(), w=ones, step=ones, count=np.zeros(4, np.float32))
    threads = [threading.Thread(target=lambda: [exe(ones) for _ in range(100)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert exe.state_dict()["count"].tolist() == [400] * 4


def test_constants_are_checked_and_copied(kit: Any, build: Build) -> None:
    ones = np.ones(4, np.float32)
    with pytest.raises(ArgumentError, match="parameter 'w' is missing"):
        build(kit.buffer_plan(), count=ones, step=ones)
    with pytest.raises(ArgumentError, match="constant 'step' must be float32 of shape"):
        build(kit.buffer_plan(), count=ones, step=ones.astype(np.float64), w=ones)
    step = ones.copy()
    exe = build(kit.buffer_plan(), count=0 * ones, step=step, w=ones)
    step[:] = 100
    assert exe(ones)["count"].tolist() == [1] * 4


def test_changed_arguments(kit: Any, build: Build, rng: np.random.Generator) -> None:
    """x gets x + x, whatever its strides; the user sees the old x as a result, copied."""
    main = Program(
        steps=(kit.add(kit.tensor("argument", 0, 4), kit.tensor("argument", 0, 4), kit.tensor("result", 0, 4), 4),),
        results=(kit.tensor("result", 0, 4), kit.tensor("argument", 0, 2, 2), kit.tensor("argument", 0, 2, offset=8)),
    )
    signature = kit.Signature(
        (kit.argument("x", 4),),
        (kit.result(4, kind="input", target="x"), kit.result(2, 2), kit.result(2)),
        kit.call_structure(*kit.leaves(1)),
        kit.Structure("tuple", (kit.Structure.leaf(1), kit.Structure.leaf(2))),
    )
    exe = build(Plan(PLAN_VERSION, main, None, {"add": kit.INFOS["add"]}, signature))
    wide = draw(rng, 8)
    for x in (wide.copy(), wide.copy()[::2], torch.from_numpy(wide.copy()), torch.from_numpy(wide.copy())[::2]):
        x = x[:4]
        old = np.asarray(x).copy()
        square, tail = exe(x)
        np.testing.assert_array_equal(np.asarray(x), old + old)
        np.testing.assert_array_equal(np.asarray(square), old.reshape(2, 2))
        np.testing.assert_array_equal(np.asarray(tail), old[2:])
    read_only = wide[:4].copy()
    read_only.flags.writeable = False
    with pytest.raises(ArgumentError, match="argument 'x' is changed by the program, and is read-only"):
        exe(read_only)


def test_run_time_failure(kit: Any, build: Build, rng: np.random.Generator) -> None:
    exe = build(kit.take_plan())
    table = draw(rng, 5)
    good, bad = np.array([4, 0, 2]), np.array([4, 5, 2])
    for _ in range(2):
        np.testing.assert_array_equal(exe(table, good), table[good])
        with pytest.raises(
            RuntimeFailure, match=r"index-out-of-range: index of take \(kernel 'take', from embedding mod"
        ):
            exe(table, bad)
    # An empty launch is skipped: this kernel would read element 0.
    assert exe(table, np.zeros(0, np.int64)).shape == (0,)


def test_narrow_types_move_unchanged(kit: Any, build: Build, rng: np.random.Generator) -> None:
    """Results that are arguments are copied, for every dtype and both libraries."""
    for dtype in DType:
        spec = kit.argument("x", 3, 2, dtype=dtype)
        main = Program(results=(kit.tensor("argument", 0, 3, 2, dtype=dtype),))
        signature = kit.Signature(
            (spec,), (kit.result(3, 2, dtype=dtype),), kit.call_structure(*kit.leaves(1)), kit.Structure.leaf(0)
        )
        exe = build(Plan(PLAN_VERSION, main, None, {}, signature))
        x = rng.integers(0, 2, (2, 3)).astype(dtype.numpy).T
        y = exe(x)
        assert y.dtype == dtype.numpy
        np.testing.assert_array_equal(y, x)
        t = torch.from_numpy(np.ascontiguousarray(x).astype(np.float32)).to(getattr(torch, dtype.label)).t()
        t = t.contiguous().t()
        assert torch.equal(exe(t), t)
    assert np.dtype(ml_dtypes.bfloat16) == DType.BFLOAT16.numpy


def test_wrong_machine_code(kit: Any, objects: dict[str, bytes]) -> None:
    plan = kit.chain_plan()
    with pytest.raises(ArtifactError, match="there is no machine code for kernels add"):
        Executable(plan, {}, {})
    with pytest.raises(ArtifactError, match="object 'add' defines no function 'add'"):
        Executable(plan, {"add": objects["take"]}, {})
    with pytest.raises(InvalidOptionError, match="code for target 'cpu:x86-64-v3' does not run on device 'sim'"):
        Executable(plan, objects, {}, target="cpu:x86-64-v3", device="sim")
    with pytest.raises(InvalidOptionError, match="code for target 'cuda:sm_90a' does not run on device 'cpu'"):
        Executable(plan, objects, {}, target="cuda", device="cpu")
    with pytest.raises(InvalidOptionError, match="unknown device 'tpu'"):
        Executable(plan, objects, {}, target="cuda", device="tpu")


def test_reports(chain: Executable, kit: Any) -> None:
    before = str(chain.report())
    assert "16*n" in before or "48*n" in before
    report = chain.profile(np.zeros((2, 4), np.float32), np.zeros((2, 4), np.float32), repeat=3)
    assert [launch.kernel for launch in report.launches] == ["add", "add"]
    assert all(launch.seconds and launch.seconds > 0 for launch in report.launches)
    assert report.launches[0].bytes.evaluate(report.sizes) == 3 * 2 * 4 * 4
    assert "add model.py:12" in str(report)
    assert chain.explain() == "add: add model.py:12\n  schedule: loop\n  nothing else is there"
    with pytest.raises(StepwellError, match="a loaded artifact holds machine code and its plan"):
        chain.ir("linalg")
    assert chain.stages == ()
    with pytest.raises(StepwellError, match="a loaded artifact holds machine code and its plan"):
        chain.asm("add")
    with pytest.raises(ArgumentError, match="there is no kernel 'mul'; there are add"):
        chain.asm("mul")
