"""Tiny data with something to learn: four numbers, and which of three they belong to."""

import numpy as np


def rows() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    classes = np.arange(150) % 3
    return (random.normal(size=(150, 4)) + classes[:, np.newaxis]).astype(np.float32), classes
