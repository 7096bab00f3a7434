"""A case, and the estimators that several cases have."""

from collections.abc import Callable
from dataclasses import dataclass, field

from sklearn import (
    compose,
    ensemble,
    impute,
    linear_model,
    neural_network,
    preprocessing,
)
from sklearn.pipeline import make_pipeline

import data


@dataclass
class Case:
    """One estimator with its options on its data."""

    name: str
    make: Callable[[], object]
    data: Callable[[], data.Data]
    #: What skl2onnx is told besides; `zipmap` is off unless it is here, `opset` is its own newest.
    options: dict = field(default_factory=dict)
    #: The methods whose answers are compared, in the order of the file's outputs; by the estimator's kind where empty.
    truth: tuple[str, ...] = ()


def logistic(**options: object) -> linear_model.LogisticRegression:
    return linear_model.LogisticRegression(max_iter=2000, **options)


def forest(kind: str = "Classifier", **options: object) -> object:
    return getattr(ensemble, f"RandomForest{kind}")(n_estimators=12, max_depth=5, random_state=0, **options)


def boosted(kind: str = "Classifier") -> object:
    return getattr(ensemble, f"GradientBoosting{kind}")(n_estimators=12, random_state=0)


def perceptron(kind: str = "Classifier", **options: object) -> object:
    model = getattr(neural_network, f"MLP{kind}")
    return model(hidden_layer_sizes=(12,), max_iter=400, random_state=0, **options)


def scaled(model: object) -> object:
    return make_pipeline(preprocessing.StandardScaler(), model)


def columns(model: object, **scaler: object) -> object:
    """A table of numbers and strings, as people have it, before a model."""
    numbers = make_pipeline(impute.SimpleImputer(strategy="median"), preprocessing.StandardScaler(**scaler))
    encoder = preprocessing.OneHotEncoder(handle_unknown="ignore")
    parts = [
        ("numbers", numbers, ["age", "income"]),
        ("children", "passthrough", ["children"]),
        ("words", encoder, ["city", "colour"]),
    ]
    return make_pipeline(compose.ColumnTransformer(parts), model)


def text(vectorizer: object, model: object | None = None) -> object:
    step = compose.ColumnTransformer([("text", vectorizer, 0)])
    return make_pipeline(step, model) if model else step


#: The locale of ONNX's StringNormalizer: ONNX Runtime needs one that the machine has. Words of one letter are none, as in
#: scikit-learn; skl2onnx would keep them.
TEXT = {"locale": "C.UTF-8", "tokenexp": "[a-zA-Z0-9_][a-zA-Z0-9_]+"}
