"""Each model, optimised in each way, is a sound ONNX file, and ONNX Runtime computes the same from it, to what the way allows."""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

MODELYARD, ROOT = sys.argv[1], pathlib.Path(sys.argv[2])
# The largest difference from the original's answers, as a share of the largest of them.
WAYS = {"clean": ([], 1e-5), "f16": (["--weights", "f16"], 5e-3), "int8": (["--weights", "int8"], 6e-2)}
RANDOM = np.random.default_rng(0)


def graph(name, nodes, weights, shapes, opset=17):
    """A model of one input `x` and one output `y`."""
    value = lambda which, dims: helper.make_tensor_value_info(which, TensorProto.FLOAT, dims)
    tensors = [numpy_helper.from_array(array, key) for key, array in weights.items()]
    made = helper.make_graph(nodes, name, [value("x", shapes[0])], [value("y", shapes[1])], tensors)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def weight(*shape):
    return (RANDOM.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)


def normalised():
    """Convolutions with batch normalisations, one with a bias; dropout, identities, equal weights, constants, and nodes for nothing."""
    weights = {"w1": weight(16, 3, 3, 3), "w2": weight(16, 16, 3, 3), "b2": weight(16), "dead": weight(40, 40), "g": weight(10, 16)}
    for number in "12":
        weights |= {f"s{number}": RANDOM.uniform(0.5, 2, 16).astype(np.float32), f"h{number}": weight(16), f"m{number}": weight(16),
                    f"v{number}": RANDOM.uniform(0.1, 3, 16).astype(np.float32)}
    weights["g2"] = weights["g"].copy()
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "w1"], ["c1"], pads=[1] * 4),
        node("BatchNormalization", ["c1", "s1", "h1", "m1", "v1"], ["n1"], epsilon=1e-3),
        node("Identity", ["n1"], ["i1"]),
        node("Relu", ["i1"], ["r1"]),
        node("Dropout", ["r1"], ["d1"]),
        node("Conv", ["d1", "w2", "b2"], ["c2"], strides=[2, 2]),
        node("BatchNormalization", ["c2", "s2", "h2", "m2", "v2"], ["n2"]),
        node("GlobalAveragePool", ["n2"], ["p"]),
        node("Constant", [], ["shape"], value=numpy_helper.from_array(np.array([0, 16], np.int64))),
        node("Reshape", ["p", "shape"], ["f"]),
        node("Gemm", ["f", "g"], ["left"], transB=1),
        node("Gemm", ["f", "g2"], ["right"], transB=1),
        node("MatMul", ["dead", "dead"], ["nothing"]),
        node("Add", ["left", "right"], ["sum"]),
        node("Identity", ["sum"], ["y"]),
    ]
    return graph("normalised", nodes, weights, (["n", 3, 12, 12], ["n", 10]))


def branches():
    """Graphs within a node that use names from outside, one of them an identity's."""
    inner = lambda name, operator: helper.make_graph(
        [helper.make_node(operator, ["same", "w"], [name])], name, [], [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 20])])
    nodes = [
        helper.make_node("Identity", ["x"], ["same"]),
        helper.make_node("ReduceSum", ["x"], ["total"], keepdims=0),
        helper.make_node("Greater", ["total", "zero"], ["positive"]),
        helper.make_node("If", ["positive"], ["y"], then_branch=inner("one", "MatMul"), else_branch=inner("other", "MatMul")),
    ]
    return graph("branches", nodes, {"w": weight(20, 20), "zero": np.array(0, np.float32)}, (["n", 20], ["n", 20]))


def layers():
    """A product of three dimensions, as transformers have it."""
    weights = {"w": weight(32, 64), "b": weight(64), "v": weight(64, 32)}
    nodes = [helper.make_node("MatMul", ["x", "w"], ["a"]), helper.make_node("Add", ["a", "b"], ["c"]), helper.make_node("Tanh", ["c"], ["d"]),
             helper.make_node("MatMul", ["d", "v"], ["y"])]
    return graph("layers", nodes, weights, (["n", 7, 32], ["n", 7, 32]))


def answers(path, inputs):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {one.name: inputs[one.name] for one in session.get_inputs()})


def inputs_of(model):
    types = {TensorProto.FLOAT: np.float32}
    found = {}
    given = {one.name for one in model.graph.initializer}
    for one in model.graph.input:
        if one.name in given:
            continue
        tensor = one.type.tensor_type
        shape = [dim.dim_value or 3 for dim in tensor.shape.dim]
        found[one.name] = RANDOM.normal(size=shape).astype(types[tensor.elem_type])
    return found


def main():
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        models = {name: ROOT / "examples" / name / "model" / "model.onnx" for name in ("iris", "lstm", "mnist", "mnist-cnn")}
        for made in (normalised(), branches(), layers()):
            models[made.graph.name] = folder / f"{made.graph.name}.onnx"
            onnx.save(made, models[made.graph.name])
        print(f"{'model':<12} {'way':<6} {'nodes':>9} {'bytes':>17} {'difference':>11}")
        for name, path in models.items():
            before = onnx.load(path)
            inputs = inputs_of(before)
            wanted = answers(path, inputs)
            for way, (arguments, most) in WAYS.items():
                out = folder / f"{name}-{way}.onnx"
                ran = subprocess.run([MODELYARD, "optimize", path, "-o", out, "--report", "json", *arguments], capture_output=True, text=True)
                if ran.returncode:
                    # The one's weight is used within branches alone, where none is looked for; the other's is small.
                    fine = "has no weights that it applies to" in ran.stderr and name in ("branches", "iris")
                    failed += not fine
                    print(f"{name:<12} {way:<6} {'refused' if fine else 'FAILED'}: {ran.stderr.strip()}")
                    continue
                onnx.checker.check_model(out, full_check=True)
                steps = json.loads(ran.stdout)["steps"]
                found = answers(out, inputs)
                worst = max(float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-9)) for a, b in zip(wanted, found))
                well = worst <= most and [one.shape for one in wanted] == [one.shape for one in found]
                failed += not well
                print(f"{name:<12} {way:<6} {steps[0]['nodes']:>3} to {steps[-1]['nodes']:>2} {steps[0]['bytes']:>7} to {steps[-1]['bytes']:>6} {worst:>11.1e}"
                      f"{'' if well else '  FAILED'}")
        nodes = len(onnx.load(folder / "normalised-clean.onnx").graph.node)
        if nodes != 7:
            failed += 1
            print(f"FAILED: {nodes} nodes are left of 'normalised', expected 7")
    sys.exit(1 if failed else 0)


main()
