#!/usr/bin/env python3
"""A scikit-learn pipeline to ONNX, by skl2onnx: from_sklearn.py FOLDER"""

import sys
from pathlib import Path

import data
import sample
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
rows, classes = data.rows()
pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, classes)

# zipmap=False: probabilities as one tensor, not as a list of dictionaries, which no protocol has.
model = to_onnx(
    pipeline,
    initial_types=[("input", FloatTensorType([None, 4]))],
    options={id(pipeline): {"zipmap": False}},
    target_opset={"": 17, "ai.onnx.ml": 3},
)
(folder / "model.onnx").write_bytes(model.SerializeToString())
sample.write(folder, {"input": rows[:3]}, {"probabilities": pipeline.predict_proba(rows[:3]).astype("float32")})
