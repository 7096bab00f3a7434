#!/usr/bin/env python3
"""Write the small ONNX models that the server's tests load, and check them.

A well-formed model is run with ONNX Runtime and its answer is compared with one computed here in
NumPy. Hostile and broken files are never run: some would crash, hang or exhaust an engine.
"""

import argparse
import sys
from dataclasses import dataclass, field
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

HERE = Path(__file__).parent
OPSET, IR_VERSION = 13, 7
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
BATCH = "batch"


@dataclass
class Model:
    """A file to write. What has `expected` answers is run; a hostile or broken file has none."""

    name: str
    content: bytes
    why: str
    inputs: dict[str, np.ndarray] = field(default_factory=dict)
    expected: dict[str, np.ndarray] = field(default_factory=dict)
    beside: dict[str, bytes] = field(default_factory=dict)


@dataclass
class Port:
    """An input or output of a graph."""

    name: str
    shape: list
    dtype: int = FLOAT

    def proto(self) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(self.name, self.dtype, self.shape)


def model(
    nodes: list, inputs: list[Port], outputs: list[Port], constants: dict | None = None, opsets: dict | None = None
) -> onnx.ModelProto:
    constants = {
        name: value if isinstance(value, TensorProto) else numpy_helper.from_array(value, name)
        for name, value in (constants or {}).items()
    }
    graph = helper.make_graph(
        nodes, "test", [p.proto() for p in inputs], [p.proto() for p in outputs], list(constants.values())
    )
    opset_imports = [helper.make_opsetid(*opset) for opset in {"": OPSET, **(opsets or {})}.items()]
    return helper.make_model(graph, producer_name="modelyard-tests", ir_version=IR_VERSION, opset_imports=opset_imports)


def encode(proto: onnx.ModelProto) -> bytes:
    return proto.SerializeToString(deterministic=True)


def checked(proto: onnx.ModelProto) -> bytes:
    onnx.checker.check_model(proto, full_check=True)
    return encode(proto)


def floats(*shape: int) -> np.ndarray:
    """The same small numbers on every machine: multiples of 1/8 in -1..1, exact in every float type."""
    return ((np.arange(np.prod(shape)) * 7 % 17 - 8) / 8).astype(np.float32).reshape(shape)


# Good models


IDENTITIES = {
    "bool": (TensorProto.BOOL, np.array([[True, False, True], [False, False, True]])),
    "uint8": (TensorProto.UINT8, np.array([[0, 1, 2], [3, 4, 2**8 - 1]], np.uint8)),
    "uint16": (TensorProto.UINT16, np.array([[0, 1, 2], [3, 4, 2**16 - 1]], np.uint16)),
    "uint32": (TensorProto.UINT32, np.array([[0, 1, 2], [3, 4, 2**32 - 1]], np.uint32)),
    "uint64": (TensorProto.UINT64, np.array([[0, 1, 2], [3, 4, 2**64 - 1]], np.uint64)),
    "int8": (TensorProto.INT8, np.array([[-(2**7), -1, 0], [1, 2, 2**7 - 1]], np.int8)),
    "int16": (TensorProto.INT16, np.array([[-(2**15), -1, 0], [1, 2, 2**15 - 1]], np.int16)),
    "int32": (TensorProto.INT32, np.array([[-(2**31), -1, 0], [1, 2, 2**31 - 1]], np.int32)),
    "int64": (TensorProto.INT64, np.array([[-(2**63), -1, 0], [1, 2, 2**63 - 1]], np.int64)),
    "fp16": (TensorProto.FLOAT16, floats(2, 3).astype(np.float16)),
    "bf16": (TensorProto.BFLOAT16, floats(2, 3).astype(ml_dtypes.bfloat16)),
    "fp32": (TensorProto.FLOAT, floats(2, 3)),
    "fp64": (TensorProto.DOUBLE, floats(2, 3).astype(np.float64) / 3),
    "string": (TensorProto.STRING, np.array([["", "a", "zwölf"], ["a b", "\n", "1"]], dtype=object)),
}


def identity(name: str) -> Model:
    dtype, rows = IDENTITIES[name]
    shape = [BATCH, "width"]
    proto = model([helper.make_node("Identity", ["x"], ["y"])], [Port("x", shape, dtype)], [Port("y", shape, dtype)])
    why = "tract has no BF16" if name == "bf16" else "answers what it is given"
    return Model(f"identity_{name}.onnx", checked(proto), why, {"x": rows}, {"y": rows})


def add() -> Model:
    a, b = floats(3, 4), floats(4, 4)[1:]
    ports = [Port("a", [BATCH, 4]), Port("b", [BATCH, 4])]
    proto = model([helper.make_node("Add", ["a", "b"], ["sum"])], ports, [Port("sum", [BATCH, 4])])
    return Model("add.onnx", checked(proto), "two inputs", {"a": a, "b": b}, {"sum": a + b})


def two_outputs() -> Model:
    x = floats(3, 4)
    nodes = [
        helper.make_node("Add", ["x", "x"], ["double"]),
        helper.make_node("ReduceSum", ["x", "axes"], ["row_sum"], keepdims=0),
    ]
    outputs = [Port("double", [BATCH, 4]), Port("row_sum", [BATCH])]
    proto = model(nodes, [Port("x", [BATCH, 4])], outputs, {"axes": np.array([1])})
    return Model(
        "two_outputs.onnx",
        checked(proto),
        "outputs of different ranks",
        {"x": x},
        {"double": x + x, "row_sum": x.sum(1)},
    )


def gather() -> Model:
    table, index = floats(10, 3), np.array([0, 9, 4])
    proto = model(
        [helper.make_node("Gather", ["table", "index"], ["row"])],
        [Port("index", [BATCH], INT64)],
        [Port("row", [BATCH, 3])],
        {"table": table},
    )
    return Model(
        "gather.onnx", checked(proto), "an index above 9 makes tract panic", {"index": index}, {"row": table[index]}
    )


def divide() -> Model:
    a, b = np.array([7, 9, -8]), np.array([2, 3, 4])
    proto = model(
        [helper.make_node("Div", ["a", "b"], ["quotient"])],
        [Port("a", [BATCH], INT64), Port("b", [BATCH], INT64)],
        [Port("quotient", [BATCH], INT64)],
    )
    return Model("div.onnx", checked(proto), "a divisor of 0 makes tract panic", {"a": a, "b": b}, {"quotient": a // b})


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def slow() -> Model:
    """Each row becomes a 256 x 256 matrix of probabilities, which is multiplied by itself 100 times."""
    steps, width = 100, 256
    nodes = [
        helper.make_node("Unsqueeze", ["x", "last"], ["column"]),
        helper.make_node("Unsqueeze", ["x", "middle"], ["line"]),
        helper.make_node("Mul", ["column", "line"], ["products"]),
        helper.make_node("Softmax", ["products"], ["step_0"], axis=2),
        *(helper.make_node("MatMul", [f"step_{k}", "step_0"], [f"step_{k + 1}"]) for k in range(steps)),
        helper.make_node("ReduceMean", [f"step_{steps}"], ["y"], axes=[1], keepdims=0),
    ]
    proto = model(
        nodes,
        [Port("x", [BATCH, width])],
        [Port("y", [BATCH, width])],
        {"last": np.array([2]), "middle": np.array([1])},
    )
    x = floats(2, width)
    matrix = softmax(x[:, :, None] * x[:, None, :])
    y = np.linalg.matrix_power(matrix.astype(np.float64), steps + 1).mean(1).astype(np.float32)
    return Model("slow.onnx", checked(proto), "tens of milliseconds a row, in many short steps", {"x": x}, {"y": y})


def scalar() -> Model:
    x = floats(3, 4)
    proto = model(
        [helper.make_node("ReduceMean", ["x"], ["mean"], keepdims=0)], [Port("x", [BATCH, 4])], [Port("mean", [])]
    )
    return Model("scalar.onnx", checked(proto), "an output of rank 0", {"x": x}, {"mean": x.mean()})


def no_batch() -> Model:
    x = floats(3)
    proto = model([helper.make_node("Add", ["x", "x"], ["double"])], [Port("x", [3])], [Port("double", [3])])
    return Model("no_batch.onnx", checked(proto), "no dimension may vary: never batched", {"x": x}, {"double": x + x})


def conv() -> Model:
    x, kernel, dense = floats(2, 1, 8, 8), floats(2, 1, 3, 3), floats(18, 3)
    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["features"], kernel_shape=[3, 3]),
        helper.make_node("Relu", ["features"], ["active"]),
        helper.make_node("MaxPool", ["active"], ["pooled"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["pooled"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "dense"], ["scores"]),
    ]
    proto = model(
        nodes, [Port("image", [BATCH, 1, 8, 8])], [Port("scores", [BATCH, 3])], {"kernel": kernel, "dense": dense}
    )
    windows = np.lib.stride_tricks.sliding_window_view(x[:, 0], (3, 3), axis=(1, 2))
    active = np.maximum(np.einsum("nhwij,cij->nchw", windows, kernel[:, 0]), 0)
    pooled = active.reshape(2, 2, 3, 2, 3, 2).max((3, 5))
    return Model(
        "conv.onnx", checked(proto), "a convolutional network", {"image": x}, {"scores": pooled.reshape(2, 18) @ dense}
    )


def external() -> Model:
    """Its weights are in a file beside it, after 64 bytes that belong to nobody."""
    weights, x = floats(4, 4), floats(3, 4)
    proto = outside_weights("weights.bin", offset=64, length=weights.nbytes)
    beside = {"external/weights.bin": bytes(64) + weights.tobytes()}
    return Model(
        "external/model.onnx", encode(proto), "weights in a file beside it", {"x": x}, {"y": x @ weights}, beside
    )


def outside_weights(location: str, **where: int) -> onnx.ModelProto:
    tensor = TensorProto(name="weights", data_type=FLOAT, dims=[4, 4], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, **where}.items():
        tensor.external_data.add(key=key, value=str(value))
    return model(
        [helper.make_node("MatMul", ["x", "weights"], ["y"])],
        [Port("x", [BATCH, 4])],
        [Port("y", [BATCH, 4])],
        {"weights": tensor},
    )


TREE_ROWS = np.array([[-1, 1], [1, -1], [1, 1]], np.float32)


def tree(name: str, why: str, **changes: list) -> Model:
    """Two features, three classes, one tree: x0 <= 0 is class 0, else x1 <= 0 is class 1, else class 2."""
    attributes = {
        "nodes_treeids": [0, 0, 0, 0, 0],
        "nodes_nodeids": [0, 1, 2, 3, 4],
        "nodes_featureids": [0, 0, 1, 0, 0],
        "nodes_modes": ["BRANCH_LEQ", "LEAF", "BRANCH_LEQ", "LEAF", "LEAF"],
        "nodes_values": [0.0, 0.0, 0.0, 0.0, 0.0],
        "nodes_truenodeids": [1, 0, 3, 0, 0],
        "nodes_falsenodeids": [2, 0, 4, 0, 0],
        "class_treeids": [0, 0, 0],
        "class_nodeids": [1, 3, 4],
        "class_ids": [0, 1, 2],
        "class_weights": [1.0, 1.0, 1.0],
        "classlabels_int64s": [0, 1, 2],
        "post_transform": "NONE",
        **changes,
    }
    node = helper.make_node("TreeEnsembleClassifier", ["x"], ["label", "scores"], domain="ai.onnx.ml", **attributes)
    outputs = [Port("label", [BATCH], INT64), Port("scores", [BATCH, 3])]
    proto = model([node], [Port("x", [BATCH, 2])], outputs, opsets={"ai.onnx.ml": 3})
    if changes:
        return Model(name, checked(proto), why)
    return Model(
        name, checked(proto), why, {"x": TREE_ROWS}, {"label": np.arange(3), "scores": np.eye(3, dtype=np.float32)}
    )


def lstm_reverse() -> Model:
    node = helper.make_node("LSTM", ["x", "w", "r"], ["steps"], direction="reverse", hidden_size=2)
    constants = {"w": floats(1, 8, 3), "r": floats(1, 8, 2)}
    proto = model([node], [Port("x", [5, BATCH, 3])], [Port("steps", [5, 1, BATCH, 2])], constants)
    x = floats(5, 2, 3)
    steps, h, c = np.zeros((5, 1, 2, 2), np.float32), np.zeros((2, 2)), np.zeros((2, 2))
    sigmoid = lambda values: 1 / (1 + np.exp(-values))
    for at in reversed(range(5)):
        i, o, f, g = np.split(x[at] @ constants["w"][0].T + h @ constants["r"][0].T, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        steps[at, 0] = h
    return Model("lstm_reverse.onnx", checked(proto), "tract's answer to a reverse LSTM is wrong", {"x": x}, {"steps": steps})


def qdq_softmax() -> Model:
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["x_q"]),
        helper.make_node("DequantizeLinear", ["x_q", "scale", "zero"], ["x_f"]),
        helper.make_node("Softmax", ["x_f"], ["s"], axis=1),
        helper.make_node("QuantizeLinear", ["s", "share", "zero"], ["s_q"]),
        helper.make_node("DequantizeLinear", ["s_q", "share", "zero"], ["y"]),
    ]
    constants = {"scale": np.float32(0.125), "share": np.float32(1 / 256), "zero": np.uint8(0)}
    constants = {name: np.array(value) for name, value in constants.items()}
    proto = model(nodes, [Port("x", [BATCH, 4])], [Port("y", [BATCH, 4])], constants)
    x = floats(3, 4)
    powers = np.exp(np.clip(np.rint(x * 8), 0, 255) / 8)
    share = np.clip(np.rint(powers / powers.sum(1, keepdims=True) * 256), 0, 255) / 256
    why = "tract's answer to a quantised Softmax is wrong"
    return Model("qdq_softmax.onnx", checked(proto), why, {"x": x}, {"y": share.astype(np.float32)})


# Models a server must refuse, each with one reason


def unsupported_op() -> Model:
    node = helper.make_node("RoiAlign", ["x", "rois", "image"], ["y"], output_height=2, output_width=2)
    ports = [Port("x", [BATCH, 1, 8, 8]), Port("rois", ["regions", 4]), Port("image", ["regions"], INT64)]
    proto = model([node], ports, [Port("y", ["regions", 1, 2, 2])])
    return Model("unsupported_op.onnx", checked(proto), "tract has no RoiAlign")


def loop() -> Model:
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["go_on"]), helper.make_node("Add", ["v", "v"], ["v_next"])],
        "body",
        [Port("i", [], INT64).proto(), Port("go", [], TensorProto.BOOL).proto(), Port("v", [BATCH, 4]).proto()],
        [Port("go_on", [], TensorProto.BOOL).proto(), Port("v_next", [BATCH, 4]).proto()],
    )
    node = helper.make_node("Loop", ["times", "", "x"], ["y"], body=body)
    proto = model([node], [Port("x", [BATCH, 4])], [Port("y", [BATCH, 4])], {"times": np.array(3)})
    x = floats(3, 4)
    return Model("loop.onnx", checked(proto), "tract has no Loop", {"x": x}, {"y": x * 8})


def constant_huge() -> Model:
    nodes = [
        helper.make_node("ConstantOfShape", ["huge"], ["zeros"]),
        helper.make_node("ReduceSum", ["zeros"], ["sum"], keepdims=0),
        helper.make_node("Add", ["x", "sum"], ["y"]),
    ]
    proto = model(nodes, [Port("x", [BATCH, 4])], [Port("y", [BATCH, 4])], {"huge": np.array([10**13])})
    return Model("constant_huge.onnx", checked(proto), "asks for 40 terabytes of zeros")


def refused() -> list[Model]:
    whole = conv().content
    return [
        identity("bf16"),
        tree("tree_cycle.onnx", "a node is its own ancestor", nodes_truenodeids=[1, 0, 0, 0, 0]),
        tree("tree_class_ids.onnx", "a class far out of range", class_ids=[0, 1, 10**6]),
        unsupported_op(),
        loop(),
        constant_huge(),
        Model(
            "external_escape/model.onnx",
            encode(outside_weights("../../../etc/passwd")),
            "weights outside the model's folder",
        ),
        Model(
            "external_missing/model.onnx", encode(outside_weights("weights.bin")), "weights in a file that is not there"
        ),
        Model("truncated.onnx", whole[: len(whole) // 2], "the first half of conv.onnx"),
        Model("not_onnx.onnx", b"This is a text file, not an ONNX model.\n", "text"),
    ]


def good() -> list[Model]:
    others = [add(), two_outputs(), gather(), divide(), slow(), scalar(), no_batch(), conv(), external(), lstm_reverse(), qdq_softmax()]
    trees = [tree("tree_classifier.onnx", "one tree of three classes")]
    return [*(identity(name) for name in IDENTITIES if name != "bf16"), *others, *trees]


# Writing and checking


def run(path: Path, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The answer of ONNX Runtime, or of ONNX's own evaluator for the one type ONNX Runtime cannot hand to NumPy."""
    if any(array.dtype == ml_dtypes.bfloat16 for array in inputs.values()):
        engine = ReferenceEvaluator(str(path))
        names = engine.output_names
    else:
        engine = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        names = [output.name for output in engine.get_outputs()]
    return dict(zip(names, engine.run(None, inputs), strict=True))


def difference(answer: np.ndarray, expected: np.ndarray) -> str | None:
    """Why the two differ, or nothing."""
    if answer.shape != expected.shape or answer.dtype != expected.dtype:
        return f"is {answer.dtype}{list(answer.shape)}, not {expected.dtype}{list(expected.shape)}"
    if expected.dtype.kind in "fV":
        gap = float(np.abs(answer.astype(np.float64) - expected.astype(np.float64)).max())
        return None if gap <= 1e-5 else f"is off by {gap:g}"
    return None if np.array_equal(answer, expected) else f"is {answer.tolist()}, not {expected.tolist()}"


def verify(made: Model, folder: Path) -> str:
    """What ONNX Runtime makes of the file; ends the script if that is wrong."""
    if not made.expected:
        return "not run"
    answers = run(folder / made.name, made.inputs)
    for name, expected in made.expected.items():
        if reason := difference(answers[name], expected):
            sys.exit(f"error: {made.name}: output {name} {reason}")
    shapes = ", ".join(f"{name}{list(answer.shape)}" for name, answer in answers.items())
    return f"right: {shapes}"


def write(made: Model, folder: Path) -> None:
    for name, content in {made.name: made.content, **made.beside}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def stale(made: Model, folder: Path) -> list[str]:
    files = {made.name: made.content, **made.beside}
    return [
        name
        for name, content in files.items()
        if not (folder / name).is_file() or (folder / name).read_bytes() != content
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=HERE, help="folder to write to (default: this one)")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail if a file there is not what this script makes"
    )
    arguments = parser.parse_args()

    serves = good()
    models = [*serves, *refused()]
    if arguments.check:
        if changed := [name for made in models for name in stale(made, arguments.output)]:
            sys.exit(f"error: missing or different: {', '.join(changed)}; run make.py without --check")
    else:
        for made in models:
            write(made, arguments.output)
    print(f"{'file':28}{'bytes':>6}  {'tract':11}{'ONNX Runtime':36}about")
    for position, made in enumerate(models):
        tract = "to serve" if position < len(serves) else "to refuse"
        print(
            f"{made.name:28}{len(made.content):6}  {tract:11}{verify(made, arguments.output):36}{made.why}", flush=True
        )


if __name__ == "__main__":
    main()
