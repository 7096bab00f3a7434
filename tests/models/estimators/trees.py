"""scikit-learn's tree models, in the kinds and options that people have: small ones, quickly trained."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier


@dataclass
class Case:
    """A fitted model, rows to ask it about, and how it is written."""

    name: str
    model: Any
    rows: np.ndarray
    options: dict = field(default_factory=dict)

    @property
    def classifies(self) -> bool:
        return hasattr(self.model, "predict_proba")


NAMES = np.array(["setosa", "versicolor", "virginica"])


def data() -> dict:
    """Rows and answers by kind of question."""
    iris, cancer, diabetes = load_iris(), load_breast_cancer(), load_diabetes()
    three = np.stack([diabetes.target, -diabetes.target, np.sqrt(diabetes.target)], axis=1)
    return {
        "binary": (cancer.data, cancer.target),
        "binary, strings": (cancer.data, cancer.target_names[cancer.target]),
        "multi-class": (iris.data, iris.target),
        "multi-class, strings": (iris.data, NAMES[iris.target]),
        "multi-class, odd labels": (iris.data, iris.target * 7 - 3),
        "regression": (diabetes.data, diabetes.target),
        "three targets": (diabetes.data, three),
    }


def classifiers() -> dict:
    few = {"n_estimators": 12, "random_state": 0}
    return {
        "DecisionTreeClassifier": lambda: DecisionTreeClassifier(random_state=0),
        "ExtraTreeClassifier": lambda: ExtraTreeClassifier(random_state=0),
        "RandomForestClassifier": lambda: RandomForestClassifier(**few),
        "ExtraTreesClassifier": lambda: ExtraTreesClassifier(**few, max_depth=6),
        "GradientBoostingClassifier": lambda: GradientBoostingClassifier(**few),
        "AdaBoostClassifier": lambda: AdaBoostClassifier(**few),
        "BaggingClassifier": lambda: BaggingClassifier(**few),
    }


def regressors() -> dict:
    few = {"n_estimators": 12, "random_state": 0}
    return {
        "DecisionTreeRegressor": lambda: DecisionTreeRegressor(random_state=0),
        "RandomForestRegressor": lambda: RandomForestRegressor(**few),
        "ExtraTreesRegressor": lambda: ExtraTreesRegressor(**few),
        "GradientBoostingRegressor": lambda: GradientBoostingRegressor(**few),
        "GradientBoostingRegressor huber": lambda: GradientBoostingRegressor(**few, loss="huber"),
        "AdaBoostRegressor": lambda: AdaBoostRegressor(**few),
        "BaggingRegressor": lambda: BaggingRegressor(**few),
    }


def cases() -> list[Case]:
    made = []
    for kind, (rows, answers) in data().items():
        estimators = classifiers() if "class" in kind or "binary" in kind else regressors()
        for name, make in estimators.items():
            several = not name.startswith(("Gradient", "AdaBoost", "Bagging"))
            if kind == "three targets" and not several:
                continue
            for width in (np.float32, np.float64):
                # What the file computes with is what the model should be asked with.
                model = make().fit(rows.astype(width), answers)
                # scikit-learn rounds to FP32 before it compares; these need no rounding.
                asked = rows[::4].astype(np.float32).astype(width)
                # ONNX Runtime takes no maps of FP64.
                maps = width is np.float32 or not hasattr(model, "predict_proba")
                made.append(Case(f"{name}, {kind}, {width.__name__}", model, asked, {} if maps else {"zipmap": False}))
    rows, answers = data()["multi-class"]
    rows = rows.astype(np.float32)
    forest = RandomForestClassifier(n_estimators=5, random_state=0).fit(rows, answers)
    made.append(Case("RandomForestClassifier, zipmap=False", forest, rows, {"zipmap": False}))
    made.append(Case("RandomForestClassifier, zipmap=columns", forest, rows, {"zipmap": "columns"}))
    raw = GradientBoostingClassifier(n_estimators=5).fit(rows, answers)
    made.append(Case("GradientBoostingClassifier, raw_scores", raw, rows, {"raw_scores": True}))
    made.append(Case("IsolationForest", IsolationForest(n_estimators=10, random_state=0).fit(rows), rows))
    return made
