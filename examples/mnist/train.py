#!/usr/bin/env python3
"""Train the classic small digit classifier and write everything this example serves."""

import argparse
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parent.parent))

import keras
import numpy as np
import tensorflow as tf
from onnx import helper
from PIL import Image

import artefact
import digits

HERE = Path(__file__).parent
REQUIRED_ACCURACY = 0.92
PICTURES = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)


def train(pixels: np.ndarray, labels: np.ndarray, epochs: int) -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input((784,)),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(pixels, labels, batch_size=128, epochs=epochs, verbose=2)
    return model


def export(model: keras.Model, path: Path) -> None:
    w1, b1, w2, b2 = model.get_weights()
    nodes = [
        helper.make_node("MatMul", ["pixels", "w1"], ["hidden_product"]),
        helper.make_node("Add", ["hidden_product", "b1"], ["hidden_sum"]),
        helper.make_node("Relu", ["hidden_sum"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "w2"], ["logits_product"]),
        helper.make_node("Add", ["logits_product", "b2"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    constants = artefact.weights(w1=w1, b1=b1, w2=w2, b2=b2)
    artefact.save(path, "mnist", nodes, constants, {"pixels": [784]}, {"probabilities": [10]})


def write_pictures(folder: Path, pixels: np.ndarray, labels: np.ndarray) -> None:
    """The first held-out digit of each class, white on black, named <label>-<number>.png."""
    folder.mkdir(exist_ok=True)
    for label in PICTURES:
        row = pixels[labels == label][0]
        levels = np.rint(row * 255).astype(np.uint8).reshape(28, 28)
        Image.fromarray(levels).save(folder / f"{label}-0.png", optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=20, help="passes over the 8 000 digits (default 20)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the training, not of the split (default 0)")
    parser.add_argument("--output", type=Path, default=HERE, help="folder to write to (default: this example)")
    arguments = parser.parse_args()

    keras.utils.set_random_seed(arguments.seed)
    tf.config.experimental.enable_op_determinism()

    train_images, train_labels, images, labels = digits.split()
    pixels = images.reshape(-1, 784)
    model = train(train_images.reshape(-1, 784), train_labels, arguments.epochs)

    output, onnx_file = arguments.output, arguments.output / "model" / "model.onnx"
    export(model, onnx_file)
    accuracy = artefact.accuracy(onnx_file, "pixels", pixels, labels)
    print(f"accuracy on {len(labels)} held-out digits: {accuracy:.4f}")
    if accuracy < REQUIRED_ACCURACY:
        sys.exit(f"error: that is below {REQUIRED_ACCURACY}; nothing else was written")

    seven = pixels[labels == 7][0]
    artefact.write_sample(onnx_file, "pixels", seven)
    instances = [artefact.numbers(seven.round(4))]
    (output / "request.json").write_text(json.dumps({"instances": instances}, separators=(",", ":")) + "\n")
    np.savez_compressed(output / "heldout.npz", pixels=pixels, labels=labels)
    write_pictures(output / "digits", pixels, labels)
    print(f"wrote {onnx_file}, its sample.json, request.json, heldout.npz and digits/")


if __name__ == "__main__":
    main()
