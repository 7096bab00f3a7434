#!/usr/bin/env python3
"""A Keras model to ONNX, by its own export: from_keras.py FOLDER"""

import sys
from pathlib import Path

import data
import keras
import onnx
import sample

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
keras.utils.set_random_seed(0)
rows, classes = data.rows()
model = keras.Sequential(
    [
        keras.Input((4,), name="input"),
        keras.layers.Dense(16, activation="relu"),
        keras.layers.Dense(3, activation="softmax"),
    ]
)
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
model.fit(rows, classes, epochs=20, verbose=0)

model.export(folder / "model.onnx", format="onnx", verbose=False)
# TensorFlow names the output, such as Identity:0.
(output,) = onnx.load(folder / "model.onnx").graph.output
sample.write(folder, {"input": rows[:3]}, {output.name: model.predict(rows[:3], verbose=0)})
