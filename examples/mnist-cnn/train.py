#!/usr/bin/env python3
"""Train a small convolutional digit classifier and write the model this example serves."""

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
REQUIRED_ACCURACY = 0.95


def train(images: np.ndarray, labels: np.ndarray, epochs: int) -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Conv2D(16, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(images[..., np.newaxis], labels, batch_size=64, epochs=epochs, verbose=2)
    return model


def export(model: keras.Model, path: Path) -> None:
    """Keras keeps channels last; ONNX wants them first, in the kernels and where the features are flattened."""
    k1, b1, k2, b2, dense, bias = model.get_weights()
    nodes = [
        helper.make_node("Conv", ["image", "k1", "b1"], ["features_1"], kernel_shape=[3, 3]),
        helper.make_node("Relu", ["features_1"], ["active_1"]),
        helper.make_node("MaxPool", ["active_1"], ["pooled_1"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["pooled_1", "k2", "b2"], ["features_2"], kernel_shape=[3, 3]),
        helper.make_node("Relu", ["features_2"], ["active_2"]),
        helper.make_node("MaxPool", ["active_2"], ["pooled_2"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["pooled_2"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "dense"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    constants = artefact.weights(
        k1=k1.transpose(3, 2, 0, 1),
        b1=b1,
        k2=k2.transpose(3, 2, 0, 1),
        b2=b2,
        dense=dense.reshape(5, 5, 32, 10).transpose(2, 0, 1, 3).reshape(800, 10),
        bias=bias,
    )
    artefact.save(path, "mnist-cnn", nodes, constants, {"image": [1, 28, 28]}, {"probabilities": [10]})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=15, help="passes over the 8 000 digits (default 15)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the training, not of the split (default 0)")
    parser.add_argument("--output", type=Path, default=HERE, help="folder to write to (default: this example)")
    arguments = parser.parse_args()

    keras.utils.set_random_seed(arguments.seed)
    tf.config.experimental.enable_op_determinism()

    train_images, train_labels, images, labels = digits.split()
    model = train(train_images, train_labels, arguments.epochs)

    images = images[:, np.newaxis]
    onnx_file = arguments.output / "model" / "model.onnx"
    export(model, onnx_file)
    accuracy = artefact.accuracy(onnx_file, "image", images, labels)
    print(f"accuracy on {len(labels)} held-out digits: {accuracy:.4f}")
    if accuracy < REQUIRED_ACCURACY:
        sys.exit(f"error: that is below {REQUIRED_ACCURACY}; no sample was written")
    artefact.write_sample(onnx_file, "image", images[labels == 7][0])
    print(f"wrote {onnx_file} and its sample.json")


if __name__ == "__main__":
    main()
