"""How far results may be from float64, per op family: |y - y64| <= 4 |eager - y64| + k eps(dtype) |y64|."""

# k counts roundings of the dtype that a compiled op may add to what eager torch does.
ROUNDINGS = {
    "elementwise": 4,
    "activation": 8,
    "creation": 2,
    "shape": 0,
    "indexing": 2,
    "ordering": 4,
    "reduction": 16,  # hundreds of additions, in another order than eager
    "contraction": 8,
    "convolution": 8,
    "pooling": 4,
    "normalization": 8,
    "attention": 8,
    "resampling": 8,
    "model": 32,
}

# In these families one element of the result depends on few of the operand's, so each element is held to its own size;
# elsewhere errors are measured against the largest element, as cancellation makes small elements meaningless.
ELEMENT_BY_ELEMENT = {"elementwise", "creation", "shape", "indexing", "ordering"}
