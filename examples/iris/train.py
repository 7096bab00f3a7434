#!/usr/bin/env python3
"""Train a classifier of irises on standardised measures, and write the model that this example serves, and a request with its answer.

The model sees four standardised numbers. What standardises them is in iris.yaml, printed by modelyard fit-preprocess from train.csv, which
this script writes. Needs what requirements.txt lists."""

import json
from pathlib import Path

import numpy as np
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

HERE = Path(__file__).parent
COLUMNS = ["sepal_length", "sepal_width", "petal_length", "petal_width"]


def main() -> None:
    iris = load_iris()
    split = train_test_split(iris.data, iris.target, test_size=0.3, random_state=0, stratify=iris.target)
    rows, heldout, truths, expected = split
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, truths)
    print(f"held-out accuracy {pipeline.score(heldout, expected):.3f}")
    lines = [",".join([*COLUMNS, "species"])]
    lines += [",".join([*map(str, row), iris.target_names[truth]]) for row, truth in zip(rows.tolist(), truths)]
    (HERE / "train.csv").write_text("\n".join(lines) + "\n")

    classifier = pipeline[-1]
    model = to_onnx(
        classifier,
        initial_types=[("input", FloatTensorType([None, 4]))],
        options={id(classifier): {"zipmap": False}},
        target_opset={"": 17, "ai.onnx.ml": 3},
    )
    (HERE / "model").mkdir(exist_ok=True)
    (HERE / "model/model.onnx").write_bytes(model.SerializeToString())

    asked = heldout[:3].astype(np.float32)
    inputs = [
        {"name": name, "shape": [3], "datatype": "FP32", "data": [float(str(value)) for value in asked[:, at]]}
        for at, name in enumerate(COLUMNS)
    ]
    probabilities = pipeline.predict_proba(asked.astype(float))
    outputs = [
        {
            "name": "probabilities",
            "shape": [3, 3],
            "datatype": "FP32",
            "data": [round(value, 7) for value in probabilities.ravel().tolist()],
        },
        {
            "name": "species",
            "shape": [3],
            "datatype": "BYTES",
            "data": iris.target_names[probabilities.argmax(1)].tolist(),
        },
    ]
    sample = {"request": {"inputs": inputs}, "response": {"outputs": outputs}, "tolerance": 1e-4}
    (HERE / "sample.json").write_text(json.dumps(sample) + "\n")


if __name__ == "__main__":
    main()
