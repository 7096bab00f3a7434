"""The models that engines are timed on, made here: the same on every machine but for rounding."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from sklearn.datasets import load_digits, make_friedman1
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier

ROWS = 1000


def forest():
    """100 trees of depth 10 on the digits."""
    x, y = load_digits(return_X_y=True)
    x = x.astype(np.float32)
    model = RandomForestClassifier(100, max_depth=10, random_state=0).fit(x, y)
    return to_onnx(model, x[:1], options={"zipmap": False}), x[:ROWS]


def booster():
    """500 trees of depth 6, one target."""
    x, y = make_friedman1(3000, n_features=20, noise=0.5, random_state=0)
    x = x.astype(np.float32)
    model = GradientBoostingRegressor(n_estimators=500, max_depth=6, random_state=0, subsample=0.5).fit(x, y)
    return to_onnx(model, x[:1]), x[:ROWS]


def layers(*widths):
    """Fully connected layers with ReLU between them and a softmax at the end; what the weights are does not matter to the time."""
    dice = np.random.default_rng(0)
    nodes, weights, value = [], [], "x"
    for at, (depth, width) in enumerate(zip(widths, widths[1:])):
        scale = np.float32(depth**-0.5)
        weights.append(numpy_helper.from_array(dice.standard_normal((depth, width), np.float32) * scale, f"w{at}"))
        weights.append(numpy_helper.from_array(dice.standard_normal(width, np.float32), f"b{at}"))
        nodes.append(helper.make_node("Gemm", [value, f"w{at}", f"b{at}"], [f"sum{at}"]))
        value = f"value{at}" if at + 2 < len(widths) else "y"
        nodes.append(helper.make_node("Softmax" if value == "y" else "Relu", [f"sum{at}"], [value]))
    port = lambda name, width: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", width])
    graph = helper.make_graph(nodes, "layers", [port("x", widths[0])], [port("y", widths[-1])], weights)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return proto, dice.random((256, widths[0]), np.float32)


#: How many times faster than ONNX Runtime we want to be, by the rows of a request.
TREES = {1: 1.0, 32: 1.0, 1000: 1.5}
NETWORKS = {1: 1.0, 32: 1.0, 256: 1.0}

MODELS = {
    "forest 100 x 10": (forest, TREES),
    "booster 500 x 6": (booster, TREES),
    "layers 784-32-10": (lambda: layers(784, 32, 10), NETWORKS),
    "layers 20-64-64-3": (lambda: layers(20, 64, 64, 3), NETWORKS),
    "layers 100-256-256-100": (lambda: layers(100, 256, 256, 100), NETWORKS),
    "layers 784-512-256-10": (lambda: layers(784, 512, 256, 10), NETWORKS),
}


def write(folder):
    """Makes what is not in `folder` yet: for each model its file, its rows, and the goals."""
    made = {}
    for name, (make, goals) in MODELS.items():
        stem = folder / name.replace(" ", "-")
        model, rows = stem.with_suffix(".onnx"), stem.with_suffix(".bin")
        if not (model.is_file() and rows.is_file()):
            print(f"making {name}", flush=True)
            proto, values = make()
            values.tofile(rows)
            model.write_bytes(proto.SerializeToString())
        made[name] = ((model, rows), goals)
    return made
