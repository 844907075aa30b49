"""Kernels with rows in text, what they give in float64, and a comparison with it."""

import numpy as np

ADD, TOP = "%r = arith.addf %o0, %i0 : f32", "%r = arith.maximumf %o0, %i0 : f32"


ARGMAX = """%n = linalg.index {axis} : index
%m = arith.index_cast %n : index to i64
%g = arith.cmpf ogt, %i0, %o0 : f32
%p = arith.cmpf uno, %i0, %i0 : f32
%q = arith.cmpf ord, %o0, %o0 : f32
%s = arith.andi %p, %q : i1
%t = arith.ori %g, %s : i1
%z = arith.constant 0 : i64
%e = arith.cmpi slt, %o1, %z : i64
%c = arith.ori %t, %e : i1
%v = arith.select %c, %i0, %o0 : f32
%w = arith.select %c, %m, %o1 : i64"""


def write_argmax(kernel, shape, axis, body=ARGMAX):
    """Append the maximum of a new argument along ``axis`` and its index."""
    a = kernel.argument(shape)
    dims = ", ".join(f"d{n}" for n in range(len(shape)))
    kept = ", ".join(f"d{n}" for n in range(len(shape)) if n != axis)
    short = tuple(s for n, s in enumerate(shape) if n != axis)
    starts = [kernel.fill("0xFF800000", short), kernel.fill("-1", short, "i64")]
    loops = "".join("r" if n == axis else "p" for n in range(len(shape)))
    targets = [(start, f"({dims}) -> ({kept})") for start in starts]
    return kernel.generic([(a, f"({dims}) -> ({dims})")], targets, loops, body.format(axis=axis), ("%v", "%w"))


def write_softmax(kernel, shape, axis, element="f32"):
    """Append a softmax of a new argument along ``axis``, computed in f32."""
    a = kernel.argument(shape, element)
    rank = len(shape)
    dims = ", ".join(f"d{n}" for n in range(rank))
    kept = f"({dims}) -> ({', '.join(f'd{n}' for n in range(rank) if n != axis)})"
    same = f"({dims}) -> ({dims})"
    wide = f"%x = arith.extf %i0 : {element} to f32\n" if element != "f32" else ""
    x = "%x" if wide else "%i0"
    top = kernel.reduce(a, (axis,), "0xFF800000", f"{wide}%r = arith.maximumf %o0, {x} : f32")
    body = f"{wide}%q = arith.subf {x}, %i1 : f32\n%r = math.exp %q : f32"
    (exps,) = kernel.generic([(a, same), (top, kept)], [(kernel.empty(shape), same)], "p" * rank, body)
    total = kernel.reduce(exps, (axis,), "0.0", ADD)
    narrow = f"\n%r = arith.truncf %d : f32 to {element}" if wide else ""
    body = f"{'%d' if wide else '%r'} = arith.divf %i0, %i1 : f32{narrow}"
    target = kernel.empty(shape, element)
    return kernel.generic([(exps, same), (total, kept)], [(target, same)], "p" * rank, body)[0]


def softmax(x, axis):
    e = np.exp(x.astype("f8") - x.max(axis, keepdims=True, initial=-np.inf))
    return e / e.sum(axis, keepdims=True)


def write_columns_on_the_way(kernel, shape):
    """Append doubled elements of a new argument, and the sums of their columns."""
    a = kernel.argument(shape)
    doubled = kernel.pointwise([a], "%r = arith.addf %i0, %i0 : f32")
    return kernel.reduce(doubled, (0,), "0.0", ADD), doubled


def write_layer_norm(kernel, rows, length):
    """Append a layer norm of a new argument's rows, with weights."""
    a, weight = kernel.argument((rows, length)), kernel.argument((length,))
    total = kernel.reduce(a, (1,), "0.0", ADD)
    same, row, line = "(i, j) -> (i, j)", "(i, j) -> (i)", "(i, j) -> (j)"
    mean = f"%n = arith.constant {float(length)} : f32\n%m = arith.divf %i1, %n : f32\n%d = arith.subf %i0, %m : f32\n"
    start = kernel.fill("0.0", (rows,))
    body = mean + "%q = arith.mulf %d, %d : f32\n%r = arith.addf %o0, %q : f32"
    (squares,) = kernel.generic([(a, same), (total, row)], [(start, row)], "pr", body)
    inputs = [(a, same), (total, row), (squares, row), (weight, line)]
    body = mean + (
        "%v = arith.divf %i2, %n : f32\n%e = arith.constant 1.0e-5 : f32\n%w = arith.addf %v, %e : f32\n"
        "%s = math.sqrt %w : f32\n%z = arith.divf %d, %s : f32\n%r = arith.mulf %z, %i3 : f32"
    )
    return kernel.generic(inputs, [(kernel.empty((rows, length)), same)], "pp", body)[0]


def layer_norm(x, weight):
    centred = x.astype("f8") - x.mean(1, keepdims=True, dtype="f8")
    return centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-5) * weight


def close(got, wanted, tolerance=1e-5):
    """Compare with what float64 gives, by the size of the largest element."""
    for one, other in zip(got, wanted, strict=True):
        other = np.asarray(other)
        assert one.shape == other.shape
        if other.dtype.kind in "ib":
            np.testing.assert_array_equal(one, other)
        else:
            size = np.abs(other[np.isfinite(other)]).max(initial=1)
            np.testing.assert_allclose(one.astype("f8"), other, rtol=tolerance, atol=tolerance * size)
