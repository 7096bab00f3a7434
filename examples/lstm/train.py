#!/usr/bin/env python3
"""Train a recurrent digit classifier, which reads a digit row by row, and write the model this example serves."""

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parent.parent))

import keras
import numpy as np
import tensorflow as tf
from onnx import helper

import artefact
import digits

HERE = Path(__file__).parent
REQUIRED_ACCURACY = 0.93
HIDDEN = 64


def train(rows: np.ndarray, labels: np.ndarray, epochs: int) -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input((28, 28)),
            keras.layers.LSTM(HIDDEN),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(rows, labels, batch_size=64, epochs=epochs, verbose=2)
    return model


def gates(weights: np.ndarray) -> np.ndarray:
    """The gates in ONNX's layout: input, output, forget, cell along the first axis.

    Keras has them as input, forget, cell, output along the last.
    """
    i, f, c, o = np.split(weights.T, 4)
    return np.concatenate([i, o, f, c])


def export(model: keras.Model, path: Path) -> None:
    kernel, recurrent, bias, dense, dense_bias = model.get_weights()
    nodes = [
        # ONNX's LSTM wants the steps first: [28 steps, batch, 28 pixels].
        helper.make_node("Transpose", ["rows"], ["steps"], perm=[1, 0, 2]),
        helper.make_node("LSTM", ["steps", "w", "r", "b"], ["", "last"], direction="forward", hidden_size=HIDDEN),
        helper.make_node("Squeeze", ["last", "direction"], ["state"]),
        helper.make_node("MatMul", ["state", "dense"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    constants = artefact.weights(
        w=gates(kernel)[np.newaxis],
        r=gates(recurrent)[np.newaxis],
        # ONNX has one bias for the input and one for the state; Keras has their sum.
        b=np.concatenate([gates(bias), np.zeros_like(bias)])[np.newaxis],
        direction=np.array([0]),
        dense=dense,
        bias=dense_bias,
    )
    artefact.save(path, "lstm", nodes, constants, {"rows": [28, 28]}, {"probabilities": [10]})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=25, help="passes over the 8 000 digits (default 25)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the training, not of the split (default 0)")
    parser.add_argument("--output", type=Path, default=HERE, help="folder to write to (default: this example)")
    arguments = parser.parse_args()

    keras.utils.set_random_seed(arguments.seed)
    tf.config.experimental.enable_op_determinism()

    train_images, train_labels, images, labels = digits.split()
    model = train(train_images, train_labels, arguments.epochs)

    onnx_file = arguments.output / "model" / "model.onnx"
    export(model, onnx_file)
    accuracy = artefact.accuracy(onnx_file, "rows", images, labels)
    keras_accuracy = model.evaluate(images, labels, verbose=0)[1]
    print(f"accuracy on {len(labels)} held-out digits: {accuracy:.4f} (Keras: {keras_accuracy:.4f})")
    if accuracy < REQUIRED_ACCURACY:
        sys.exit(f"error: that is below {REQUIRED_ACCURACY}; no sample was written")
    artefact.write_sample(onnx_file, "rows", images[labels == 7][0])
    print(f"wrote {onnx_file} and its sample.json")


if __name__ == "__main__":
    main()
