"""Pointwise kernels on the simulated GPU compute what numpy computes: any size, type, broadcast, alignment."""

import ml_dtypes
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pointwise_kernels import RELU_OF_PRODUCT, SAME, rearrangements, write_gathers, write_rearrangements, write_sums

from stepwell.backends.nvidia.in_process import compile_text, simulate


def agree(run, wanted):
    for one, other in zip(run.outputs, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


def test_static_sizes_in_one_kernel(kernel, rng):
    """Sizes of one, of no whole vector, of no whole block; aligned and not."""
    shapes = [(), (1,), (9,), (3, 5, 7), (0, 4), (4, 260), (33, 130), (5, 4099)]
    results, inputs, wanted = [], [], []
    for shape in shapes:
        results.append(kernel.pointwise([kernel.argument(shape), kernel.argument(shape)], RELU_OF_PRODUCT))
        x, y = (rng.standard_normal(shape).astype("f4") for _ in range(2))
        if x.size:
            x.flat[0] = np.nan
        inputs += [x, y]
        wanted.append(np.maximum(x * y, 0))
    made = compile_text(kernel.returns(*results))
    assert made.info.schedule == "pointwise"
    for shift in (0, 1):
        agree(simulate(made, inputs, shift=shift), wanted)


def test_dynamic_sizes_one_of_which_comes_only_within_an_expression(kernel, rng):
    shape = ("s0", 5, "2*s1 + 1")
    a, b = kernel.argument(shape), kernel.argument(shape)
    made = compile_text(kernel.returns(kernel.pointwise([a, b], RELU_OF_PRODUCT)))
    for sizes in [(0, 5, 5), (1, 5, 1), (3, 5, 7), (10, 5, 101)]:
        x, y = (rng.standard_normal(sizes).astype("f4") for _ in range(2))
        agree(simulate(made, [x, y]), [np.maximum(x * y, 0)])


def test_vectors_where_a_size_known_late_allows_them(kernel, rng):
    a, b = kernel.argument((6, "s0")), kernel.argument(("s0",))
    target = kernel.empty((6, "s0"))
    (result,) = kernel.generic(
        [(a, SAME), (b, "(i, j) -> (j)")], [(target, SAME)], "pp", "%r = arith.addf %i0, %i1 : f32"
    )
    made = compile_text(kernel.returns(result))
    assert "where s0 are multiples" in made.info.reasons[0]
    for size in (0, 1, 4, 7, 300, 302):
        x, y = rng.standard_normal((6, size)).astype("f4"), rng.standard_normal(size).astype("f4")
        for shift in (0, 3):
            agree(simulate(made, [x, y], shift=shift), [x + y])


def test_every_dtype_in_one_kernel(kernel, rng):
    names = {"f64": "f8", "f32": "f4", "i64": "i8", "i32": "i4", "i16": "i2", "i8": "i1"}
    results, inputs, wanted = write_sums(kernel, rng, names)
    for element, name in {"f16": np.float16, "bf16": ml_dtypes.bfloat16}.items():
        operands = [kernel.argument((4, 48), element) for _ in range(2)]
        results.append(kernel.pointwise(operands, f"%r = arith.mulf %i0, %i1 : {element}", element))
        pair = [rng.standard_normal((4, 48)).astype(name) for _ in range(2)]
        inputs += pair
        wanted.append((pair[0].astype("f4") * pair[1].astype("f4")).astype(name))
    made = compile_text(kernel.returns(*results))
    for shift in (0, 1):
        agree(simulate(made, inputs, shift=shift), wanted)


def test_mixed_types_share_the_lanes_of_the_widest(kernel, rng):
    a, b = kernel.argument((8, 64), "f16"), kernel.argument((8, 64), "f32")
    body = "%w = arith.extf %i0 : f16 to f32\n%r = arith.cmpf olt, %w, %i1 : f32"
    made = compile_text(kernel.returns(kernel.pointwise([a, b], body, "i1")))
    assert "vectors of 4" in made.info.reasons[0]
    x, y = rng.standard_normal((8, 64)).astype("f2"), rng.standard_normal((8, 64)).astype("f4")
    agree(simulate(made, [x, y]), [x.astype("f4") < y])


def test_pad_slice_concat_insert_and_reshape_are_read_through(kernel, rng):
    text = kernel.returns(*write_rearrangements(kernel))
    x, y = rng.standard_normal((3, 9)).astype("f4"), rng.standard_normal((3, 11)).astype("f4")
    agree(simulate(text, [x, y]), rearrangements(x, y))


def test_slices_that_start_inside_a_vector_are_read_by_element(kernel, rng):
    a = kernel.argument((6, 40))
    parts, wanted = [], []
    x = rng.standard_normal((6, 40)).astype("f4")
    for first in (4, 5):
        part = kernel.op(
            f"tensor.extract_slice {a[0]}[1, {first}] [4, 32] [1, 1] : tensor<6x40xf32> to tensor<4x32xf32>", (4, 32)
        )
        parts.append(kernel.pointwise([part], "%r = arith.negf %i0 : f32"))
        wanted.append(-x[1:5, first : first + 32])
    made = compile_text(kernel.returns(parts[0]))
    assert "vectors of 4" in made.info.reasons[0]
    both = compile_text(kernel.returns(*parts))
    assert "no whole vectors of 4" in both.info.reasons[0]
    agree(simulate(made, [x]), wanted[:1])
    agree(simulate(both, [x]), wanted)


def test_gathers_with_checks(kernel, rng):
    made = compile_text(kernel.returns(*write_gathers(kernel, 36)))
    x, i, j = rng.standard_normal((10, 36)).astype("f4"), rng.integers(0, 10, 6), rng.integers(0, 36, (6, 19))
    assert "vectors of 4" in made.info.reasons[0]
    for mode in ("fast", "strict"):
        run = simulate(made, [x, i, j], mode=mode)
        assert run.status == 0
        agree(run, [x[i], np.take_along_axis(x[i], j, 1)])
    i[2] = 11
    assert simulate(made, [x, i, j], mode="strict").status == 1
    assert made.info.asserts == ("index-out-of-range: embedding",)


def test_constants_indices_and_branches(kernel, rng):
    a = kernel.argument((3, 20))
    values = kernel.op("arith.constant dense<[1.0, -2.0, 4.0]> : tensor<3xf32>", (3,))
    body = """%i = linalg.index 0 : index
%j = linalg.index 1 : index
%k = arith.addi %i, %j : index
%l = arith.index_cast %k : index to i64
%f = arith.sitofp %l : i64 to f32
%z = arith.constant 0.0 : f32
%c = arith.cmpf olt, %i0, %z : f32
%s = scf.if %c -> (f32) {
  %m = arith.mulf %f, %i1 : f32
  scf.yield %m : f32
} else {
  scf.yield %i0 : f32
}
%r = arith.addf %s, %f : f32"""
    inputs = [(a, SAME), (values, "(i, j) -> (i)")]
    (result,) = kernel.generic(inputs, [(kernel.empty((3, 20)), SAME)], "pp", body)
    x = rng.standard_normal((3, 20)).astype("f4")
    number = np.add.outer(np.arange(3), np.arange(20)).astype("f4")
    scale = np.array([1, -2, 4], "f4")[:, None]
    expected = np.where(x < 0, number * scale, x) + number
    (got,) = simulate(kernel.returns(result), [x], options="contract=false").outputs
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_a_constant_that_several_launches_read_by_vectors(kernel, rng):
    a, b = kernel.argument((4, 28)), kernel.argument((3, 5, 28))
    numbers = ", ".join(f"{number}.0" for number in range(28))
    values = kernel.op(f"arith.constant dense<[{numbers}]> : tensor<28xf32>", (28,))
    results = []
    for tensor, loops in ((a, "i, j"), (b, "h, i, j")):
        inputs = [(tensor, f"({loops}) -> ({loops})"), (values, f"({loops}) -> (j)")]
        target = kernel.empty(tensor[1])
        body = "%r = arith.addf %i0, %i1 : f32"
        results += kernel.generic(inputs, [(target, f"({loops}) -> ({loops})")], "p" * len(tensor[1]), body)
    made = compile_text(kernel.returns(*results))
    assert all("vectors of 4" in reason for reason in made.info.reasons[:2])
    x, y = rng.standard_normal((4, 28)).astype("f4"), rng.standard_normal((3, 5, 28)).astype("f4")
    row = np.arange(28, dtype="f4")
    for shift in (0, 1):
        agree(simulate(made, [x, y], mode="strict", shift=shift), [x + row, y + row])


ELEMENTS = {"f32": np.float32, "f16": np.float16, "f64": np.float64}


@st.composite
def broadcast_cases(draw):
    """Draw a result's shape, and the dims that each operand has, in any order."""
    rank = draw(st.integers(1, 4))
    shape = [draw(st.sampled_from([1, 2, 3, 4, 5, 8, 17, 32])) for _ in range(rank)]
    # A few sizes come as symbols.
    symbolic = [draw(st.integers(0, 3)) == 0 for _ in range(rank)]
    operands = []
    for _ in range(draw(st.integers(1, 3))):
        kept = [dim for dim in range(rank) if draw(st.integers(0, 3))]
        operands.append(draw(st.permutations(kept)) if draw(st.integers(0, 3)) == 0 else kept)
    # One operand has all dims, so that every symbol is some input's size.
    operands.append(list(range(rank)))
    return shape, symbolic, operands, draw(st.sampled_from(sorted(ELEMENTS))), draw(st.integers(0, 1))


@settings(max_examples=14, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=broadcast_cases())
def test_broadcast_and_permuted_operands(new_kernel, rng, case):
    shape, symbolic, operands, element, shift = case
    kernel = new_kernel()
    named = [f"s{dim}" if flag else size for dim, (size, flag) in enumerate(zip(shape, symbolic, strict=True))]
    loops = ", ".join(f"d{dim}" for dim in range(len(shape)))
    same = f"({loops}) -> ({loops})"
    inputs, arrays, expected = [], [], np.zeros(shape)
    for kept in operands:
        tensor = kernel.argument([named[dim] for dim in kept], element)
        inputs.append((tensor, f"({loops}) -> ({', '.join(f'd{dim}' for dim in kept)})"))
        array = rng.standard_normal([shape[dim] for dim in kept]).astype(ELEMENTS[element])
        arrays.append(array)
        order = [sorted(kept).index(dim) for dim in kept]
        plain = array.astype("f8").transpose(np.argsort(order)) if kept else array.astype("f8")
        expected = expected + plain.reshape([shape[dim] if dim in kept else 1 for dim in range(len(shape))])
    names = ["%i0", *(f"%t{number}" for number in range(1, len(inputs)))]
    lines = [f"%t{number} = arith.addf {names[number - 1]}, %i{number} : {element}" for number in range(1, len(inputs))]
    target = kernel.empty(named, element)
    (result,) = kernel.generic(
        inputs, [(target, same)], "p" * len(shape), "\n".join(lines), yields=(names[-1] if lines else "%i0",)
    )
    run = simulate(kernel.returns(result), arrays, shift=shift)
    eps = float(np.finfo(ELEMENTS[element]).eps)
    np.testing.assert_allclose(run.outputs[0].astype("f8"), expected, rtol=4 * eps, atol=8 * eps)


def test_no_access_is_stray_or_a_race(kernel, rng):
    a, b = kernel.argument((7, 150)), kernel.argument((150,))
    target = kernel.empty((7, 150))
    (result,) = kernel.generic(
        [(a, SAME), (b, "(i, j) -> (j)")], [(target, SAME)], "pp", "%r = arith.addf %i0, %i1 : f32"
    )
    x, y = rng.standard_normal((7, 150)).astype("f4"), rng.standard_normal(150).astype("f4")
    agree(simulate(kernel.returns(result), [x, y], mode="strict"), [x + y])
