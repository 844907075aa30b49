"""Reads under conditions on the GPU, by vectors where parts are whole vectors and by element where they are not."""

import numpy as np
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from stepwell.backends.nvidia.in_process import compile_text, simulate

SIZES = [1, 2, 3, 4, 6, 8, 12, 32]


def joined(kernel, parts, dim):
    """Append a concatenation of tensors."""
    shape = list(parts[0][1])
    shape[dim] = sum(part[1][dim] for part in parts)
    types = ", ".join(kernel.type(*part[1:]) for part in parts)
    names = ", ".join(part[0] for part in parts)
    text = f"tensor.concat dim({dim}) {names} : ({types}) -> {kernel.type(shape, parts[0][2])}"
    return kernel.op(text, shape, parts[0][2])


def sliced(kernel, source, offsets, sizes, steps):
    """Append a slice."""
    types = f"{kernel.type(*source[1:])} to {kernel.type(sizes, source[2])}"
    text = f"tensor.extract_slice {source[0]}{list(offsets)} {list(sizes)} {list(steps)} : {types}"
    return kernel.op(text, sizes, source[2])


def written(kernel, source, target, offsets):
    """Append a write of a whole tensor into another."""
    types = f"{kernel.type(*source[1:])} into {kernel.type(*target[1:])}"
    ones = [1] * len(offsets)
    text = f"tensor.insert_slice {source[0]} into {target[0]}{list(offsets)} {list(source[1])} {ones} : {types}"
    return kernel.op(text, target[1], target[2])


@st.composite
def steps(draw):
    """Draw what is done to a tensor one after another: kind, dimension, and a number or two."""
    kinds = st.sampled_from(["pad", "join", "slice", "write"])
    return [
        (draw(kinds), draw(st.integers(0, 1)), draw(st.sampled_from(SIZES)), draw(st.sampled_from([0, *SIZES])))
        for _ in range(draw(st.integers(1, 3)))
    ]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shape=st.tuples(st.sampled_from([2, 5, 8]), st.sampled_from([4, 7, 24, 64])), todo=steps(), half=st.booleans())
# What was written is what is read, which the inner loop's range proves: it must not be merged with the outer one.
@example(shape=(2, 7), todo=[("write", 1, 4, 1), ("slice", 1, 4, 1)], half=False)
@example(shape=(2, 4), todo=[("write", 1, 2, 1), ("slice", 1, 2, 1)], half=True)
@example(shape=(2, 4), todo=[("join", 1, 4, 0), ("slice", 1, 4, 4)], half=False)
@example(shape=(2, 4), todo=[("pad", 1, 4, 4), ("slice", 1, 4, 4)], half=False)
def test_chains_of_parts(new_kernel, rng, shape, todo, half):
    kernel, element = new_kernel(), "f16" if half else "f32"
    tensor, arrays = kernel.argument(shape, element), [rng.standard_normal(shape).astype("f2" if half else "f4")]
    expected = arrays[0]
    for kind, dim, size, other in todo:
        before = [other if d == dim else 0 for d in range(2)]
        if kind == "pad":
            after = [size if d == dim else 0 for d in range(2)]
            tensor = kernel.pad(tensor, before, after, "1.5")
            expected = np.pad(expected, list(zip(before, after, strict=True)), constant_values=1.5)
        elif kind == "slice":
            start = min(other, expected.shape[dim] - 1)
            count = min(size, expected.shape[dim] - start)
            sizes = [count if d == dim else n for d, n in enumerate(expected.shape)]
            tensor = sliced(kernel, tensor, [start if d == dim else 0 for d in range(2)], sizes, [1, 1])
            expected = expected.take(range(start, start + count), dim)
        else:
            more = [size if d == dim else n for d, n in enumerate(expected.shape)]
            if kind == "write":
                more[dim] = min(size, expected.shape[dim])
            part = kernel.argument(more, element)
            arrays.append(rng.standard_normal(more).astype(expected.dtype))
            if kind == "join":
                tensor = joined(kernel, [tensor, part], dim)
                expected = np.concatenate([expected, arrays[-1]], dim)
            else:
                at = min(other, expected.shape[dim] - more[dim])
                tensor = written(kernel, part, tensor, [at if d == dim else 0 for d in range(2)])
                expected = expected.copy()
                expected[tuple(slice(at, at + more[dim]) if d == dim else slice(None) for d in range(2))] = arrays[-1]
    result = kernel.pointwise([tensor], f"%r = arith.negf %i0 : {element}", element)
    (got,) = simulate(kernel.returns(result), arrays).outputs
    np.testing.assert_array_equal(got, -expected)


def test_whole_vectors_touch_nothing_outside_their_parts(kernel, rng):
    """A rotation of halves, as positions are embedded: strict about every access."""
    a = kernel.argument((5, 64))
    low, high = (sliced(kernel, a, (0, first), (5, 32), (1, 1)) for first in (0, 32))
    turned = joined(kernel, [kernel.pointwise([high], "%r = arith.negf %i0 : f32"), low], 1)
    made = compile_text(kernel.returns(kernel.pointwise([turned, a], "%r = arith.addf %i0, %i1 : f32")))
    assert "vectors of 4" in made.info.reasons[0]
    x = rng.standard_normal((5, 64)).astype("f4")
    for shift in (0, 1):
        (got,) = simulate(made, [x], mode="strict", shift=shift).outputs
        np.testing.assert_array_equal(got, np.concatenate([-x[:, 32:], x[:, :32]], 1) + x)
