#!/usr/bin/env python3
"""Writes reference.json beside it: steps, columns, and the answers of scikit-learn, numpy and scipy. The model between the steps answers
what it is given. Needs scikit-learn 1.9, scipy and numpy (tests/estimators)."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit, softmax
from sklearn.feature_extraction import FeatureHasher
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
)

NAMES = {"float32": "FP32", "float64": "FP64", "int64": "INT64", "int32": "INT32", "bool": "BOOL", "object": "BYTES"}
CASES = []
dice = np.random.default_rng(7)


def tensor(name: str, values: np.ndarray) -> dict:
    def plain(value: object) -> object:
        if isinstance(value, str):
            return value
        return None if np.isnan(value) else float(value)

    data = [plain(value) for value in values.ravel().tolist()]
    return {"name": name, "datatype": NAMES[values.dtype.name], "shape": list(values.shape), "data": data}


def case(title: str, inputs: dict, outputs: dict, model: list, before: list = (), after: list = ()) -> None:
    CASES.append(
        {
            "name": title,
            "model": model,
            "before": list(before),
            "after": list(after),
            "inputs": [tensor(*one) for one in inputs.items()],
            "outputs": [tensor(*one) for one in outputs.items()],
        }
    )


def floats(array: object) -> list:
    return np.asarray(array, float).ravel().tolist()


def scaled() -> None:
    """Scalers over one matrix, over several columns, in FP32 and FP64."""
    for kind in (np.float32, np.float64):
        name = NAMES[np.dtype(kind).name]
        data = (dice.normal(size=(40, 3)) * [1, 1e3, 1e-3] + [0, 5, -1]).astype(kind)
        test = (dice.normal(size=(7, 3)) * [2, 2e3, 2e-3]).astype(kind)
        standard, robust = StandardScaler().fit(data), RobustScaler().fit(data)
        least, ranged = MinMaxScaler().fit(data), MinMaxScaler((-1, 2)).fit(data)
        bounds = {"min": floats(data.min(0)), "max": floats(data.max(0))}
        steps = [
            ("StandardScaler", {"op": "Standardise", "mean": floats(standard.mean_), "scale": floats(standard.scale_)}, standard),
            ("RobustScaler", {"op": "Robust", "center": floats(robust.center_), "scale": floats(robust.scale_)}, robust),
            ("MinMaxScaler", {"op": "MinMax", **bounds}, least),
            ("MinMaxScaler of a range", {"op": "MinMax", **bounds, "low": -1, "high": 2}, ranged),
        ]
        model = [["x", name, [-1, 3]]]
        for title, step, transformer in steps:
            step["columns"] = ["x"]
            case(f"{title}, {name}", {"x": test}, {"x": transformer.transform(test)}, model, [step])
        columns = {"a": test[:, 0].copy(), "b": test[:, 1].copy(), "c": test[:, 2].copy()}
        before = [
            {"op": "Input", "columns": ["a", "b", "c"], "datatype": name},
            {**steps[0][1], "columns": ["a", "b", "c"]},
            {"op": "Concat", "columns": ["a", "b", "c"], "to": ["x"], "datatype": name},
        ]
        case(f"StandardScaler by columns, {name}", columns, {"x": standard.transform(test)}, model, before)
        back = {"op": "Denormalise", "columns": ["x"], "mean": floats(standard.mean_), "scale": floats(standard.scale_)}
        case(f"inverse of StandardScaler, {name}", {"x": test}, {"x": standard.inverse_transform(test)}, model, after=[back])
        clip = {"op": "Clip", "columns": ["x"], "min": [-1], "max": [1, 100, 0.001]}
        limits = np.array([1, 100, 0.001], kind)
        case(f"clip, {name}", {"x": test}, {"x": np.clip(test, np.array(-1, kind), limits)}, model, [clip])
        positive = np.abs(test)
        log = FunctionTransformer(np.log1p).fit(positive)
        case(f"log1p, {name}", {"x": positive}, {"x": log.transform(positive)}, model, [{"op": "Log", "columns": ["x"], "offset": 1}])
        case(f"log, {name}", {"x": positive}, {"x": np.log(positive)}, model, [{"op": "Log", "columns": ["x"]}])
        small = test[:, ::2].copy()
        case(f"expm1, {name}", {"x": small}, {"x": np.expm1(small)}, [["x", name, [-1, 2]]], after=[{"op": "Exp", "columns": ["x"], "offset": 1}])
        case(f"sigmoid, {name}", {"x": test}, {"x": expit(test)}, model, after=[{"op": "Sigmoid", "columns": ["x"]}])
        scores = test / np.abs(test).max()
        case(f"softmax, {name}", {"x": scores}, {"x": softmax(scores, axis=1)}, model, after=[{"op": "Softmax", "columns": ["x"]}])


def filled() -> None:
    data = np.array([[1, np.nan], [3, 40], [np.nan, 60], [8, 80]], np.float32)
    model = [["x", "FP32", [-1, 2]]]
    for strategy in ("mean", "median", "constant"):
        imputer = SimpleImputer(strategy=strategy, fill_value=-1.0 if strategy == "constant" else None).fit(data)
        step = {"op": "Fill", "columns": ["x"], "values": floats(imputer.statistics_)}
        case(f"SimpleImputer, {strategy}", {"x": data}, {"x": imputer.transform(data)}, model, [step])
    words = np.array(["a", "", "b"], object)
    full = np.array(["a", "none", "b"], object)
    case("texts filled", {"t": words}, {"t": full}, [["t", "BYTES", [-1]]], [{"op": "Fill", "columns": ["t"], "texts": ["none"]}])


def encoded() -> None:
    words = np.array([["red"], ["green"], ["blue"], ["green"]], object)
    new = np.array([["green"], ["violet"], ["red"]], object)
    for unknown in ("ignore", "error"):
        encoder = OneHotEncoder(handle_unknown=unknown, sparse_output=False, dtype=np.float32).fit(words)
        test = new if unknown == "ignore" else words
        step = {"op": "OneHot", "columns": ["c"], "texts": encoder.categories_[0].tolist(), "unknown": unknown.capitalize()}
        before = [{"op": "Input", "columns": ["c"], "datatype": "BYTES"}, step, {"op": "Rename", "columns": ["c"], "to": ["x"]}]
        case(f"OneHotEncoder, {unknown}", {"c": test[:, 0]}, {"x": encoder.transform(test)}, [["x", "FP32", [-1, 3]]], before)
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, dtype=np.int64).fit(words)
    step = {"op": "Ordinal", "columns": ["x"], "texts": encoder.categories_[0].tolist(), "unknown": "Value", "unknownValue": -1}
    before = [{"op": "Input", "columns": ["x"], "datatype": "BYTES", "width": 1}, step]
    case("OrdinalEncoder, unknown value", {"x": new}, {"x": encoder.transform(new)}, [["x", "INT64", [-1, 1]]], before)
    numbers = np.array([[3], [10], [5]], np.int64)
    encoder = OneHotEncoder(sparse_output=False, dtype=np.float32).fit(numbers)
    step = {"op": "OneHot", "columns": ["x"], "values": floats(encoder.categories_[0])}
    before = [{"op": "Input", "columns": ["x"], "datatype": "INT64"}, step]
    case("OneHotEncoder of numbers", {"x": numbers[:, 0]}, {"x": encoder.transform(numbers)}, [["x", "FP32", [-1, 3]]], before)
    data = dice.normal(size=(60, 1))
    bins = KBinsDiscretizer(5, encode="ordinal", strategy="quantile", quantile_method="linear", dtype=np.float64).fit(data)
    step = {"op": "Bucketise", "columns": ["x"], "edges": floats(bins.bin_edges_[0][1:-1])}
    before = [{"op": "Input", "columns": ["x"], "datatype": "FP64"}, step]
    expected = bins.transform(data)[:, 0].astype(np.int64)
    case("KBinsDiscretizer", {"x": data[:, 0].copy()}, {"x": expected}, [["x", "INT64", [-1]]], before)
    edges = np.array([1.0, 2.0])
    at_edges = np.array([0.5, 1.0, 1.5, 2.0, np.nan])
    before = [{"op": "Input", "columns": ["x"], "datatype": "FP64"}, {"op": "Bucketise", "columns": ["x"], "edges": [1, 2]}]
    case("digitize", {"x": at_edges}, {"x": np.digitize(at_edges, edges)}, [["x", "INT64", [-1]]], before)


def texts() -> None:
    words = np.array(["2024-02-29", "1999-12-31T23:59:58Z", "2026-05-17 09:30:00", "2030-01-01T00:00:07.5+02:00"], object)
    dates = [pd.Timestamp(word) for word in words]
    parts = {
        "Year": "year", "Month": "month", "Day": "day", "Weekday": "weekday", "DayOfYear": "day_of_year", "Hour": "hour",
        "Minute": "minute", "Second": "second",
    }
    before = [{"op": "Input", "columns": ["t"], "datatype": "BYTES"}, {"op": "DateParts", "columns": ["t"], "parts": list(parts)}]
    expected = {
        f"t_{name}": np.array([date.weekday() if name == "weekday" else getattr(date, name) for date in dates], np.int64)
        for name in parts.values()
    }
    case("parts of dates", {"t": words}, expected, [[name, "INT64", [-1]] for name in expected], before)
    words = np.array(["red", "green", "", "blå", "a longer text than four words"], object)
    hashed = FeatureHasher(97, input_type="string", alternate_sign=False).transform([[word] for word in words])
    before = [{"op": "Input", "columns": ["t"], "datatype": "BYTES"}, {"op": "Hash", "columns": ["t"], "buckets": 97}]
    case("FeatureHasher", {"t": words}, {"t": hashed.toarray().argmax(1)}, [["t", "INT64", [-1]]], before)


def byte_values() -> None:
    words = np.array(["  ab cd\t", "", " \n ", "a rather long text", "x"], object)

    def numbers(word: str, head: int, tail: int, block: int, strip: bool) -> list:
        data = word.encode()
        first, last = data[:block], data[-block:]
        first, last = (first.lstrip(), last.rstrip()) if strip else (first, last)
        first, last = list(first[:head]), list(last[-tail:]) if tail else []
        return first + [256] * (head - len(first)) + [256] * (tail - len(last)) + last

    for head, tail, block, strip in [(4, 3, 6, True), (4, 0, 100, False), (2, 6, 100, True)]:
        expected = np.array([numbers(word, head, tail, block, strip) for word in words], np.int32)
        step = {"op": "Bytes", "columns": ["x"], "head": head, "block": block, "strip": strip, "fill": 256} | ({"tail": tail} if tail else {})
        before = [{"op": "Input", "columns": ["x"], "datatype": "BYTES"}, step]
        case(f"bytes, {head} and {tail} of {block}", {"x": words}, {"x": expected}, [["x", "INT32", [-1, head + tail]]], before)


def pooled() -> None:
    states = dice.normal(size=(3, 5, 4)).astype(np.float32)
    mask = np.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [0, 0, 0, 1, 0]], np.int64)
    weight = mask[..., None]
    model = [["x", "FP32", [-1, -1, 4]], ["m", "INT64", [-1, -1]]]
    means = ((states * weight).sum(1) / weight.sum(1)).astype(np.float32)
    most = np.where(weight == 0, -np.inf, states).max(1).astype(np.float32)
    inputs = {"x": states, "m": mask}
    for title, pooling, expected in [("mean", "Mean", means), ("max", "Max", most)]:
        after = [{"op": "Pool", "columns": ["x"], "to": ["e"], "pooling": pooling, "mask": "m"}]
        case(f"pooled, {title} with mask", inputs, {"e": expected}, model, after=after)
        # The model's input serves as mask where its output is gone.
        case(f"pooled, {title}, mask of the input", inputs, {"e": expected}, model, after=[{"op": "Select", "columns": ["x"]}, *after])
    after = [{"op": "Pool", "columns": ["x"], "to": ["e"], "pooling": "First"}]
    case("pooled, first", inputs, {"e": states[:, 0]}, model, after=after)
    after = [{"op": "Pool", "columns": ["x"], "to": ["e"]}, {"op": "NormaliseL2", "columns": ["e"]}]
    mean = states.mean(1)
    unit = (mean / np.linalg.norm(mean, axis=1, keepdims=True)).astype(np.float32)
    case("pooled, mean, normalised", inputs, {"e": unit}, model, after=after)
    zeros = np.zeros((2, 3), np.float32)
    case("normalised zeros", {"x": zeros}, {"x": zeros}, [["x", "FP32", [-1, 3]]], after=[{"op": "NormaliseL2", "columns": ["x"]}])


def cast() -> None:
    data = np.array([-1.7, 0.0, 2.9, 300.0], np.float32)
    for kind in (np.int64, np.int32, np.float64, bool):
        name = NAMES[np.dtype(kind).name]
        before = [{"op": "Input", "columns": ["x"]}, {"op": "Cast", "columns": ["x"], "datatype": name}]
        case(f"cast to {name}", {"x": data}, {"x": data.astype(kind)}, [["x", name, [-1]]], before)
    words = np.array([" 1.5", "-2e3", "nan"], object)
    before = [{"op": "Input", "columns": ["x"], "datatype": "BYTES"}, {"op": "Cast", "columns": ["x"], "datatype": "FP32"}]
    case("cast of texts", {"x": words}, {"x": words.astype(np.float32)}, [["x", "FP32", [-1]]], before)


def classes() -> None:
    scores = np.array([[0.1, 0.9, 0.5], [0.7, 0.7, 0.1], [-1, -3, -2]], np.float32)
    model = [["x", "FP32", [-1, 3]]]
    names = np.array(["a", "b", "c"], object)
    best = scores.argmax(1)
    case("argmax", {"x": scores}, {"i": best, "x": scores}, model, after=[{"op": "Argmax", "columns": ["x"], "to": ["i"]}])
    after = [{"op": "Labels", "columns": ["x"], "to": ["l"], "texts": names.tolist()}]
    case("labels", {"x": scores}, {"l": names[best]}, model, after=after)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :2]
    after = [{"op": "TopK", "columns": ["x"], "to": ["v", "i", "l"], "k": 2, "texts": names.tolist()}]
    expected = {"v": np.take_along_axis(scores, order, 1), "i": order, "l": names[order]}
    case("top two", {"x": scores}, expected, model, after=after)
    free = [["x", "FP32", [-1, -1]]]
    case("top two of any width", {"x": scores}, expected, free, after=after)
    after = [{"op": "Threshold", "columns": ["x"], "to": ["t"], "at": 0.5}]
    case("threshold", {"x": scores}, {"t": scores >= 0.5}, model, after=after)
    numbers = np.array([1, 0, 5], np.int64)
    after = [{"op": "Labels", "columns": ["x"], "to": ["l"]}]
    case("labels of numbers, by the model's classes", {"x": numbers}, {"l": np.array(["high", "low", "5"], object)}, [["x", "INT64", [-1]]], after=after)


if __name__ == "__main__":
    scaled()
    filled()
    encoded()
    texts()
    byte_values()
    pooled()
    cast()
    classes()
    lines = ",\n".join(json.dumps(case) for case in CASES)
    (Path(__file__).parent / "reference.json").write_text(f"[\n{lines}\n]\n")
