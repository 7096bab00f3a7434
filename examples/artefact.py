"""From trained weights to the files that Modelyard serves: model.onnx and its sample.json.

The examples write their ONNX graphs by hand, from the weights that Keras learned. It takes a few
lines, and it gives exact control over what a client sees: the names and shapes of the tensors.
"""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

OPSET = 13
IR_VERSION = 7


def weights(**arrays: np.ndarray) -> list[onnx.TensorProto]:
    """Named arrays as the constants of a graph; floats are stored in single precision."""
    kept = {name: a.astype(np.float32) if a.dtype.kind == "f" else a for name, a in arrays.items()}
    return [numpy_helper.from_array(np.ascontiguousarray(a), name) for name, a in kept.items()]


def save(path: Path, name: str, nodes: list, constants: list, inputs: dict, outputs: dict) -> None:
    """Check the graph and write it. `inputs` and `outputs` map a name to the shape of one row."""

    def rows(shapes: dict) -> list:
        return [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", *s]) for n, s in shapes.items()]

    graph = helper.make_graph(nodes, name, rows(inputs), rows(outputs), constants)
    model = helper.make_model(
        graph,
        producer_name="modelyard-examples",
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    onnx.checker.check_model(model, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString(deterministic=True))


def session(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def accuracy(path: Path, name: str, rows: np.ndarray, labels: np.ndarray) -> float:
    """The share of rows whose largest output is the label, measured on the ONNX file itself."""
    (scores,) = session(path).run(None, {name: rows})
    return float((scores.argmax(axis=1) == labels).mean())


def numbers(array: np.ndarray) -> list:
    """Flat JSON numbers, each the shortest text that reads back as the same float32."""
    shortest = (float(str(value)) for value in array.astype(np.float32).ravel())
    return [int(value) if value == int(value) else value for value in shortest]


def write_sample(path: Path, name: str, row: np.ndarray) -> None:
    """Write the self-check that the server runs when it loads the model.

    It holds one request and the answer ONNX Runtime gives to exactly those numbers, both in the
    JSON of the Open Inference Protocol. The input is rounded to four decimals to keep it short.
    """
    row = row.round(4).astype(np.float32)[np.newaxis]
    engine = session(path)
    outputs = dict(zip([o.name for o in engine.get_outputs()], engine.run(None, {name: row}), strict=True))
    sample = {
        "request": {"inputs": [tensor(name, row)]},
        "response": {"outputs": [tensor(*named) for named in outputs.items()]},
        "tolerance": 1e-4,
    }
    (path.parent / "sample.json").write_text(json.dumps(sample, separators=(",", ":")) + "\n")


def tensor(name: str, array: np.ndarray) -> dict:
    return {"name": name, "shape": list(array.shape), "datatype": "FP32", "data": numbers(array)}
