"""The models that engines are timed on, trained here: the same on every machine but for rounding."""

import numpy as np
from skl2onnx import to_onnx
from sklearn.datasets import load_digits, make_friedman1
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier

ROWS = 1000


def forest():
    """100 trees of depth 10 on the digits."""
    x, y = load_digits(return_X_y=True)
    x = x.astype(np.float32)
    model = RandomForestClassifier(100, max_depth=10, random_state=0).fit(x, y)
    return to_onnx(model, x[:1], options={"zipmap": False}), x[:ROWS]


def booster():
    """500 trees of depth 6, one target."""
    x, y = make_friedman1(3000, n_features=20, noise=0.5, random_state=0)
    x = x.astype(np.float32)
    model = GradientBoostingRegressor(n_estimators=500, max_depth=6, random_state=0, subsample=0.5).fit(x, y)
    return to_onnx(model, x[:1]), x[:ROWS]


MODELS = {"forest 100 x 10": forest, "booster 500 x 6": booster}


def write(folder):
    """Trains what is not in `folder` yet: for each model its file and its rows."""
    made = {}
    for name, make in MODELS.items():
        stem = folder / name.replace(" ", "-")
        model, rows = stem.with_suffix(".onnx"), stem.with_suffix(".bin")
        if not (model.is_file() and rows.is_file()):
            print(f"training {name}", flush=True)
            proto, values = make()
            values.tofile(rows)
            model.write_bytes(proto.SerializeToString())
        made[name] = (model, rows)
    return made
