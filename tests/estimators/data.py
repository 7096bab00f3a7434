"""Data for the matrix: what scikit-learn bundles, and small tables made here. Everything is the same on every machine."""

import json
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from sklearn import datasets
from skl2onnx.common.data_types import (
    DictionaryType,
    DoubleTensorType,
    FloatTensorType,
    Int64TensorType,
    StringTensorType,
)

#: Rows that are asked of the server.
ASKED = 40


@dataclass
class Data:
    """Rows to train on, answers, and rows to ask; `asked` may be a frame of named columns, or a list of maps."""

    train: object
    target: object
    asked: object
    double: bool = False

    def initial_types(self) -> list[tuple[str, object]]:
        """The inputs as skl2onnx declares them: one tensor, one for each column of a frame, or a map."""
        if isinstance(self.asked, list):
            return [("X", DictionaryType(_kind(np.array(self.keys()), False)([1]), FloatTensorType([1])))]
        if isinstance(self.asked, pd.DataFrame):
            return [(name, _kind(self.asked[name].to_numpy(), self.double)([None, 1])) for name in self.asked.columns]
        return [("X", _kind(self.asked, self.double)([None, *self.asked.shape[1:]]))]

    def feeds(self) -> dict[str, np.ndarray]:
        """The rows to ask, as tensors by input; a map is a JSON object, a text."""
        if isinstance(self.asked, list):
            return {"X": np.array([json.dumps(row) for row in self.asked], dtype=object)}
        if not isinstance(self.asked, pd.DataFrame):
            return {"X": self._tensor(self.asked)}
        return {name: self._tensor(self.asked[name].to_numpy()).reshape(-1, 1) for name in self.asked.columns}

    def keys(self) -> list:
        """The keys of the maps."""
        return [key for row in self.asked for key in row]

    def _tensor(self, values: np.ndarray) -> np.ndarray:
        if values.dtype.kind == "f":
            return values.astype(np.float64 if self.double else np.float32)
        return values.astype(np.int64) if values.dtype.kind in "iu" else values.astype(object)


def _kind(values: np.ndarray, double: bool) -> type:
    if values.dtype.kind == "f":
        return DoubleTensorType if double else FloatTensorType
    return Int64TensorType if values.dtype.kind in "iu" else StringTensorType


def _split(features: np.ndarray, target: np.ndarray | None) -> Data:
    """Every third row is asked, up to ASKED. The features are FP32 numbers, so that both precisions see the same ones."""
    features = np.round(np.asarray(features, dtype=np.float64), 3).astype(np.float32).astype(np.float64)
    order = np.random.default_rng(5).permutation(len(features))
    asked, train = order[: len(order) // 3][:ASKED], order[len(order) // 3 :][:400]
    return Data(features[train], None if target is None else np.asarray(target)[train], features[asked])


def iris() -> Data:
    """Three classes, four numbers."""
    return _split(*datasets.load_iris(return_X_y=True))


def iris_names() -> Data:
    """Three classes with names."""
    features, target = datasets.load_iris(return_X_y=True)
    return _split(features, np.array(["setosa", "versicolor", "virginica"])[target])


def iris_double() -> Data:
    """Three classes, numbers of 64 bits."""
    return replace(iris(), double=True)


def cancer() -> Data:
    """Two classes, thirty numbers."""
    return _split(*datasets.load_breast_cancer(return_X_y=True))


def cancer_scaled() -> Data:
    """Two classes, thirty numbers of like size."""
    features, target = datasets.load_breast_cancer(return_X_y=True)
    return _split((features - features.mean(0)) / features.std(0), target)


def cancer_names() -> Data:
    """Two classes with names."""
    data = cancer_scaled()
    return replace(data, target=np.array(["malignant", "benign"])[data.target])


def cancer_double() -> Data:
    """Two classes, numbers of 64 bits."""
    return replace(cancer_scaled(), double=True)


def counts() -> Data:
    """Three classes, ten counts from 0 to 9."""
    random = np.random.default_rng(2)
    target = random.integers(0, 3, 300)
    return _split(random.poisson(1 + 2 * ((np.arange(10) + target[:, None]) % 3)).clip(0, 9), target)


def counts_seen() -> Data:
    """The same, asked of rows that were trained on, so that no count is new."""
    data = counts()
    return replace(data, asked=data.train[:ASKED])


def counts_int() -> Data:
    """Three classes, ten integers."""
    data = counts()
    return replace(data, train=data.train.astype(np.int64), asked=data.asked.astype(np.int64))


def labels() -> Data:
    """Three labels that each may hold or not."""
    features, target = datasets.make_multilabel_classification(300, 8, n_classes=3, random_state=1)
    return _split(features + np.random.default_rng(11).random(features.shape), target)


def diabetes() -> Data:
    """One number from ten."""
    features, target = datasets.load_diabetes(return_X_y=True)
    return _split(features * 20, target)


def diabetes_double() -> Data:
    """One number from ten, of 64 bits."""
    return replace(diabetes(), double=True)


def positive() -> Data:
    """One positive number from five."""
    features, target = datasets.make_regression(300, 5, noise=5, random_state=3)
    return _split(features, np.exp(target / 150))


def three_numbers() -> Data:
    """Three numbers from six."""
    features, target = datasets.make_regression(300, 6, n_targets=3, noise=2, random_state=4)
    return _split(features, target)


def gaps() -> Data:
    """Three classes; one number in six is missing."""
    data = iris()
    random = np.random.default_rng(6)
    holes = [np.where(random.random(part.shape) < 1 / 6, np.nan, part) for part in (data.train, data.asked)]
    return replace(data, train=holes[0], asked=holes[1])


def gaps_apart() -> Data:
    """Two classes of ten numbers, one in six of which is missing; no two rows are equally far from a third."""
    features, target = datasets.load_diabetes(return_X_y=True)
    random = np.random.default_rng(12)
    data = _split(features * 20 + random.normal(0, 0.1, features.shape), (target > 140).astype(int))
    holes = [np.where(random.random(part.shape) < 1 / 6, np.nan, part) for part in (data.train, data.asked)]
    return replace(data, train=holes[0], asked=holes[1])


def gaps_all() -> Data:
    """The same, where nothing is known of a column, and of some rows nothing or one number."""
    data = gaps_apart()
    train, asked = data.train.copy(), data.asked.copy()
    train[:, 3] = np.nan
    asked[0] = np.nan
    asked[1, 1:] = np.nan
    # One row of the training data has a number where the others have none, and none elsewhere.
    train[:, 5] = np.nan
    train[0] = np.nan
    train[0, 5] = 1.5
    return replace(data, train=train, asked=asked)


CITIES = np.array(["Oslo", "Paris", "Roma", "Zürich"], dtype=object)
COLOURS = np.array(["red", "green", "blue"], dtype=object)


def words() -> Data:
    """Two columns of strings, two classes."""
    random = np.random.default_rng(7)
    table = np.column_stack([CITIES[random.integers(0, 4, 200)], COLOURS[random.integers(0, 3, 200)]])
    return Data(table[:150], ((table[:, 0] == "Oslo") ^ (table[:, 1] == "red")).astype(int)[:150], table[150:])


def words_gaps() -> Data:
    """Strings, some of which are empty."""
    data = words()
    random = np.random.default_rng(8)
    train, asked = (np.where(random.random(part.shape) < 0.2, "", part) for part in (data.train, data.asked))
    return replace(data, train=train.astype(object), asked=asked.astype(object))


def mixed() -> Data:
    """Named columns of numbers, integers and strings, two classes; some numbers are missing."""
    random = np.random.default_rng(9)
    rows = 320
    frame = pd.DataFrame(
        {
            "age": np.where(random.random(rows) < 0.1, np.nan, random.integers(18, 80, rows)).astype(np.float32),
            "income": np.round(random.lognormal(3, 0.5, rows), 2).astype(np.float32),
            "children": random.integers(0, 5, rows),
            "city": pd.Series(CITIES[random.integers(0, 4, rows)], dtype=object),
            "colour": pd.Series(COLOURS[random.integers(0, 3, rows)], dtype=object),
        }
    )
    chance = 1 / (1 + np.exp(-(frame["income"] - 20) / 5 + (frame["city"] == "Oslo") * 2 - frame["children"]))
    target = np.where(random.random(rows) < chance, "yes", "no")
    return Data(frame[:240], target[:240], frame[240 : 240 + ASKED].reset_index(drop=True))


def mixed_number() -> Data:
    """The same columns, one number."""
    data = mixed()
    frame = data.train
    return replace(
        data, target=frame["income"].to_numpy() * 2.0 + frame["children"].to_numpy() * (frame["city"] == "Oslo")
    )


SUBJECTS = {
    "ship": "the ship left the harbour at dawn with cargo and crew for the northern sea",
    "bread": "knead the dough and bake the bread in a hot oven until the crust is brown",
    "code": "compile the program and run the tests before the merge of the branch",
}


def sentences() -> Data:
    """One column of text, three classes with names."""
    random = np.random.default_rng(10)
    names = np.array(sorted(SUBJECTS))
    target = names[random.integers(0, 3, 150)]
    common = "and then we saw it again, today or tomorrow. Well done!".split()
    text = [" ".join(random.permutation(SUBJECTS[name].split() + common)[:9]).capitalize() for name in target]
    table = np.array(text, dtype=object).reshape(-1, 1)
    return Data(table[:110], target[:110], table[110:])


def square() -> Data:
    """A table as wide as the rows it was fitted on: a kernel."""
    random = np.random.default_rng(12)
    points = random.random((40, 5))
    return Data(np.round(points @ points.T, 3), None, np.round(random.random((9, 5)) @ points.T, 3))


def one_word() -> Data:
    """A list of strings."""
    data = words()
    return Data(data.train[:, 0], None, data.asked[:, 0])


def one_word_column() -> Data:
    """A column of strings."""
    data = words()
    return Data(data.train[:, :1], None, data.asked[:, :1])


def one_integer() -> Data:
    """A list of whole numbers, three of them."""
    random = np.random.default_rng(13)
    return Data(random.integers(3, 6, 60), None, random.integers(3, 6, 20))


def maps() -> Data:
    """Maps of some of four measures, three classes with names; asked are measures that training never saw, too."""
    data = iris_names()
    names = ["petal", "sepal", "width", "length"]
    random = np.random.default_rng(14)

    def rows(table: np.ndarray) -> list:
        kept = random.random(table.shape) < 0.8
        kept[:, 0] = True
        pairs = [list(zip(names, row, held, strict=True)) for row, held in zip(table, kept, strict=True)]
        return [{name: float(value) for name, value, keep in row if keep} for row in pairs]

    asked = [row | {"colour": 1.0} if at % 3 == 0 else row for at, row in enumerate(rows(data.asked))]
    return replace(data, train=rows(data.train), asked=asked)


def numbered_maps() -> Data:
    """The same, with whole numbers for keys."""
    data = maps()
    numbers = {"petal": 7, "sepal": 2, "width": -3, "length": 11, "colour": 5}

    def numbered(rows: list) -> list:
        return [{numbers[name]: value for name, value in row.items()} for row in rows]

    return replace(data, train=numbered(data.train), asked=numbered(data.asked))
