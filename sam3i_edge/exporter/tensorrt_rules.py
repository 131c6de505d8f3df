"""What TensorRT 10 and 11 take of ONNX, as tables (``tensorrt_lint`` applies them).

By the operator list and the restrictions of TensorRT's ONNX parser (github.com/onnx/onnx-tensorrt, docs/operators.md),
and by what NVIDIA's own parser and builder say of small graphs (tests/data/tensorrt_verdicts.json).
"""

from __future__ import annotations

MAX_OPSET = 20
"""What the parser of TensorRT 10.0 reads; later ones read more."""
MAX_TOP_K = 3840
MAX_RANK = 8

FLOATS = frozenset({"FLOAT", "FLOAT16"})
NUMBERS = FLOATS | {"INT32", "INT64"}
TYPES = NUMBERS | {"BOOL"}
_BY_TYPES = {
    TYPES: """
        Cast Concat Constant ConstantOfShape Expand Flatten Gather GatherElements GatherND Identity Reshape Shape Slice
        Split Squeeze Tile Transpose Unsqueeze Where
    """,
    NUMBERS: """
        Abs Add ArgMax ArgMin Clip DepthToSpace Div Equal Greater GreaterOrEqual Less LessOrEqual Max Min Mul Neg Pad
        Range ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum Sign Sub TopK
    """,
    FLOATS: """
        AveragePool BatchNormalization Ceil Celu Conv ConvTranspose Cos Elu Erf Exp Floor Gelu Gemm GlobalAveragePool
        GlobalMaxPool HardSigmoid HardSwish InstanceNormalization LayerNormalization LeakyRelu Log LogSoftmax MatMul
        MaxPool Mean Mish PRelu Pow QuantizeLinear Reciprocal ReduceL2 Relu Resize Round Selu Sigmoid Sin Softmax
        Softplus Softsign Sqrt Sum Tanh
    """,
    frozenset({"BOOL"}): "And Not Or Xor",
    frozenset({"INT8"}): "DequantizeLinear",
}
OPERATORS = {name: types for types, names in _BY_TYPES.items() for name in names.split()}
"""Of those that the parser takes, the ones that need no plug-in and no control flow, and the types of their data. The
fused Attention is not among them: its FP16 kernels were found to be wrong on some GPUs."""

ONLY_INTO = {"UINT8": "Cast", "INT8": "DequantizeLinear"}
"""Types of which a tensor may go into nothing else."""
ONLY_FROM = {"UINT8": ("Cast",), "INT8": ("QuantizeLinear", "Constant")}
ONE_TYPE = frozenset({"BatchNormalization", "Pow"})
"""ONNX lets the types of their inputs differ; not every parser does."""

CONSTANT_INPUTS = {
    "TopK": (1,),
    "InstanceNormalization": (1, 2),
    "Slice": (3, 4),
    "Squeeze": (1,),
    "Unsqueeze": (1,),
    "Conv": (1, 2),
    "ConvTranspose": (1,),
    "QuantizeLinear": (1, 2),
    "DequantizeLinear": (1, 2),
} | {name: (1,) for name in OPERATORS if name.startswith("Reduce")}
"""Inputs, by position, that must be known when the engine is built; a convolution's weight may be dequantized there."""

SHAPE_INPUTS = {
    "ConstantOfShape": (0,),
    "Expand": (1,),
    "Pad": (1, 3),
    "Range": (0, 1, 2),
    "Reshape": (1,),
    "Resize": (2, 3),
    "Slice": (1, 2),
    "Split": (1,),
    "Tile": (1,),
}
"""Inputs that say how large a tensor gets: they may follow from the shapes of others, but not from their values."""

ATTRIBUTES: dict[str, dict[str, frozenset[int | str]]] = {
    "AveragePool": {"dilations": frozenset({1})},
    "BatchNormalization": {"training_mode": frozenset({0})},
    "MaxPool": {"dilations": frozenset({1})},
    "Resize": {
        "antialias": frozenset({0}),
        "coordinate_transformation_mode": frozenset(
            {"align_corners", "asymmetric", "half_pixel", "pytorch_half_pixel"}
        ),
        "keep_aspect_ratio_policy": frozenset({"stretch"}),
    },
    "TopK": {"sorted": frozenset({1})},
}
ONE_OUTPUT = frozenset({"LayerNormalization", "MaxPool"})
RANKS = {
    "AveragePool": (3, 5),
    "ArgMax": (2, 8),
    "ArgMin": (2, 8),
    "Conv": (3, 5),
    "ConvTranspose": (3, 5),
    "Flatten": (1, 8),
    "GlobalAveragePool": (3, 5),
    "GlobalMaxPool": (3, 5),
    "LogSoftmax": (2, 8),
    "MaxPool": (3, 5),
    "Pad": (1, 8),
    "Softmax": (2, 8),
} | {name: (1, 8) for name in OPERATORS if name.startswith("Reduce")}
"""How many sides the first input may have where ONNX allows fewer or more."""
LINEAR_SIDES = 3
"""The last sides of a tensor, which are all that a linear Resize may change."""
