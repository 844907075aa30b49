"""Kernels without reductions in text, with what numpy makes of the same inputs."""

import numpy as np

RELU_OF_PRODUCT = """%q = arith.mulf %i0, %i1 : f32
%z = arith.constant 0.0 : f32
%r = arith.maximumf %q, %z : f32"""
SAME = "(i, j) -> (i, j)"


def write_sums(kernel, rng, names, shape=(3, 45)):
    """Append a sum of two new arguments for each element type, by numpy's names, and an exclusive or of booleans.

    Returns the results, inputs and wanted outputs.
    """
    results, inputs, wanted = [], [], []
    for element, name in {**names, "i1": "?"}.items():
        operands = [kernel.argument(shape, element) for _ in range(2)]
        op = {"f": "addf", "i": "addi"}[element[0]] if element != "i1" else "xori"
        results.append(kernel.pointwise(operands, f"%r = arith.{op} %i0, %i1 : {element}", element))
        pair = [rng.standard_normal(shape) * 40 for _ in range(2)]
        pair = [array > 0 if element == "i1" else array.astype(name) for array in pair]
        inputs += pair
        wanted.append(pair[0] ^ pair[1] if element == "i1" else pair[0] + pair[1])
    return results, inputs, wanted


def write_rearrangements(kernel):
    """Append twice the elements of a padded, joined, cut, overwritten and reshaped tensor; return the results."""
    a, b = kernel.argument((3, 9)), kernel.argument((3, 11))
    padded = kernel.pad(a, (1, 2), (0, 3), "7.0")
    zeros = kernel.pad(b, (2, 0), (1, 0), "0.0")
    joined = kernel.op(
        f"tensor.concat dim(1) {a[0]}, {b[0]}, {a[0]} : (tensor<3x9xf32>, tensor<3x11xf32>, tensor<3x9xf32>)"
        " -> tensor<3x29xf32>",
        (3, 29),
    )
    every_other = kernel.op(
        f"tensor.extract_slice {joined[0]}[1, 3] [2, 12] [1, 2] : tensor<3x29xf32> to tensor<2x12xf32>", (2, 12)
    )
    written = kernel.op(
        f"tensor.insert_slice {every_other[0]} into {joined[0]}[1, 4] [2, 12] [1, 2]"
        " : tensor<2x12xf32> into tensor<3x29xf32>",
        (3, 29),
    )
    flat = kernel.op(f"tensor.collapse_shape {b[0]} [[0, 1]] : tensor<3x11xf32> into tensor<33xf32>", (33,))
    split = kernel.op(
        f"tensor.expand_shape {flat[0]} [[0, 1]] output_shape [11, 3] : tensor<33xf32> into tensor<11x3xf32>", (11, 3)
    )
    results = [padded, zeros, joined, every_other, written, split]
    return [kernel.pointwise([tensor], "%r = arith.addf %i0, %i0 : f32") for tensor in results]


def rearrangements(x, y):
    """Return what ``write_rearrangements`` gives for its two arguments."""
    joined = np.concatenate([x, y, x], 1)
    written = joined.copy()
    written[1:3, 4:28:2] = joined[1:3, 3:27:2]
    padded = [np.pad(x, ((1, 0), (2, 3)), constant_values=7), np.pad(y, ((2, 1), (0, 0)))]
    return [one + one for one in (*padded, joined, joined[1:3, 3:27:2], written, y.reshape(11, 3))]


def write_gathers(kernel, columns):
    """Append rows of a table of ten, by checked numbers, and elements of those rows; return the results."""
    table, rows, places = kernel.argument((10, columns)), kernel.argument((6,), "i64"), kernel.argument((6, 19), "i64")
    body = f"""%c0 = arith.constant 0 : i64
%c10 = arith.constant 10 : i64
%c9 = arith.constant 9 : i64
%a = arith.cmpi sge, %i0, %c0 : i64
%b = arith.cmpi slt, %i0, %c10 : i64
%ok = arith.andi %a, %b : i1
cf.assert %ok, "index-out-of-range: embedding"
%low = arith.maxsi %i0, %c0 : i64
%safe = arith.minsi %low, %c9 : i64
%q = arith.index_cast %safe : i64 to index
%j = linalg.index 1 : index
%r = tensor.extract {table[0]}[%q, %j] : tensor<10x{columns}xf32>"""
    (embedded,) = kernel.generic([(rows, "(i, j) -> (i)")], [(kernel.empty((6, columns)), SAME)], "pp", body)
    body = f"""%i = linalg.index 0 : index
%q = arith.index_cast %i0 : i64 to index
%r = tensor.extract {embedded[0]}[%i, %q] : tensor<6x{columns}xf32>"""
    (taken,) = kernel.generic([(places, SAME)], [(kernel.empty((6, 19)), SAME)], "pp", body)
    return embedded, taken


def write_transposition(kernel, shape, order):
    """Append the sum of a permuted new argument and a plain one."""
    target = [shape[dim] for dim in order]
    a, b = kernel.argument(shape), kernel.argument(target)
    loops = [f"d{n}" for n in range(len(order))]
    nest = ", ".join(loops)
    read = ", ".join(loops[order.index(dim)] for dim in range(len(order)))
    inputs = [(a, f"({nest}) -> ({read})"), (b, f"({nest}) -> ({nest})")]
    targets = [(kernel.empty(target), f"({nest}) -> ({nest})")]
    return kernel.generic(inputs, targets, "p" * len(order), "%r = arith.addf %i0, %i1 : f32")[0]
