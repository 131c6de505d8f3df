"""Small graphs by hand, on which our lint and NVIDIA's own parser and builder are compared (``tensorrt_verdicts``).

Every operator that the lint knows is here in every type that its data could have, right or wrong, and then what goes
wrong with single operators.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto

KINDS = ("float", "float16", "int32", "int64", "bool")


@dataclass(frozen=True)
class Graph:
    """Inputs and nodes in ONNX's text syntax, and constants by name. The output is y."""

    inputs: str
    nodes: str
    constants: dict[str, np.ndarray]
    opset: int = 20

    def model(self) -> onnx.ModelProto:
        graph = onnx.parser.parse_graph(f"g ({self.inputs}) => (y) {{ {self.nodes} }}")
        for i, node in enumerate(graph.node):
            node.name = f"n{i}"
        graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in self.constants.items())
        opsets = [onnx.helper.make_opsetid("", self.opset)]
        model = onnx.shape_inference.infer_shapes(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=10))
        output = model.graph.output[0].type.tensor_type
        if not output.elem_type:  # the graph is wrong, and the parser should say where
            output.elem_type = TensorProto.FLOAT
        output.ClearField("shape")
        return model


def graph(inputs: str, nodes: str, opset: int = 20, **constants: np.ndarray | np.generic) -> Graph:
    return Graph(inputs, nodes, {name: np.asarray(value) for name, value in constants.items()}, opset)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def floats(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


def in_kind(template: Graph, kind: str) -> Graph:
    """T in its text, and its floating-point constants, become of that type."""
    numpy_type = onnx.helper.tensor_dtype_to_np_dtype(TensorProto.DataType.Value(kind.upper()))
    constants = {n: v.astype(numpy_type) if v.dtype == np.float32 else v for n, v in template.constants.items()}
    nodes = template.nodes.replace("=T", f"={TensorProto.DataType.Value(kind.upper())}").replace("T[", f"{kind}[")
    return Graph(template.inputs.replace("T[", f"{kind}["), nodes, constants, template.opset)


UNARY = """
    Abs ArgMax ArgMin Ceil Celu Cos Elu Erf Exp Flatten Floor Gelu HardSigmoid HardSwish Identity LeakyRelu Log
    LogSoftmax Mish Neg Not Reciprocal Relu Round Selu Shape Sigmoid Sign Sin Softmax Softplus Softsign Sqrt Tanh
    Transpose
"""
BINARY = """
    Add And Div Equal Greater GreaterOrEqual Less LessOrEqual MatMul Max Mean Min Mul Or Pow PRelu Sub Sum Xor
"""
REDUCE = "ReduceL2 ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum"
T, TT = "T[4,4] x", "T[1,2,4,4] x"
OPERATORS: dict[str, Graph] = (
    {op: graph(T, f"y = {op}(x)") for op in UNARY.split()}
    | {op: graph(T, f"y = {op}(x, x)") for op in BINARY.split()}
    | {op: graph(T, f"y = {op}(x, a)", a=ints(1)) for op in REDUCE.split()}
    | {op: graph(TT, f"y = {op}<kernel_shape=[2,2]>(x)") for op in ("AveragePool", "MaxPool")}
    | {op: graph(TT, f"y = {op}(x)") for op in ("GlobalAveragePool", "GlobalMaxPool")}
    | {
        "BatchNormalization": graph(TT, "y = BatchNormalization(x, c, c, c, c)", c=ones(2)),
        "Cast from": graph(T, "y = Cast<to=1>(x)"),
        "Cast to": graph("float[4,4] x", "y = Cast<to=T>(x)"),
        "Clip": graph(T, "y = Clip(x, c, c)", c=ones()),
        "Concat": graph(T, "y = Concat<axis=0>(x, x)"),
        "Constant": graph(T, "c = Constant<value = T[1,4] {1, 1, 1, 1}>() y = Concat<axis=0>(x, c)"),
        "ConstantOfShape": graph(T, "s = Shape(x) y = ConstantOfShape<value = T[1] {1}>(s)"),
        "Conv": graph(TT, "y = Conv(x, w)", w=ones(2, 2, 1, 1)),
        "ConvTranspose": graph(TT, "y = ConvTranspose(x, w)", w=ones(2, 2, 2, 2)),
        "DepthToSpace": graph("T[1,4,4,4] x", "y = DepthToSpace<blocksize=2>(x)"),
        "DequantizeLinear": graph(T, "y = DequantizeLinear(x, s)", s=np.float16(1)),
        "Expand": graph("T[4,1] x", "y = Expand(x, s)", s=ints(4, 4)),
        "Gather": graph(T, "y = Gather(x, i)", i=ints(1)),
        "GatherElements": graph(T, "y = GatherElements(x, i)", i=np.zeros((4, 4), np.int64)),
        "GatherND": graph(T, "y = GatherND(x, i)", i=np.zeros((4, 1), np.int64)),
        "Gemm": graph(T, "y = Gemm(x, w)", w=ones(4, 4)),
        "InstanceNormalization": graph(TT, "y = InstanceNormalization(x, c, c)", c=ones(2)),
        "LayerNormalization": graph(T, "y = LayerNormalization(x, c, c)", c=ones(4)),
        "Pad": graph(T, "y = Pad(x, p)", p=ints(0, 0, 1, 1)),
        "QuantizeLinear": graph(T, "y = QuantizeLinear(x, s, z)", s=ones(), z=np.int8(0)),
        "Range": graph(T, "y = Range(a, b, a)", a=ones(), b=floats(4)[0]),
        "Reshape": graph(T, "y = Reshape(x, s)", s=ints(2, 8)),
        "Resize": graph(TT, "y = Resize(x, , , s)", s=ints(1, 2, 8, 8)),
        "Slice": graph(T, "y = Slice(x, a, b, a)", a=ints(0), b=ints(2)),
        "Split": graph(T, "y, z = Split<num_outputs=2>(x)"),
        "Squeeze": graph("T[1,4] x", "y = Squeeze(x, a)", a=ints(0)),
        "Tile": graph(T, "y = Tile(x, s)", s=ints(1, 2)),
        "TopK": graph(T, "y, i = TopK(x, k)", k=ints(2)),
        "Unsqueeze": graph(T, "y = Unsqueeze(x, a)", a=ints(0)),
        "Where": graph(f"bool[4,4] c, {T}", "y = Where(c, x, x)"),
    }
)

X, HALF, IMAGE = "float[4,4] x", "float16[4,4] x", "float[1,2,4,4] x"
BYTES, INTEGERS = "uint8[4,4] x", "int8[4,4] x"
S, Z = np.float32(0.1), np.int8(0)  # a scale and its zero point
W = np.ones((4, 4), np.int8)
SCALES, ZEROS = np.full(4, 0.1, np.float32), np.zeros(4, np.int8)
KERNEL = ones(2, 2, 1, 1)

UINT8_AND_INT8 = {
    "UINT8 cast": graph(BYTES, "y = Cast<to=1>(x)"),
    "UINT8 cast to FLOAT16": graph(BYTES, "y = Cast<to=10>(x)"),
    "UINT8 cast to INT32": graph(BYTES, "y = Cast<to=6>(x)"),
    "UINT8 cast twice": graph(BYTES, "y = Cast<to=1>(x) z = Cast<to=10>(x)"),
    "UINT8 cast to UINT8": graph(BYTES, "y = Cast<to=2>(x)"),
    "UINT8 transposed": graph(BYTES, "t = Transpose(x) y = Cast<to=1>(t)"),
    "UINT8 reshaped": graph(BYTES, "t = Reshape(x, s) y = Cast<to=1>(t)", s=ints(16)),
    "UINT8 gathered": graph(BYTES, "t = Gather(x, i) y = Cast<to=1>(t)", i=ints(1)),
    "UINT8 resized": graph("uint8[1,2,4,4] x", "t = Resize(x, , , s) y = Cast<to=1>(t)", s=ints(1, 2, 8, 8)),
    "UINT8 added": graph(BYTES, "y = Add(x, x)"),
    "UINT8 dequantized": graph(BYTES, "y = DequantizeLinear(x, s)", s=S),
    "UINT8 compared": graph(BYTES, "y = Equal(x, x)"),
    "UINT8 flattened": graph(BYTES, "y = Flatten(x)"),
    "UINT8 passed on": graph(BYTES, "y = Identity(x)"),
    "UINT8, its shape": graph(BYTES, "y = Shape(x)"),
    "UINT8 constant": graph(X, "t = Cast<to=1>(c) y = Add(x, t)", c=np.ones(4, np.uint8)),
    "UINT8 filled": graph(X, "s = Shape(x) y = ConstantOfShape<value = uint8[1] {1}>(s)"),
    "UINT8 as output": graph(X, "y = Cast<to=2>(x)"),
    "UINT8 as output, of BOOL": graph("bool[4,4] x", "y = Cast<to=2>(x)"),
    "UINT8 inside": graph(X, "t = Cast<to=2>(x) y = Cast<to=1>(t)"),
    "UINT8 inside, transposed": graph(X, "t = Cast<to=2>(x) u = Transpose(t) y = Cast<to=1>(u)"),
    "INT8 as input": graph(INTEGERS, "y = DequantizeLinear(x, s, z)", s=S, z=Z),
    "INT8 as output": graph(X, "y = QuantizeLinear(x, s, z)", s=S, z=Z),
    "INT8 cast": graph(INTEGERS, "y = Cast<to=1>(x)"),
    "INT8 cast to": graph(X, "y = Cast<to=3>(x)"),
    "INT8 added": graph(INTEGERS, "y = Add(x, x)"),
    "INT8 multiplied": graph(INTEGERS, "y = MatMul(x, x)"),
    "INT8 in a Softmax": graph(INTEGERS, "y = Softmax(x)"),
    "INT8 rounded": graph(INTEGERS, "y = Round(x)"),
    "INT8 filled": graph(X, "s = Shape(x) y = ConstantOfShape<value = int8[1] {1}>(s)"),
    "INT8 gathered": graph("int64[2] x", "t = Gather(w, x) y = DequantizeLinear(t, s, z)", w=W, s=S, z=Z),
    "INT8 cast, a constant": graph(X, "t = Cast<to=1>(w) y = MatMul(x, t)", w=W),
    "INT8 transposed, a constant": graph(X, "t = Transpose(w) d = DequantizeLinear(t, s) y = MatMul(x, d)", w=W, s=S),
    "INT8 transposed": graph(X, "q = QuantizeLinear(x, s, z) t = Transpose(q) y = DequantizeLinear(t, s)", s=S, z=Z),
    "INT8 in a Constant node": graph(
        X, "c = Constant<value = int8[4] {1, 2, 3, 4}>() d = DequantizeLinear(c, s) y = Add(x, d)", s=S
    ),
}

OTHER_TYPES = {
    "DOUBLE input": graph("double[4,4] x", "y = Relu(x)"),
    "DOUBLE constant": graph(X, "t = Cast<to=1>(c) y = Add(x, t)", c=np.ones(4)),
    "DOUBLE Constant node": graph(X, "t = Constant<value = double[1] {1.5}>() u = Cast<to=1>(t) y = Add(x, u)"),
    "DOUBLE inside": graph(X, "t = Cast<to=11>(x) u = Exp(t) y = Cast<to=1>(u)"),
    "BFLOAT16 input": graph("bfloat16[4,4] x", "y = Relu(x)"),
    "BFLOAT16 inside": graph(X, "t = Cast<to=16>(x) u = Exp(t) y = Cast<to=1>(u)"),
    "FP8 inside": graph(X, "t = Cast<to=17>(x) y = Cast<to=1>(t)"),
    "INT16 input": graph("int16[4,4] x", "y = Cast<to=1>(x)"),
    "INT16 constant": graph(X, "t = Cast<to=1>(c) y = Add(x, t)", c=np.ones(4, np.int16)),
    "INT16 Constant node": graph(X, "t = Constant<value = int16[1] {1}>() u = Cast<to=1>(t) y = Add(x, u)"),
    "INT16 inside": graph(X, "t = Cast<to=5>(x) y = Cast<to=1>(t)"),
    "INT16, unused": graph(X, "y = Relu(x) t = Cast<to=5>(x)"),
    "UINT32 inside": graph(X, "t = Cast<to=12>(x) y = Cast<to=1>(t)"),
    "STRING": graph(X, "y = Cast<to=8>(x)"),
    "STRING Constant node": graph(X, 'c = Constant<value_string="a">() y = Relu(x)'),
}

MIXED = {
    f"mixed {name}": made
    for name, made in {
        "Add of FLOAT and INT32": graph(f"{X}, int32[4,4] b", "y = Add(x, b)"),
        "Add of FLOAT and INT64": graph(f"{X}, int64[4,4] b", "y = Add(x, b)"),
        "Add of FLOAT and FLOAT16": graph(f"{X}, float16[4,4] b", "y = Add(x, b)"),
        "Add of FLOAT16 and FLOAT": graph(f"{HALF}, float[4,4] b", "y = Add(x, b)"),
        "Add of INT32 and INT64": graph("int32[4,4] x, int64[4,4] b", "y = Add(x, b)"),
        "Add of a constant": graph(HALF, "y = Add(x, c)", c=ones()),
        "Add after a Cast": graph(X, "h = Cast<to=10>(x) y = Add(x, h)"),
        "Mul by BOOL": graph(f"{X}, bool[4,4] b", "y = Mul(x, b)"),
        "MatMul": graph(f"{X}, float16[4,4] b", "y = MatMul(x, b)"),
        "Gemm's bias": graph(HALF, "y = Gemm(x, x, c)", c=ones(4)),
        "Conv's weight": graph("float16[1,2,4,4] x", "y = Conv(x, w)", w=KERNEL),
        "Conv's bias": graph("float16[1,2,4,4] x", "y = Conv(x, w, b)", w=KERNEL.astype(np.float16), b=ones(2)),
        "Concat": graph(f"{X}, float16[4,4] b", "y = Concat<axis=0>(x, b)"),
        "Where": graph(f"bool[4,4] c, {X}, float16[4,4] b", "y = Where(c, x, b)"),
        "Equal": graph("int64[4,4] x, int32[4,4] b", "y = Equal(x, b)"),
        "Less": graph(f"{X}, float16[4,4] b", "y = Less(x, b)"),
        "Max": graph(f"{X}, float16[4,4] b", "y = Max(x, b)"),
        "Sum": graph(f"{X}, float16[4,4] b", "y = Sum(x, x, b)"),
        "Clip": graph(HALF, "y = Clip(x, c)", c=ones()),
        "PRelu": graph(HALF, "y = PRelu(x, c)", c=ones()),
        "Pad": graph(HALF, "y = Pad(x, p, c)", p=ints(0, 0, 1, 1), c=ones()),
        "Range": graph(X, "y = Range(a, b, a)", a=ones(), b=np.int64(4)),
        "LayerNormalization": graph(HALF, "y = LayerNormalization(x, c, c)", c=ones(4)),
        "InstanceNormalization": graph("float16[1,2,4,4] x", "y = InstanceNormalization(x, c, c)", c=ones(2)),
        "BatchNormalization": graph("float16[1,2,4,4] x", "y = BatchNormalization(x, c, c, c, c)", c=ones(2)),
        "QuantizeLinear": graph(HALF, "y = QuantizeLinear(x, s, z)", s=S, z=Z),
        "DequantizeLinear": graph(X, "d = DequantizeLinear(w, s) y = MatMul(x, d)", w=W, s=np.float16(0.1)),
        "Pow of FLOAT16 and FLOAT": graph(HALF, "y = Pow(x, c)", c=ones()),
        "Pow of FLOAT and INT64": graph(X, "y = Pow(x, c)", c=np.int64(2)),
        "Where by FLOAT": graph(X, "y = Where(x, x, x)"),
        "Gather by FLOAT": graph(X, "y = Gather(x, x)"),
        "Gather by BOOL": graph(f"{X}, bool[4] b", "y = Gather(x, b)"),
        "Reshape by INT32": graph(X, "y = Reshape(x, s)", s=np.int32([16])),
        "Expand by INT32": graph(X, "y = Expand(x, s)", s=np.int32([4, 4])),
        "TopK by INT32": graph(X, "y, i = TopK(x, k)", k=np.int32([2])),
        "Resize by FLOAT16": graph(IMAGE, "y = Resize(x, , s)", s=np.float16([1, 1, 2, 2])),
    }.items()
} | {
    "Gather by INT32": graph(X, "y = Gather(x, i)", i=np.int32([1])),
    "GatherND by INT32": graph(X, "y = GatherND(x, i)", i=np.zeros((4, 1), np.int32)),
    "Slice by INT32": graph(X, "y = Slice(x, a, b)", a=np.int32([0, 0]), b=np.int32([2, 2])),
}

BOTH = "q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z)"
WEIGHT = "d = DequantizeLinear(w, s, z) y = MatMul(x, d)"
CHANNELS = "d = DequantizeLinear<axis=0>(w, s, z) y = MatMul(x, d)"
QUANTIZED = {
    "quantized and back": graph(X, BOTH, s=S, z=Z),
    "quantized and back in FLOAT16": graph(HALF, BOTH, s=np.float16(0.1), z=Z),
    "quantized and back without a zero point": graph(X, "q = QuantizeLinear(x, s) y = DequantizeLinear(q, s)", s=S),
    "quantized with a zero point of 3": graph(X, BOTH, s=S, z=np.int8(3)),
    "quantized to UINT8": graph(X, BOTH, s=S, z=np.uint8(128)),
    "quantized by a computed scale": graph(f"{X}, float s", "y = QuantizeLinear(x, s, z)", z=Z),
    "quantized by a Constant node": graph(X, "s = Constant<value_float=0.1>() y = QuantizeLinear(x, s, z)", z=Z),
    "quantized MatMul": graph(
        X,
        "q = QuantizeLinear(x, a, z) e = DequantizeLinear(q, a, z) d = DequantizeLinear<axis=1>(w, s) y = MatMul(e, d)",
        **{"w": W, "s": SCALES, "a": S, "z": Z},
    ),
    "quantized Conv": graph(
        IMAGE,
        "q = QuantizeLinear(x, a, z) e = DequantizeLinear(q, a, z) d = DequantizeLinear<axis=0>(w, s) y = Conv(e, d)",
        **{"w": KERNEL.astype(np.int8), "s": SCALES[:2], "a": S, "z": Z},
    ),
    "dequantized INT8": graph(X, WEIGHT, w=W, s=S, z=Z),
    "dequantized INT8 without a zero point": graph(X, "d = DequantizeLinear(w, s) y = MatMul(x, d)", w=W, s=S),
    "dequantized INT8 into FLOAT16": graph(HALF, WEIGHT, w=W, s=np.float16(0.1), z=Z),
    "dequantized INT32": graph(X, WEIGHT, w=W.astype(np.int32), s=S, z=np.int32(0)),
    "dequantized INT32 without a zero point": graph(
        X, "d = DequantizeLinear(w, s) y = Add(x, d)", w=np.int32([1, 2, 3, 4]), s=S
    ),
    "dequantized UINT8": graph(X, WEIGHT, w=W.astype(np.uint8), s=S, z=np.uint8(128)),
    "dequantized channels": graph(X, CHANNELS, w=W, s=SCALES, z=ZEROS),
    "dequantized channels of the last axis": graph(X, CHANNELS.replace("=0", "=-1"), w=W, s=SCALES, z=ZEROS),
    "dequantized channels of no axis": graph(
        X, CHANNELS.replace("<axis=0>", ""), w=W[:, :2], s=SCALES[:2], z=ZEROS[:2]
    ),
    "dequantized channels with one zero point": graph(X, CHANNELS, w=W, s=SCALES, z=Z),
    "dequantized by one scale with zero points": graph(X, CHANNELS, w=W, s=S, z=ZEROS),
    "dequantized by too few scales": graph(X, CHANNELS, w=W, s=SCALES[:3], z=ZEROS[:3]),
    "a scale of 0 for a channel": graph(X, CHANNELS, w=W, s=floats(1, 1, 0, 1), z=ZEROS),
    "a scale of 0 in FLOAT16": graph(HALF, BOTH, s=np.float16(1e-9), z=Z),
    **{f"a scale of {s} in quantizing": graph(X, BOTH, s=np.float32(s), z=Z) for s in (0.0, -0.1, "nan", 1e-40)},
    **{f"a scale of {s} in dequantizing": graph(X, WEIGHT, w=W, s=np.float32(s), z=Z) for s in (0.0, -0.1)},
}

TO_SIZES, BY_SCALES = 'y = Resize<mode="linear">(x, , , s)', 'y = Resize<mode="linear">(x, , s)'
TWICE = ints(1, 2, 8, 8)
RESIZED = {
    **{
        f"Resize {attributes}".replace('"', ""): graph(IMAGE, f"y = Resize<{attributes}>(x, , , s)", s=TWICE)
        for attributes in (
            "antialias=1",
            'antialias=1, mode="linear"',
            'antialias=0, mode="linear"',
            'mode="cubic"',
            'mode="cubic", exclude_outside=1',
            'keep_aspect_ratio_policy="not_larger"',
            'keep_aspect_ratio_policy="not_smaller"',
            'nearest_mode="floor"',
            'nearest_mode="ceil"',
            'nearest_mode="round_prefer_ceil"',
            'coordinate_transformation_mode="align_corners"',
            'coordinate_transformation_mode="asymmetric"',
            'coordinate_transformation_mode="half_pixel_symmetric"',
            'coordinate_transformation_mode="pytorch_half_pixel"',
            'coordinate_transformation_mode="pytorch_half_pixel", mode="linear"',
            'coordinate_transformation_mode="tf_half_pixel_for_nn"',
        )
    },
    "Resize of a crop": graph(
        IMAGE,
        'y = Resize<coordinate_transformation_mode="tf_crop_and_resize">(x, r, , s)',
        r=floats(0, 0, 0, 0, 1, 1, 1, 1),
        s=TWICE,
    ),
    "Resize by scales": graph(IMAGE, BY_SCALES, s=floats(1, 1, 2, 2)),
    "Resize by scales in FLOAT16": graph("float16[1,2,4,4] x", BY_SCALES, s=floats(1, 1, 2, 2)),
    "Resize by scales of all sides": graph(IMAGE, BY_SCALES, s=floats(2, 2, 2, 2)),
    "Resize by scales of free prompts": graph("float[prompts,2,4,4] x", BY_SCALES, s=floats(1, 1, 2, 2)),
    "Resize by computed scales": graph(f"{IMAGE}, float[4] s", BY_SCALES),
    "Resize of axes": graph(IMAGE, 'y = Resize<mode="linear", axes=[2,3]>(x, , , s)', s=ints(8, 8)),
    "Resize of three sides": graph(IMAGE, TO_SIZES, s=ints(1, 4, 8, 8)),
    "Resize of all sides": graph(IMAGE, TO_SIZES, s=ints(2, 4, 8, 8)),
    "Resize of the first side": graph(IMAGE, TO_SIZES, s=ints(2, 2, 4, 4)),
    "Resize of all sides to the nearest": graph(IMAGE, "y = Resize(x, , , s)", s=ints(2, 4, 8, 8)),
    "Resize to computed sizes": graph(f"{IMAGE}, int64[4] s", TO_SIZES),
    "Resize to another's shape": graph(f"{IMAGE}, float[1,2,8,8] b", f"s = Shape(b) {TO_SIZES}"),
}

ATTRIBUTES = {
    "AveragePool dilated": graph(IMAGE, "y = AveragePool<kernel_shape=[2,2], dilations=[2,2]>(x)"),
    "AveragePool not dilated": graph(IMAGE, "y = AveragePool<kernel_shape=[2,2], dilations=[1,1]>(x)"),
    "AveragePool of pads": graph(IMAGE, "y = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1>(x)"),
    "AveragePool rounded up": graph(IMAGE, "y = AveragePool<kernel_shape=[3,3], strides=[2,2], ceil_mode=1>(x)"),
    "AveragePool of a line": graph("float[1,2,4] x", "y = AveragePool<kernel_shape=[2]>(x)"),
    "MaxPool dilated": graph(IMAGE, "y = MaxPool<kernel_shape=[2,2], dilations=[2,2]>(x)"),
    "MaxPool's indices": graph(IMAGE, "y, i = MaxPool<kernel_shape=[2,2]>(x)"),
    "MaxPool of four sides": graph("float[1,2,4,4,4,4] x", "y = MaxPool<kernel_shape=[2,2,2,2]>(x)"),
    "GlobalAveragePool of nothing": graph(X, "y = GlobalAveragePool(x)"),
    "Conv of four sides": graph("float[1,2,4,4,4,4] x", "y = Conv(x, w)", w=ones(2, 2, 1, 1, 1, 1)),
    "Conv of a line": graph("float[1,2,4] x", "y = Conv(x, w)", w=ones(2, 2, 1)),
    "Conv of groups": graph(IMAGE, "y = Conv<group=2, pads=[1,1,1,1]>(x, w)", w=ones(2, 1, 3, 3)),
    "ConvTranspose of strides": graph(IMAGE, "y = ConvTranspose<strides=[2,2]>(x, w)", w=ones(2, 2, 2, 2)),
    "BatchNormalization in training": graph(
        IMAGE, "y, m, v = BatchNormalization<training_mode=1>(x, c, c, c, c)", c=ones(2)
    ),
    "LayerNormalization's mean": graph(X, "y, m, v = LayerNormalization(x, c, c)", c=ones(4)),
    "LayerNormalization over two sides": graph(X, "y = LayerNormalization<axis=0>(x, c)", c=ones(4, 4)),
    "DepthToSpace in PyTorch's order": graph("float[1,4,4,4] x", 'y = DepthToSpace<blocksize=2, mode="CRD">(x)'),
    "Gelu by tanh": graph(HALF, 'y = Gelu<approximate="tanh">(x)'),
    "Pad reflecting": graph(X, 'y = Pad<mode="reflect">(x, p)', p=ints(0, 0, 1, 1)),
    "TopK unsorted": graph(X, "y, i = TopK<sorted=0>(x, k)", k=ints(2)),
    "TopK of 3840": graph("float[1,5000] x", "y, i = TopK(x, k)", k=ints(3840)),
    "TopK of 3841": graph("float[1,5000] x", "y, i = TopK(x, k)", k=ints(3841)),
    "ReduceMean over nothing": graph(X, "y = ReduceMean<noop_with_empty_axes=1>(x)"),
    "ReduceMean over all": graph(X, "y = ReduceMean<keepdims=0>(x)"),
    "Slice backwards": graph(X, "y = Slice(x, a, b, c, a)", a=ints(-1), b=ints(-5), c=ints(0)),
    "Split in two parts": graph(X, "y, z = Split(x, s)", s=ints(1, 3)),
    "GatherND of batches": graph(X, "y = GatherND<batch_dims=1>(x, i)", i=np.zeros((4, 1), np.int64)),
    "Gemm transposed": graph(X, "y = Gemm<transA=1, alpha=0.5>(x, x, c)", c=ones(4)),
}

LINE, SCALAR = "float[4] x", "float x"
RANKS = {
    **{
        f"{op} of a line": graph(LINE, f"y = {op}(x)")
        for op in ("ArgMax", "ArgMin", "Flatten", "LogSoftmax", "Softmax")
    },
    **{f"{op} of a scalar": graph(SCALAR, f"y = {op}(x)") for op in ("Flatten", "ReduceSum", "Squeeze", "Transpose")},
    "Pad of a scalar": graph(SCALAR, "y = Pad(x, p)", p=ints()),
    "MatMul of lines": graph(LINE, "y = MatMul(x, x)"),
    "TopK of a line": graph(LINE, "y, i = TopK(x, k)", k=ints(2)),
    "eight sides": graph(X, "y = Reshape(x, s)", s=ints(1, 1, 1, 1, 1, 1, 4, 4)),
    "nine sides": graph(X, "y = Reshape(x, s)", s=ints(1, 1, 1, 1, 1, 1, 1, 4, 4)),
    "nine sides as input": graph("float[1,1,1,1,1,1,1,4,4] x", "y = Relu(x)"),
}

PROMPTS = "float[prompts,4] x"
INDICES = "i = ArgMax<keepdims=0>(x) j = Slice(i, a, b)"
SIZES = {
    "prompts": graph(PROMPTS, "y = Relu(x)"),
    "another free side": graph("float[prompts,width] x", "y = Relu(x)"),
    "prompts of two inputs": graph(f"{PROMPTS}, float[prompts,4] b", "y = Add(x, b)"),
    "attention in FLOAT16": graph(
        "float16[prompts,2,4,4] x", "t = Transpose<perm=[0,1,3,2]>(x) a = MatMul(x, t) p = Softmax(a) y = MatMul(p, x)"
    ),
    "Reshape of prompts": graph("float[prompts,4] x", "y = Reshape(x, s)", s=ints(-1, 2, 2)),
    "Expand to prompts": graph(f"float[1,4] b, {PROMPTS}", "s = Shape(x) y = Expand(b, s)"),
    "Range to prompts": graph(
        PROMPTS, "s = Shape<end=1>(x) b = Squeeze(s) y = Range(a, b, d)", a=np.int64(0), d=np.int64(1)
    ),
    "Slice to prompts": graph(PROMPTS, "s = Shape<end=1>(x) y = Slice(x, a, s, a)", a=ints(0)),
    "Squeeze of prompts": graph("float[prompts,1,4] x", "y = Squeeze(x)"),
    "a shape by way of FLOAT": graph(
        PROMPTS, "s = Shape(x) f = Cast<to=1>(s) g = Mul(f, c) i = Cast<to=7>(g) y = Reshape(x, i)", c=ones(2)
    ),
    **{
        f"{op} by an input": graph(f"{X}, int64[{n}] b", f"y = {op}(x, b)")
        for op, n in {"Expand": 2, "Pad": 4, "ReduceMean": 1, "Reshape": 2, "Tile": 2}.items()
    },
    "Squeeze by an input": graph("float[1,4] x, int64[1] b", "y = Squeeze(x, b)"),
    "Unsqueeze by an input": graph(f"{X}, int64[1] b", "y = Unsqueeze(x, b)"),
    "Split by an input": graph(f"{X}, int64[2] b", "y, z = Split(x, b)"),
    "TopK by an input": graph(f"{X}, int64[1] k", "y, i = TopK(x, k)"),
    "Slice along an input": graph(f"{X}, int64[1] b", "y = Slice(x, a, c, b)", a=ints(0), c=ints(2)),
    "Slice from an input": graph(f"{X}, int64[1] b", "y = Slice(x, b, c, a)", a=ints(0), c=ints(2)),
    "ConstantOfShape by an input": graph("int64[2] x", "y = ConstantOfShape(x)"),
    "Range to data": graph(SCALAR, "i = Cast<to=7>(x) y = Range(a, i, b)", a=np.int64(0), b=np.int64(1)),
    "Expand by data": graph(X, "i = ArgMax<keepdims=0>(x) y = Expand(x, i)"),
    "Tile by data": graph(X, f"{INDICES} y = Tile(x, j)", a=ints(0), b=ints(2)),
    "Slice to data": graph(X, f"{INDICES} y = Slice(x, a, j, a)", a=ints(0), b=ints(1)),
    "Resize by data": graph(f"{IMAGE}, float[4,4] b", "i = ArgMax<keepdims=0>(b) y = Resize(x, , , i)"),
    "Conv of computed weights": graph(f"{IMAGE}, float[2,2,1,1] w", "y = Conv(x, w)"),
    "Conv of a computed bias": graph(f"{IMAGE}, float[2] b", "y = Conv(x, w, b)", w=KERNEL),
    "Conv of weights that are cast": graph(IMAGE, "v = Cast<to=1>(w) y = Conv(x, v)", w=KERNEL.astype(np.float16)),
    "ConvTranspose of computed weights": graph(f"{IMAGE}, float[2,2,1,1] w", "y = ConvTranspose(x, w)"),
    "ConvTranspose of dequantized weights": graph(
        IMAGE, "d = DequantizeLinear(w, s) y = ConvTranspose(x, d)", w=KERNEL.astype(np.int8), s=S
    ),
    "InstanceNormalization of computed scales": graph(f"{IMAGE}, float[2] c", "y = InstanceNormalization(x, c, c)"),
    "LayerNormalization of computed scales": graph(f"{X}, float[4] c", "y = LayerNormalization(x, c, c)"),
}

CONSTANTS = {
    "infinity in FLOAT": graph(X, "y = Add(x, c)", c=np.float32("-inf")),
    "infinity in FLOAT16": graph(HALF, "y = Add(x, c)", c=np.float16("-inf")),
    "a constant too large for FLOAT16": graph(HALF, "t = Cast<to=10>(c) y = Add(x, t)", c=np.float32(1e6)),
    "an empty constant": graph(X, "y = Concat<axis=0>(x, c)", c=np.zeros((0, 4), np.float32)),
}

UNTAKEN = {
    "Attention": graph(IMAGE, "y = Attention(x, x, x)", opset=23),
    "RMSNormalization": graph(X, "y = RMSNormalization(x, c)", opset=23, c=ones(4)),
    "opset 21": graph(X, "y = Relu(x)", opset=21),
    "Einsum": graph(X, 'y = Einsum<equation="ij->i">(x)'),
    "ScatterND": graph(X, "y = ScatterND(x, i, x)", i=np.zeros((4, 1), np.int64)),
    **{op: graph(X, f"y = {op}(x)") for op in ("IsNaN", "NonZero", "Trilu", "Unique")},
    "CumSum": graph(X, "y = CumSum(x, a)", a=np.int64(0)),
    "BitwiseAnd": graph("int32[4,4] x", "y = BitwiseAnd(x, x)"),
    "DynamicQuantizeLinear": graph(X, "y, s, z = DynamicQuantizeLinear(x)"),
    "MatMulInteger": graph(INTEGERS, "y = MatMulInteger(x, x)"),
}

PARTS = (
    {f"{op} {kind.upper()}": in_kind(made, kind) for op, made in OPERATORS.items() for kind in KINDS},
    UINT8_AND_INT8,
    OTHER_TYPES,
    MIXED,
    QUANTIZED,
    RESIZED,
    ATTRIBUTES,
    RANKS,
    SIZES,
    CONSTANTS,
    UNTAKEN,
)
GRAPHS: dict[str, Graph] = {name: made for part in PARTS for name, made in part.items()}
