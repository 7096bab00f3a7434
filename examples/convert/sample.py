"""sample.json: a request and its right answer, which the server asks the model each time it loads it."""

import json
from pathlib import Path

import numpy as np

DATATYPES = {"float32": "FP32", "float64": "FP64", "int32": "INT32", "int64": "INT64", "object": "BYTES"}


def write(folder: Path, inputs: dict, outputs: dict, tolerance: float = 1e-4) -> None:
    """Writes it. Both map a tensor's name, as `modelyard inspect` shows it, to its values."""
    sample = {
        "request": {"inputs": [tensor(*named) for named in inputs.items()]},
        "response": {"outputs": [tensor(*named) for named in outputs.items()]},
        "tolerance": tolerance,
    }
    (folder / "sample.json").write_text(json.dumps(sample) + "\n")


def tensor(name: str, values: np.ndarray) -> dict:
    values = np.asarray(values)
    return {"name": name, "shape": list(values.shape), "datatype": DATATYPES[str(values.dtype)], "data": values.ravel().tolist()}
