"""Where the server is, and the data that the tests send."""

import os
import pathlib
import sys

import numpy as np
import pytest

sys.path.insert(0, os.environ["MODELYARD_STUBS"])


@pytest.fixture(scope="session")
def address() -> str:
    """host:port of every protocol."""
    return os.environ["MODELYARD_ADDRESS"]


@pytest.fixture(scope="session")
def admin() -> str:
    """host:port of health and metrics."""
    return os.environ["MODELYARD_ADMIN"]


@pytest.fixture(scope="session")
def root() -> pathlib.Path:
    """The repository."""
    return pathlib.Path(os.environ["MODELYARD_ROOT"])


@pytest.fixture(scope="session")
def digits(root):
    """Held-out digits: images (20 x 784, FP32, as the model takes them) and labels."""
    heldout = np.load(root / "examples/mnist/heldout.npz")
    return heldout["pixels"][:20].astype(np.float32), heldout["labels"][:20]
