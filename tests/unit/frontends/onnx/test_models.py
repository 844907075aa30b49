"""ONNX models, compiled, against onnxruntime: fixed and symbolic sizes, sizes computed in the model, errors."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import stepwell as sw

RANDOM = np.random.default_rng(7)


def weights(**shapes: tuple[int, ...]) -> list[Any]:
    return [
        numpy_helper.from_array((RANDOM.standard_normal(shape) * 0.3).astype(np.float32), name)
        for name, shape in shapes.items()
    ]


def integers(**values: Any) -> list[Any]:
    return [numpy_helper.from_array(np.array(value, dtype=np.int64), name) for name, value in values.items()]


def model(
    nodes: list[Any], inputs: dict[str, Any], outputs: dict[str, Any], constants: list[Any], version: int = 17
) -> Any:
    def values(table: dict[str, Any]) -> list[Any]:
        return [
            helper.make_tensor_value_info(name, kind, shape)
            for name, (kind, shape) in (
                (name, item if isinstance(item, tuple) else (TensorProto.FLOAT, item)) for name, item in table.items()
            )
        ]

    graph = helper.make_graph(nodes, "graph", values(inputs), values(outputs), constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)])
    made.ir_version = 9
    return made


def check(proto: Any, calls: list[dict[str, Any]], **options: Any) -> None:
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    exe = sw.compile(sw.from_onnx(proto, **options))
    for inputs in calls:
        for ours, theirs in zip(exe(*inputs.values()), session.run(None, inputs), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-5)
            assert ours.dtype == theirs.dtype


def node(operator: str, inputs: str, outputs: str, **attributes: Any) -> Any:
    name = f"{operator} of {outputs}"
    return helper.make_node(operator, inputs.split(","), outputs.split(","), name=name, **attributes)


def test_a_convolutional_net_of_any_size() -> None:
    nodes = [
        node("Conv", "x,w,b", "c", kernel_shape=[3, 3], auto_pad="SAME_UPPER", strides=[2, 2]),
        node("BatchNormalization", "c,scale,bias,mean,var", "n"),
        node("Relu", "n", "r"),
        node("MaxPool", "r", "p", kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1]),
        node("Shape", "p", "shape"),
        node("Gather", "shape,zero", "batch"),
        node("Unsqueeze", "batch,axes", "batch1"),
        node("Concat", "batch1,rest", "flat", axis=0),
        node("GlobalAveragePool", "p", "g"),
        node("Reshape", "g,flat", "f"),
        node("Gemm", "f,wf,bf", "y", transB=1),
        node("Softmax", "y", "probabilities"),
        node("TopK", "probabilities,k", "best,which"),
    ]
    constants = weights(w=(8, 3, 3, 3), b=(8,), scale=(8,), bias=(8,), mean=(8,), wf=(10, 8), bf=(10,))
    constants.append(numpy_helper.from_array(np.ones(8, np.float32) * 0.7, "var"))
    constants += integers(zero=0, axes=[0], rest=[-1], k=[3])
    outputs = {"probabilities": ["batch", 10], "which": (TensorProto.INT64, ["batch", 3])}
    proto = model(nodes, {"x": ["batch", 3, "height", 32]}, outputs, constants)
    shapes = ((1, 3, 32, 32), (4, 3, 41, 32))
    check(proto, [{"x": RANDOM.standard_normal(s).astype(np.float32)} for s in shapes], examples={"height": 32})


def test_attention_with_shapes_from_the_model() -> None:
    nodes = [
        node("Gather", "table,ids", "e"),
        node("LayerNormalization", "e,gamma,beta", "h", axis=-1),
        node("MatMul", "h,wq", "q"),
        node("MatMul", "h,wk", "k"),
        node("MatMul", "h,wv", "v"),
        node("Reshape", "q,heads", "q4"),
        node("Reshape", "k,heads", "k4"),
        node("Reshape", "v,heads", "v4"),
        node("Transpose", "q4", "qt", perm=[0, 2, 1, 3]),
        node("Transpose", "k4", "kt", perm=[0, 2, 3, 1]),
        node("Transpose", "v4", "vt", perm=[0, 2, 1, 3]),
        node("MatMul", "qt,kt", "s"),
        node("Mul", "s,scale", "scaled"),
        node("Equal", "mask,none", "hidden"),
        node("Unsqueeze", "hidden,twelve", "hidden4"),
        node("Where", "hidden4,low,scaled", "masked"),
        node("Softmax", "masked", "p", axis=-1),
        node("MatMul", "p,vt", "o"),
        node("Transpose", "o", "ot", perm=[0, 2, 1, 3]),
        node("Reshape", "ot,flat", "y0"),
        node("Gelu", "y0", "y"),
        node("Shape", "ids", "size", start=1, end=2),
        node("Slice", "y,zeros,size,ones", "sliced"),
        node("ReduceMean", "sliced,ones", "mean", keepdims=0),
    ]
    constants = weights(table=(50, 16), gamma=(16,), beta=(16,), wq=(16, 16), wk=(16, 16), wv=(16, 16))
    constants += integers(heads=[0, -1, 4, 4], flat=[0, 0, 16], none=0, twelve=[1, 2], zeros=[0], ones=[1])
    constants += [numpy_helper.from_array(np.float32(value), name) for name, value in (("scale", 0.5), ("low", -1e9))]
    kind = TensorProto.INT64
    proto = model(
        nodes, {"ids": (kind, ["n", "t"]), "mask": (kind, ["n", "t"])}, {"mean": ["n", 16]}, constants, version=20
    )
    calls = []
    for n, t in ((2, 5), (3, 9)):
        mask = RANDOM.integers(0, 2, (n, t))
        mask[:, 0] = 1
        calls.append({"ids": RANDOM.integers(0, 50, (n, t)), "mask": mask})
    check(proto, calls)


@pytest.mark.parametrize("operator", ["LSTM", "GRU"])
def test_recurrent_layers(operator: str) -> None:
    gates = {"LSTM": 4, "GRU": 3}[operator]
    names = "y,h,c" if operator == "LSTM" else "y,h"
    more = {} if operator == "LSTM" else {"linear_before_reset": 1}
    layer = node(operator, "x,w,r,b", names, hidden_size=5, direction="bidirectional", **more)
    constants = weights(w=(2, gates * 5, 3), r=(2, gates * 5, 5), b=(2, gates * 10))
    outputs = {"y": [7, 2, 4, 5], "h": [2, 4, 5]}
    proto = model([layer], {"x": [7, 4, 3]}, outputs, constants)
    check(proto, [{"x": RANDOM.standard_normal((7, 4, 3)).astype(np.float32)}])


def test_quantized_layers() -> None:
    nodes = [
        node("QuantizeLinear", "x,sx,zx", "q"),
        node("DequantizeLinear", "q,sx,zx", "d"),
        node("DequantizeLinear", "wq,sw,zw", "w", axis=0),
        node("Conv", "d,w", "c", pads=[1, 1, 1, 1]),
        node(
            "Resize",
            "c,,factors",
            "y",
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        ),
    ]
    constants = [
        numpy_helper.from_array(np.float32(0.02), "sx"),
        numpy_helper.from_array(np.uint8(120), "zx"),
        numpy_helper.from_array(RANDOM.integers(-128, 128, (4, 3, 3, 3)).astype(np.int8), "wq"),
        numpy_helper.from_array(np.array([0.01, 0.02, 0.03, 0.04], np.float32), "sw"),
        numpy_helper.from_array(np.zeros(4, np.int8), "zw"),
        numpy_helper.from_array(np.array([1, 1, 2, 3], np.float32), "factors"),
    ]
    proto = model(nodes, {"x": [2, 3, 9, 7]}, {"y": [2, 4, 18, 21]}, constants)
    check(proto, [{"x": RANDOM.standard_normal((2, 3, 9, 7)).astype(np.float32)}])


def test_files_and_fixed_sizes(tmp_path: Path) -> None:
    proto = model([node("Relu", "x", "y")], {"x": ["batch", 4]}, {"y": ["batch", 4]}, [])
    path = tmp_path / "relu.onnx"
    path.write_bytes(proto.SerializeToString())
    fixed = sw.from_onnx(path, sizes={"batch": 3})
    assert fixed.signature.symbols == () and fixed.signature.arguments[0].name == "x"
    (ours,) = sw.compile(fixed)(-np.ones((3, 4), np.float32))
    assert not ours.any()


def test_errors(tmp_path: Path) -> None:
    unknown = model(
        [node("Bernoulli", "x", "a"), node("Det", "a", "b"), node("Det", "b", "y")], {"x": [2, 2]}, {"y": [2, 2]}, []
    )
    with pytest.raises(sw.errors.UnsupportedOpError, match=r"Bernoulli x1: 'Bernoulli of a'\n  Det x2"):
        sw.from_onnx(unknown)
    shaped = model([node("Reshape", "x,s", "y")], {"x": [4], "s": (TensorProto.INT64, [2])}, {"y": [2, 2]}, [])
    with pytest.raises(sw.errors.ImportProgramError, match="'shape' of 'Reshape of y' depends on the values"):
        sw.from_onnx(shaped)
    with pytest.raises(sw.errors.InvalidInputFileError, match="there is no file"):
        sw.from_onnx(tmp_path / "none.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"not a model")
    with pytest.raises(sw.errors.InvalidInputFileError, match="is no ONNX model"):
        sw.from_onnx(tmp_path / "bad.onnx")
    foreign = model(
        [node("Identity", "x", "y")], {"x": (TensorProto.STRING, [1])}, {"y": (TensorProto.STRING, [1])}, []
    )
    with pytest.raises(sw.errors.ImportProgramError, match="element type 8 is not supported"):
        sw.from_onnx(foreign)
