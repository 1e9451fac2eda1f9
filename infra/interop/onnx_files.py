"""Writes ONNX files with the onnx package, for the test of the importer in ccr-runtime/models/tests/onnx.rs.

    python onnx_files.py FOLDER

`good-….onnx` is to be taken; `CODE-….onnx` is to be refused with that code. Every file has passed the package's checker,
the external one excepted, whose data are left out.
"""

import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
draw = np.random.default_rng(0)


def weight(name, *shape):
    return numpy_helper.from_array(draw.standard_normal(shape).astype(np.float32), name)


def whole(name, *values):
    return numpy_helper.from_array(np.array(values, dtype=np.int64), name)


def save(name, nodes, sizes, constants, element=TensorProto.FLOAT, out=("N", 3), opset=17, check=True):
    node = helper.make_node
    made = [node(op, inputs, outputs, **attributes) for op, inputs, outputs, attributes in nodes]
    graph = helper.make_graph(
        made,
        "g",
        [helper.make_tensor_value_info("x", element, ["N", *sizes])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, list(out))],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 9
    if check:
        onnx.checker.check_model(model, full_check=True)
    (folder / f"{name}.onnx").write_bytes(model.SerializeToString())


conv = ("Conv", ["x", "w", "b"], ["c"], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]})
end = [("Flatten", ["r"], ["f"], {}), ("Gemm", ["f", "v", "d"], ["y"], {"transB": 1})]
tensors = [weight("w", 4, 1, 3, 3), weight("b", 4), weight("v", 3, 256), weight("d", 3)]
save("good-cnn", [conv, ("Relu", ["c"], ["r"], {}), *end], [1, 8, 8], tensors)

norm = ("GroupNormalization", ["c", "g", "h"], ["n"], {"num_groups": 2})
save(
    "good-group-norm",
    [conv, norm, ("LeakyRelu", ["n"], ["r"], {"alpha": 0.125}), *end],
    [1, 8, 8],
    [*tensors, weight("g", 4), weight("h", 4)],
    opset=21,
)

residual = [
    ("LayerNormalization", ["x", "g", "h"], ["n"], {"axis": -1}),
    ("MatMul", ["n", "w"], ["m"], {}),
    ("Add", ["m", "b"], ["l"], {}),
    ("Gelu", ["l"], ["a"], {}),
    ("Add", ["a", "x"], ["y"], {}),
]
parts = [weight("g", 3), weight("h", 3), weight("w", 3, 3), weight("b", 3)]
save("good-residual", residual, [3], parts, opset=20)

tokens = [
    ("Gather", ["t", "x"], ["e"], {}),
    ("Transpose", ["e"], ["p"], {"perm": [1, 0, 2]}),
    ("LSTM", ["p", "W", "R", "B"], ["o", "", ""], {"hidden_size": 5}),
    ("Squeeze", ["o", "one"], ["s"], {}),
    ("Transpose", ["s"], ["q"], {"perm": [1, 0, 2]}),
    ("ReduceMean", ["q"], ["y"], {"axes": [1], "keepdims": 0}),
]
cell = [weight("t", 11, 4), weight("W", 1, 20, 4), weight("R", 1, 20, 5), weight("B", 1, 40), whole("one", 1)]
save("good-lstm", tokens, [6], cell, element=TensorProto.INT64, out=("N", 5))

arms = [
    ("MaxPool", ["x"], ["p"], {"kernel_shape": [2, 2], "strides": [2, 2]}),
    ("Resize", ["p", "", "s"], ["u"], {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}),
    ("Concat", ["u", "x"], ["j"], {"axis": 1}),
    ("Conv", ["j", "w"], ["y"], {"kernel_shape": [1, 1]}),
]
scales = numpy_helper.from_array(np.array([1, 1, 2, 2], dtype=np.float32), "s")
save("good-unet", arms, [2, 8, 8], [scales, weight("w", 1, 4, 1, 1)], out=("N", 1, 8, 8))

batch = ("BatchNormalization", ["c", "g", "h", "mean", "var"], ["r"], {})
four = [weight(name, 4) for name in ("g", "h", "mean", "var")]
save("PIPELINE_ROW_COUPLING-batch-norm", [conv, batch, *end], [1, 8, 8], [*tensors, *four])
save("MODEL_LAYER-dropout", [conv, ("Dropout", ["c"], ["r"], {}), *end], [1, 8, 8], tensors)
flat = ("Reshape", ["x", "s"], ["y"], {})
save("PIPELINE_ROW_COUPLING-reshape", [flat], [4], [whole("s", -1, 2)], out=("M", 2))
first = ("Gather", ["x", "z"], ["y"], {"axis": 0})
save("PIPELINE_ROW_COUPLING-gather", [first], [3], [whole("z", 0)], out=(1, 3))

branch = helper.make_graph(
    [helper.make_node("Relu", ["x"], ["z"])], "b", [], [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)]
)
yes = numpy_helper.from_array(np.array(True), "yes")
save("MODEL_LAYER-if", [("If", ["yes"], ["y"], {"then_branch": branch, "else_branch": branch})], [3], [yes])

outside = weight("w", 3, 3)
outside.ClearField("raw_data")
outside.data_location = TensorProto.EXTERNAL
entry = outside.external_data.add()
entry.key, entry.value = "location", "../weights.bin"
save("MODEL_LAYER-external", [("MatMul", ["x", "w"], ["y"], {})], [3], [outside], check=False)
