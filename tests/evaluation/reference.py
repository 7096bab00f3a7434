#!/usr/bin/env python3
"""Writes reference.json: cases of truths and predictions with scikit-learn's figures, which tests/evaluation.rs compares to 1e-9.

    python3 -m venv .venv && .venv/bin/pip install -r requirements.txt && .venv/bin/python reference.py

The file is committed; run this again only to add a case or to follow a newer scikit-learn.
"""

import json
import math
import pathlib
import sys
import warnings

import numpy as np
import sklearn
from sklearn import metrics
from sklearn.calibration import calibration_curve

warnings.simplefilter("ignore")


def number(value):
    """A JSON number, or None where scikit-learn says NaN."""
    value = float(value)
    return None if math.isnan(value) else value


def attempt(figure):
    """A figure, or None where scikit-learn refuses."""
    try:
        return number(figure())
    except ValueError:
        return None


def averages(truth, predicted, labels):
    figures = {}
    for average in ("micro", "macro", "weighted"):
        p, r, f, _ = metrics.precision_recall_fscore_support(
            truth, predicted, labels=labels, average=average, zero_division=0
        )
        figures[average] = [number(p), number(r), number(f)]
    return figures


def classification(name, truth, table):
    table = np.asarray(table, dtype=np.float64)
    truth = np.asarray(truth)
    columns = table.shape[1]
    labels = list(range(columns))
    predicted = table.argmax(axis=1)
    p, r, f, s = metrics.precision_recall_fscore_support(truth, predicted, labels=labels, zero_division=0)
    seen = np.union1d(truth, predicted)
    figures = {
        "accuracy": metrics.accuracy_score(truth, predicted),
        "balanced_accuracy": metrics.balanced_accuracy_score(truth, predicted),
        "matthews": metrics.matthews_corrcoef(truth, predicted),
        "seen": averages(truth, predicted, None),
        "all": averages(truth, predicted, labels),
        "per_class": [[number(x) for x in row] for row in zip(p, r, f, s)],
        "confusion": metrics.confusion_matrix(truth, predicted, labels=labels).tolist(),
        "seen_labels": seen.tolist(),
        "log_loss": attempt(lambda: metrics.log_loss(truth, table, labels=labels)),
        "brier_last": number(np.mean((table[:, -1] - (truth == columns - 1)) ** 2)),
        "calibration_last": None,
    }
    positive = (truth == columns - 1).astype(int)
    figures["roc_auc_last"] = attempt(lambda: metrics.roc_auc_score(positive, table[:, -1]))
    figures["average_precision_last"] = attempt(lambda: metrics.average_precision_score(positive, table[:, -1]))
    if table.min() >= 0 and table.max() <= 1:
        observed, mean = calibration_curve(positive, table[:, -1], n_bins=10) if 0 < positive.sum() < len(positive) else ([], [])
        figures["calibration_last"] = [[number(a), number(b)] for a, b in zip(mean, observed)]
    if columns > 2:
        figures["top_2"] = number(metrics.top_k_accuracy_score(truth, table, k=2, labels=labels))
        for average in ("macro", "weighted"):
            figures[f"roc_auc_ovr_{average}"] = attempt(
                lambda: metrics.roc_auc_score(truth, table, multi_class="ovr", average=average, labels=labels)
            )
    figures["curves_last"] = None
    if 0 < positive.sum() < len(positive) and len(truth) <= 60:
        fpr, tpr, _ = metrics.roc_curve(positive, table[:, -1], drop_intermediate=False)
        precision, recall, _ = metrics.precision_recall_curve(positive, table[:, -1])
        figures["curves_last"] = {
            "roc": [[number(a), number(b)] for a, b in zip(fpr, tpr)],
            "precision_recall": [[number(a), number(b)] for a, b in zip(recall[::-1], precision[::-1])],
        }
    return {"name": name, "columns": columns, "truths": truth.tolist(), "table": table.ravel().tolist(), "figures": figures}


def regression(name, truth, predicted):
    truth, predicted = np.asarray(truth, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    figures = {
        "mae": metrics.mean_absolute_error(truth, predicted),
        "mse": metrics.mean_squared_error(truth, predicted),
        "rmse": metrics.root_mean_squared_error(truth, predicted),
        "r2": number(metrics.r2_score(truth, predicted)),
        "mape": metrics.mean_absolute_percentage_error(truth, predicted),
        "median_ae": metrics.median_absolute_error(truth, predicted),
        "max_error": number(np.abs(truth - predicted).max()),
    }
    columns = 1 if truth.ndim == 1 else truth.shape[1]
    return {
        "name": name,
        "columns": columns,
        "truths": truth.ravel().tolist(),
        "predictions": predicted.ravel().tolist(),
        "figures": {key: number(value) if value is not None else None for key, value in figures.items()},
    }


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def classifiers(rng):
    def draw(rows, columns, sharpness, classes=None):
        truth = rng.choice(classes if classes is not None else columns, size=rows)
        logits = rng.normal(size=(rows, columns))
        logits[np.arange(rows), truth] += sharpness
        return truth, softmax(logits)

    yield classification("ten classes, good", *draw(200, 10, 3.0))
    yield classification("ten classes, chance", *draw(150, 10, 0.0))
    yield classification("three classes, imbalanced", *draw(120, 3, 1.0, classes=[0] * 20 + [1] * 3 + [2]))
    yield classification("two classes", *draw(100, 2, 1.0))
    yield classification("a class never true", *draw(80, 4, 1.0, classes=[0, 1, 3]))
    truth, table = draw(80, 4, 1.0)
    table[:, 2] = 0
    yield classification("a class never predicted", truth, table / table.sum(axis=1, keepdims=True))
    truth, table = draw(60, 5, 1.0, classes=[0, 1, 3])
    table[:, 4] = 0
    yield classification("a class neither true nor predicted", truth, table / table.sum(axis=1, keepdims=True))
    yield classification("one true class only", *draw(30, 3, 1.0, classes=[1]))
    yield classification("one true class of two", *draw(20, 2, 1.0, classes=[1]))
    yield classification("every prediction wrong", [0, 1, 0, 1], [[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [1, 0]])
    yield classification("exact zeros and ones are clipped", [0, 1, 2, 2], [[1, 0, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0]])
    truth, table = draw(60, 2, 1.0)
    yield classification("many ties", truth, np.stack([1 - np.round(table[:, 1], 1), np.round(table[:, 1], 1)], axis=1))
    yield classification("all scores equal", [0, 1, 1, 0, 1], [[0.5, 0.5]] * 5)
    yield classification("rows that do not sum to one", [0, 1, 2, 0], [[0.2, 0.1, 0.1], [0.3, 0.6, 0.3], [0, 0, 0.5], [0.9, 0.4, 0.1]])
    truth, table = draw(50, 3, 2.0)
    yield classification("logits", truth, np.log(table) * 2 + 1)
    yield classification("one row", [1], [[0.2, 0.5, 0.3]])
    edges = np.arange(0, 11) / 10
    yield classification("probabilities on the bins' edges", rng.integers(0, 2, 11), np.stack([1 - edges, edges], axis=1))


def regressors(rng):
    truth = rng.normal(size=100) * 50
    yield regression("one target", truth, truth + rng.normal(size=100))
    yield regression("worse than the mean", truth, -truth)
    truth = rng.normal(size=(40, 3)) * [1, 10, 100]
    yield regression("three targets", truth, truth * 1.1 + 0.3)
    yield regression("truths of zero", [0, 0, 1, 2], [0, 0.5, 1, 2.5])
    yield regression("constant truth, wrong", [3, 3, 3], [3, 4, 3])
    yield regression("constant truth, right", [3, 3, 3], [3, 3, 3])
    yield regression("one constant target of two", [[3, 1], [3, 2], [3, 4]], [[3, 1], [4, 2], [3, 3]])
    yield regression("one row", [2.5], [2.0])
    yield regression("exact", [1, 2, 3, 4], [1, 2, 3, 4])


def main():
    rng = np.random.default_rng(20240607)
    document = {
        "scikit_learn": sklearn.__version__,
        "classification": list(classifiers(rng)),
        "regression": list(regressors(rng)),
    }
    path = pathlib.Path(__file__).with_name("reference.json")
    path.write_text(json.dumps(document, separators=(",", ":"), allow_nan=False) + "\n")
    print(f"{path.name}: {path.stat().st_size} bytes", file=sys.stderr)


main()
