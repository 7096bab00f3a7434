#!/usr/bin/env python3
"""Writes reference.json: what ONNX Runtime answers to made-up rows, for engine.rs to compare with.

Needs onnxruntime and numpy. Element k of every input is (k * 7919 mod 1009) / 1009, so that the test can make the same
numbers; the file holds the outputs only.
"""

import json
from pathlib import Path

import numpy as np
import onnxruntime

ROOT = Path(__file__).resolve().parents[3]
MODELS = [
    ("tests/models/add.onnx", 3),
    ("tests/models/two_outputs.onnx", 3),
    ("tests/models/conv.onnx", 3),
    ("tests/models/external/model.onnx", 3),
    ("tests/models/scalar.onnx", 3),
    ("tests/models/slow.onnx", 1),
    ("examples/mnist/model/model.onnx", 3),
    ("examples/mnist-cnn/model/model.onnx", 3),
    ("examples/lstm/model/model.onnx", 3),
]


def made_up(shape: list, rows: int) -> np.ndarray:
    shape = [size if isinstance(size, int) else rows for size in shape]
    count = int(np.prod(shape))
    return (np.arange(count) * 7919 % 1009 / 1009).astype(np.float32).reshape(shape)


def case(name: str, rows: int) -> dict:
    engine = onnxruntime.InferenceSession(ROOT / name, providers=["CPUExecutionProvider"])
    inputs = {one.name: made_up(one.shape, rows) for one in engine.get_inputs()}
    answers = zip(engine.get_outputs(), engine.run(None, inputs), strict=True)
    outputs = [
        {"name": one.name, "shape": list(answer.shape), "data": [float(f"{value:.7g}") for value in answer.ravel()]}
        for one, answer in answers
    ]
    return {"model": name, "rows": rows, "outputs": outputs}


def main() -> None:
    cases = ",\n".join(json.dumps(case(*one)) for one in MODELS)
    text = f'{{"onnxruntime": "{onnxruntime.__version__}", "cases": [\n{cases}\n]}}\n'
    Path(__file__).with_suffix(".json").write_text(text)


if __name__ == "__main__":
    main()
