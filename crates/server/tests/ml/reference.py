#!/usr/bin/env python3
"""Writes reference.json beside it: one-node models, requests, and the answers of ONNX Runtime, or worked by hand where ONNX
Runtime has no such kernel. Each is in the form of a sample.json. Needs onnx 1.23, onnxruntime 1.32 and skl2onnx 1.20
(tests/estimators), and PYTHONHASHSEED=0, without which skl2onnx has another order of nodes each time."""

import base64
import json
from itertools import product
from pathlib import Path

import numpy as np
import onnxruntime
from onnx import TensorProto, TypeProto, ValueInfoProto, helper, numpy_helper
from skl2onnx import to_onnx
from sklearn import decomposition, gaussian_process, impute, linear_model, naive_bayes, neighbors, preprocessing
from sklearn.base import is_classifier, is_regressor
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline

onnxruntime.set_default_logger_severity(4)
ML = "ai.onnx.ml"
CODES = {"float32": 1, "float64": 11, "int64": 7, "int32": 6, "int16": 5, "bool": 9, "object": 8}
NAMES = {
    "float32": "FP32",
    "float64": "FP64",
    "int64": "INT64",
    "int32": "INT32",
    "uint32": "UINT32",
    "int16": "INT16",
    "bool": "BOOL",
    "object": "BYTES",
}
CASES = []
NAN = float("nan")


def floats(*rows: object) -> np.ndarray:
    return np.array(rows, np.float32)


def texts(*rows: object) -> np.ndarray:
    return np.array(rows, object)


def constant(values: np.ndarray) -> TensorProto:
    return numpy_helper.from_array(values)


def case(
    title: str,
    operator: str,
    *inputs: np.ndarray,
    outputs: int = 1,
    domain: str = ML,
    expected: list | None = None,
    ml: int = 4,
    **attributes: object,
) -> None:
    """Adds a case; `expected` is an answer worked by hand. Absent attributes are None."""
    attributes = {name: value for name, value in attributes.items() if value is not None}
    names = [f"x{at}" for at in range(len(inputs))]
    node = helper.make_node(operator, names, [f"y{at}" for at in range(outputs)], name="n", domain=domain, **attributes)
    ports = [
        helper.make_tensor_value_info(name, CODES[one.dtype.name], shape(operator, one))
        for name, one in zip(names, inputs)
    ]
    graph = helper.make_graph([node], "g", ports, [ValueInfoProto(name=name) for name in node.output])
    sets = [helper.make_opsetid("", 20), helper.make_opsetid(ML, ml), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=sets, ir_version=9)
    content = model.SerializeToString()
    if expected is None:
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        expected = session.run(None, dict(zip(names, inputs)))
    add(f"{operator}, {title}", content, dict(zip(names, inputs)), dict(zip(node.output, expected)))


def add(name: str, content: bytes, inputs: dict[str, np.ndarray], outputs: dict[str, np.ndarray]) -> None:
    sample = {
        "request": {"inputs": [tensor(name, one) for name, one in inputs.items()]},
        "response": {"outputs": [tensor(name, one) for name, one in outputs.items()]},
        "tolerance": 1e-5,
    }
    CASES.append({"name": name, "model": base64.b64encode(content).decode(), "sample": sample})


def whole(title: str, estimator: object, rows: np.ndarray, target: object, asked: np.ndarray, ours: bool = False) -> None:
    """A case of an estimator as skl2onnx writes it; `ours` where ONNX Runtime has no answer, and scikit-learn's is expected."""
    estimator.fit(rows, target)
    told = {id(estimator): {"zipmap": False}} if is_classifier(estimator) else None
    proto = to_onnx(estimator, rows[:1], options=told)
    names = [output.name for output in proto.graph.output]
    if ours and is_classifier(estimator):
        labels = estimator.predict(asked).astype(int)
        # The file has a dimension too many.
        column = isinstance(estimator, gaussian_process.GaussianProcessClassifier)
        found = [labels.reshape(-1, 1) if column else labels, estimator.predict_proba(asked).astype(asked.dtype)]
    elif ours:
        answer = estimator.predict(asked) if is_regressor(estimator) else estimator.transform(asked)
        found = [answer.reshape(len(asked), -1).astype(asked.dtype)]
    else:
        session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
        found = session.run(None, {"X": asked})
    add(f"whole, {title}", proto.SerializeToString(), {"X": asked}, dict(zip(names, found)))


def shape(operator: str, values: np.ndarray) -> list:
    """As declared: the rows are free, and what a list holds of an operator that takes any number of elements."""
    row = ("LinearClassifier", "LinearRegressor", "Scaler", "Normalizer", "Imputer", "FeatureVectorizer")
    # Of two dimensions StringNormalizer takes one row only, and ONNX Runtime asks for the declaration of it.
    fixed = values.ndim == 1 and operator in row or operator == "StringNormalizer" and values.ndim == 2
    return list(values.shape) if fixed else ["n", *values.shape[1:]] if values.ndim else []


def tensor(name: str, values: np.ndarray) -> dict:
    return {
        "name": name,
        "datatype": NAMES[values.dtype.name],
        "shape": list(values.shape),
        "data": [plain(one) for one in values.ravel().tolist()],
    }


def plain(value: object) -> object:
    if isinstance(value, float) and not np.isfinite(value):
        return "NaN" if np.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


X = floats([1, 2], [-3, 0.5], [0, 0])
TRANSFORMS = ["NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO"]


def linear() -> None:
    for transform in TRANSFORMS:
        case(
            f"one score, {transform}",
            "LinearClassifier",
            X,
            outputs=2,
            coefficients=[0.3, -0.2],
            intercepts=[0.15],
            classlabels_ints=[4, 7],
            post_transform=transform,
        )
        case(
            f"two scores, {transform}",
            "LinearClassifier",
            X,
            outputs=2,
            coefficients=[0.3, -0.2, 0.1, 0.5],
            intercepts=[0.1, 0.0],
            classlabels_strings=["a", "b"],
            post_transform=transform,
        )
        case(
            f"three classes, {transform}",
            "LinearClassifier",
            X,
            outputs=2,
            coefficients=[0.3, -0.2, 0.1, 0.5, 0, 0],
            intercepts=[0.1, 0, 0.2],
            classlabels_strings=["a", "b", "c"],
            post_transform=transform,
            multi_class=1,
        )
        case(
            f"one target, {transform}",
            "LinearRegressor",
            X,
            coefficients=[0.3, -0.2],
            intercepts=[0.1],
            post_transform=transform,
        )
        case(
            f"two targets, {transform}",
            "LinearRegressor",
            X,
            coefficients=[0.3, -0.2, 0.1, 0.5],
            intercepts=[0.1, 0.0],
            targets=2,
            post_transform=transform,
        )
    probable = floats([0.2, 0.6], [0.9, 0.5])
    case(
        "PROBIT",
        "LinearClassifier",
        probable,
        outputs=2,
        coefficients=[1.0, 0, 0, 1],
        intercepts=[0.0, 0],
        classlabels_ints=[0, 1],
        post_transform="PROBIT",
    )
    case("PROBIT", "LinearRegressor", probable, coefficients=[1.0, 0], post_transform="PROBIT")
    case(
        "one row",
        "LinearClassifier",
        X[0],
        outputs=2,
        coefficients=[0.3, -0.2, 0.1, 0.5],
        intercepts=[0.1, 0.0],
        classlabels_ints=[4, 7],
    )
    case(
        "integers",
        "LinearClassifier",
        np.array([[1, 2], [-5, 3]]),
        outputs=2,
        coefficients=[0.3, -0.2, 0.1, 0.5],
        intercepts=[0.1, 0.0],
        classlabels_ints=[4, 7],
    )
    case(
        "doubles",
        "LinearClassifier",
        X.astype(np.float64),
        outputs=2,
        coefficients=[0.3, -0.2, 0.1, 0.5],
        intercepts=[0.1, 0.0],
        classlabels_ints=[4, 7],
    )
    case(
        "NaN",
        "LinearClassifier",
        floats([NAN, 1]),
        outputs=2,
        coefficients=[0.3, -0.2, 0.1, 0.5],
        intercepts=[0.1, 0.0],
        classlabels_ints=[4, 7],
    )
    case("no intercepts", "LinearRegressor", X, coefficients=[0.3, -0.2])
    case("one row", "LinearRegressor", X[0], coefficients=[0.3, -0.2])
    case(
        "doubles",
        "LinearRegressor",
        X.astype(np.float64),
        coefficients=[0.5, -0.25],
        expected=[floats([0], [-1.625], [0])],
    )
    wide = np.random.default_rng(0).normal(size=(3, 67)).astype(np.float32)
    case("67 features", "LinearRegressor", wide, coefficients=np.linspace(-1, 1, 67).tolist(), intercepts=[0.1])


def machines() -> None:
    random = np.random.default_rng(0)
    rows = random.normal(size=(9, 3)).astype(np.float32)
    for kernel, classes, proba in product(["LINEAR", "POLY", "RBF", "SIGMOID"], [2, 3, 4], [False, True]):
        pairs, count = classes * (classes - 1) // 2, 2 * classes
        attributes = {
            "support_vectors": random.normal(size=count * 3).tolist(),
            "coefficients": random.normal(size=count * (classes - 1)).tolist(),
            "vectors_per_class": [1, *[2] * (classes - 2), 3],
            "rho": random.normal(size=pairs).tolist(),
            "prob_a": (-1 - random.random(pairs)).tolist() if proba else None,
            "prob_b": random.normal(size=pairs).tolist() if proba else None,
            "kernel_params": [0.3, 0.1, 3.0],
        }
        labels = (
            {"classlabels_strings": list("abcd")[:classes]}
            if classes == 3
            else {"classlabels_ints": [4, 7, 1, 0][:classes]}
        )
        transforms = TRANSFORMS if kernel == "RBF" else ["NONE"]
        for transform in transforms:
            title = f"{kernel}, {classes} classes, {'probabilities' if proba else 'scores'}, {transform}"
            case(
                title,
                "SVMClassifier",
                rows,
                outputs=2,
                kernel_type=kernel,
                post_transform=transform,
                **attributes,
                **labels,
            )
    for labels, positive in product([[4], [4, 7], [4, 7, 9]], [False, True]):
        weights = random.normal(size=3 * len(labels))
        weights = np.abs(weights) if positive else weights
        for transform in TRANSFORMS[:3]:
            case(
                f"liblinear, {len(labels)} classes, positive {positive}, {transform}",
                "SVMClassifier",
                rows,
                outputs=2,
                coefficients=weights.tolist(),
                rho=[0.25],
                kernel_type="LINEAR",
                kernel_params=[0.0, 0, 0],
                classlabels_ints=labels,
                post_transform=transform,
            )
    for kernel, one_class in product(["LINEAR", "POLY", "RBF", "SIGMOID"], [0, 1]):
        case(
            f"{kernel}, one class {one_class}",
            "SVMRegressor",
            rows,
            support_vectors=[1.0, 2, 3, 0.4, -0.5, 0.6],
            coefficients=[0.5, -0.4],
            n_supports=2,
            rho=[-0.001],
            kernel_type=kernel,
            kernel_params=[0.1, 0.5, 2],
            one_class=one_class,
        )
    case(
        "liblinear",
        "SVMRegressor",
        rows,
        coefficients=[0.5, -0.4, 1],
        rho=[-0.001],
        kernel_type="RBF",
        kernel_params=[0.1, 0, 3],
    )
    doubles = np.array([[1.0, 2.0]])
    case("doubles", "SVMRegressor", doubles, coefficients=[0.5, -0.25], rho=[1.0], expected=[floats([1])])


def columns() -> None:
    case("a value for each column", "Scaler", X, offset=[1.0, 2], scale=[2.0, 3])
    case("one for all", "Scaler", X, offset=[1.0], scale=[2.0])
    case("one row", "Scaler", X[0], offset=[1.0, 2], scale=[2.0, 3])
    for kind in (np.float64, np.int64, np.int32):
        case(np.dtype(kind).name, "Scaler", np.array([[1, 2], [-3, 5]], kind), offset=[1.0, 2], scale=[2.0, 3])
    case("no offset", "Scaler", X, scale=[2.0, 3], expected=[floats([2, 6], [-6, 1.5], [0, 0])])
    for norm, kind in product(["MAX", "L1", "L2"], [np.float32, np.float64, np.int64]):
        case(f"{norm}, {np.dtype(kind).name}", "Normalizer", np.array([[1, -4], [0, 0], [-3, -1]], kind), norm=norm)
    case("one row", "Normalizer", floats(1, -4), norm="L1")
    case(
        "NaN, a value for each column",
        "Imputer",
        floats([1, NAN], [NAN, 2]),
        imputed_value_floats=[5.0, 6],
        replaced_value_float=NAN,
    )
    case("zero, one for all", "Imputer", floats([1, NAN], [0, 2]), imputed_value_floats=[5.0], replaced_value_float=0.0)
    case("integers", "Imputer", np.array([[1, 0], [0, 3]]), imputed_value_int64s=[5, 6], replaced_value_int64=0)
    case("one row", "Imputer", floats(NAN, 0), imputed_value_floats=[5.0, 6], replaced_value_float=NAN)
    case(
        "doubles",
        "Imputer",
        np.array([[NAN, 0.1]]),
        imputed_value_floats=[0.5],
        replaced_value_float=NAN,
        expected=[np.array([[0.5, 0.1]])],
    )
    case("floats", "Binarizer", floats([1, 2, 0.5]), threshold=0.5)
    case("default", "Binarizer", floats([1, 0, -0.5]))
    case("integers", "Binarizer", np.array([[1, 2]]), threshold=1.5, expected=[np.array([[0, 1]])])
    table = floats([1, 2, 3], [4, 5, 6])
    for title, indices in {"list": [2, 0], "column": [[2], [0]], "twice": [1, 1]}.items():
        case(title, "ArrayFeatureExtractor", table, np.array(indices))
    case("of one row of strings", "ArrayFeatureExtractor", texts("a", "b"), np.array([[1], [0], [1]]))
    case("of integers", "ArrayFeatureExtractor", np.array([[1, 2]]), np.array([1]))
    case("three dimensions", "ArrayFeatureExtractor", table.reshape(1, 2, 3), np.array([1]))
    case("a scalar", "ArrayFeatureExtractor", table, np.array(1))
    case("two inputs", "FeatureVectorizer", table, floats([9], [8]), inputdimensions=[3, 1])
    case("cut and filled", "FeatureVectorizer", table, table, inputdimensions=[2, 4])
    case("one row", "FeatureVectorizer", table[0], table[1], inputdimensions=[3, 3])
    case("integers", "FeatureVectorizer", np.array([[1, 2]]), np.array([[3]]), inputdimensions=[2, 1])


def encoders() -> None:
    case("strings", "OneHotEncoder", texts(["a"], ["z"]), cats_strings=["a", "b"])
    case("one row", "OneHotEncoder", texts("a", "b"), cats_strings=["a", "b"])
    case("floats", "OneHotEncoder", floats(1.7, -1.2), cats_int64s=[1, -1])
    case("integers, one twice", "OneHotEncoder", np.array([1, 2, 7]), cats_int64s=[1, 1, 2])
    case("doubles", "OneHotEncoder", np.array([[1.0]]), cats_int64s=[1])
    case("zeros=0, all known", "OneHotEncoder", texts("b"), cats_strings=["a", "b"], zeros=0)
    words, numbers = texts("a", "z", "b"), floats(1, NAN, -0.0, 3)
    case("version 1, strings", "LabelEncoder", words, ml=1, classes_strings=["a", "b", "a"], default_int64=-7)
    case(
        "version 1, integers", "LabelEncoder", np.array([0, 1, 9]), ml=1, classes_strings=["a", "b"], default_string="d"
    )
    case("version 1, default", "LabelEncoder", np.array([0, 1, 9]), ml=1, classes_strings=["a", "b"])
    keys = {
        "strings": (words, {"keys_strings": ["a", "b"]}),
        "int64s": (np.array([1, 2, 9]), {"keys_int64s": [1, 2]}),
        "floats": (numbers, {"keys_floats": [1.0, 0.0]}),
    }
    values = {
        "strings": {"values_strings": ["p", "q"]},
        "int64s": {"values_int64s": [5, 6]},
        "floats": {"values_floats": [0.5, 1.5]},
    }
    defaults = {"strings": {"default_string": "d"}, "int64s": {"default_int64": 99}, "floats": {"default_float": 9.5}}
    for (key, (asked, given)), (value, found), with_default in product(keys.items(), values.items(), [False, True]):
        default = defaults[value] if with_default else {}
        case(f"{key} to {value}, default {with_default}", "LabelEncoder", asked, ml=2, **given, **found, **default)
    # By its bits, the specification says; ONNX Runtime finds NaN only where both are numbers of 64 bits.
    case(
        "NaN as key",
        "LabelEncoder",
        numbers,
        ml=2,
        keys_floats=[1.0, NAN, 0.0],
        values_strings=["one", "nan", "zero"],
        expected=[texts("one", "nan", "zero", "_Unused")],
    )
    case("a key twice", "LabelEncoder", words, ml=2, keys_strings=["a", "a"], values_int64s=[1, 2])
    doubles = np.array([1.0, NAN, 2.0])
    case(
        "tensors with default",
        "LabelEncoder",
        doubles,
        keys_tensor=constant(np.array([1.0, NAN])),
        values_tensor=constant(np.array([10, 20])),
        default_tensor=constant(np.array([-5])),
    )
    case("tensor of doubles", "LabelEncoder", words, keys_strings=["a"], values_tensor=constant(np.array([1.5])))
    case("tensor of strings", "LabelEncoder", words, keys_tensor=constant(texts("a")), values_strings=["b"])
    case(
        "tensor of short integers",
        "LabelEncoder",
        words,
        keys_strings=["a"],
        values_tensor=constant(np.array([7], np.int16)),
        expected=[np.array([7, -1, -1], np.int16)],
    )
    case("strings", "CategoryMapper", words, ml=1, cats_strings=["a", "b", "a"], cats_int64s=[1, 2, 3])
    case(
        "integers",
        "CategoryMapper",
        np.array([1, 9, 2]),
        ml=1,
        cats_strings=["a", "b", "c"],
        cats_int64s=[1, 2, 1],
        default_string="x",
    )


def strings() -> None:
    words = texts("Ab", "CD", "", "ab")
    for action, sensitive, stop in product(["NONE", "LOWER", "UPPER"], [0, 1], [None, ["ab"]]):
        case(
            f"{action}, sensitive {sensitive}, stop {stop}",
            "StringNormalizer",
            words,
            domain="",
            case_change_action=action,
            is_case_sensitive=sensitive,
            stopwords=stop,
            locale="C.UTF-8",
        )
    case(
        "one row",
        "StringNormalizer",
        texts(["Ab", "b"]),
        domain="",
        case_change_action="LOWER",
        stopwords=["b"],
        locale="C.UTF-8",
    )
    case("nothing left", "StringNormalizer", texts("ab"), domain="", stopwords=["ab"], locale="C.UTF-8")
    case(
        "letters beyond ASCII",
        "StringNormalizer",
        texts("ÄÖ ß"),
        domain="",
        case_change_action="LOWER",
        locale="C.UTF-8",
    )
    case(
        "letters that would become two",
        "StringNormalizer",
        texts("äö ß"),
        domain="",
        case_change_action="UPPER",
        locale="C.UTF-8",
    )

    numbers = np.array([[1, 1, 3, 3, 3, 7], [8, 6, 7, 5, 6, 8]], np.int32)
    pool = {
        "ngram_counts": [0, 4],
        "ngram_indexes": [0, 1, 2, 3, 4, 5, 6],
        "pool_int64s": [2, 3, 5, 4, 5, 6, 7, 8, 6, 7],
    }
    for mode, (least, most), skip, weighed in product(
        ["TF", "IDF", "TFIDF"], [(1, 1), (1, 2), (2, 2)], [0, 1, 5], [False, True]
    ):
        case(
            f"{mode}, {least} to {most}, skip {skip}, weighed {weighed}",
            "TfIdfVectorizer",
            numbers,
            domain="",
            mode=mode,
            min_gram_length=least,
            max_gram_length=most,
            max_skip_count=skip,
            weights=[1.0, 2, 3, 4, 5, 6, 7] if weighed else None,
            **pool,
        )
    case(
        "one row",
        "TfIdfVectorizer",
        numbers[1].astype(np.int64),
        domain="",
        mode="TF",
        min_gram_length=1,
        max_gram_length=2,
        max_skip_count=0,
        **pool,
    )
    case(
        "strings",
        "TfIdfVectorizer",
        texts(["a", "b", "a"], ["b", "b", "z"]),
        domain="",
        mode="TFIDF",
        min_gram_length=1,
        max_gram_length=2,
        max_skip_count=0,
        ngram_counts=[0, 2],
        ngram_indexes=[2, 0, 1],
        pool_strings=["a", "b", "b", "a"],
        weights=[0.5, 0.25, 2],
    )
    case(
        "three tokens",
        "TfIdfVectorizer",
        texts(["a", "b", "c", "a", "b"]),
        domain="",
        mode="TF",
        min_gram_length=3,
        max_gram_length=3,
        max_skip_count=1,
        ngram_counts=[0, 0, 0],
        ngram_indexes=[0, 1],
        pool_strings=["a", "b", "c", "a", "c", "b"],
    )

    def tokens(title: str, given: np.ndarray, **attributes: object) -> None:
        case(
            title,
            "Tokenizer",
            given,
            domain="com.microsoft",
            **{"pad_value": "#", "mark": 0, "mincharnum": 1, **attributes},
        )

    tokens("expression", texts("ab cd, e", "", "x"), tokenexp="[a-zA-Z0-9_]+")
    tokens("two dimensions", texts(["ab cd", "q"], ["", "a b c"]), tokenexp="[a-z]+")
    tokens("marks", texts("ab cd", ""), tokenexp="[a-z]+", mark=1)
    tokens("separators", texts("ab c, d.e"), separators=[", ", "[.]", " "])
    tokens("separators beside each other, least 2", texts("ab c  d"), separators=[" "], mincharnum=2)
    tokens("characters", texts("äbc"), separators=[""])
    tokens("any character", texts("äbc"), tokenexp=".")
    tokens("nothing", texts("", ""), tokenexp="[a-z]+")
    tokens("ASCII's letters", texts("äb cd"), tokenexp="\\w+")
    tokens("an expression that may be empty", texts("ab  cd "), tokenexp="[a-z]*")
    split = {"outputs": 2, "domain": ""}
    case("delimiter", "StringSplit", texts("a b  c", "", " x "), delimiter=" ", **split)
    case("white space", "StringSplit", texts("a b  c", "", " x "), **split)
    case("two splits", "StringSplit", texts("a,b,,c,", ""), delimiter=",", maxsplit=2, **split)
    case("one split at white space", "StringSplit", texts(["a b c  ", " d"]), maxsplit=1, **split)
    case("no split", "StringSplit", texts("a b"), maxsplit=0, **split)
    case("nothing", "StringSplit", texts("  "), **split)
    case("broadcast", "StringConcat", texts(["a"], ["b"]), texts("c", "d"), domain="")
    case(
        "whole",
        "RegexFullMatch",
        texts("www.google.com", "a", "www.google.com.au"),
        domain="",
        pattern=r"www\.[\w.-]+\.\bcom\b",
    )
    case("alternatives", "RegexFullMatch", texts("ab", "b", "a"), domain="", pattern="a|ab")
    case("ASCII's letters", "RegexFullMatch", texts("é", "e"), domain="", pattern=r"\w")


def casts() -> None:
    def cast(title: str, values: np.ndarray, to: int) -> None:
        case(title, "Cast", values, domain="", to=to)

    cast("floats to strings", floats(1, 0.1, 1e10, NAN, np.inf, -np.inf, -0.0, 1e-7, 123456789, 1 / 3), 8)
    cast("doubles to strings", np.array([1, 0.1, 1e20, NAN, 1 / 3]), 8)
    cast("integers to strings", np.array([1, -5, 2**40]), 8)
    cast("truths to strings", np.array([True, False]), 8)
    cast("strings to floats", texts("1", "2.5", "NaN", "INF", "-inf", "1e3", " 4"), 1)
    cast("strings to doubles", texts("0.1", "-7"), 11)
    cast("strings to integers", texts("1", "2.5", "-9"), 7)
    cast("large integers to integers", np.array([2**40, -(2**40)]), 7)
    cast("large doubles to integers", np.array([2.0**40, -(2.0**33)]), 7)
    cast("integers to floats", np.array([2**24 + 1, -3]), 1)
    case("strings", "Equal", texts("a", "b"), texts("a", "c"), domain="")
    case("strings", "Where", np.array([True, False]), texts("a", "b"), texts("c", "d"), domain="")
    case("strings", "Concat", texts(["a"]), texts(["b"]), domain="", axis=1)
    case("strings", "Identity", texts("a"), domain="")


def maps() -> None:
    def given(
        kinds: tuple, operator: str, title: str, rows: list, expected: list | None = None, **attributes: object
    ) -> None:
        """A map for each row: ONNX Runtime is asked for one after another. Its Python package has maps of FLOAT alone."""
        keys, values, answer = kinds
        kind = TypeProto()
        kind.map_type.key_type, kind.map_type.value_type.tensor_type.elem_type = keys, values
        node = helper.make_node(operator, ["x0"], ["y0"], name="n", domain=ML, **attributes)
        answers = [helper.make_tensor_value_info("y0", answer, None)]
        graph = helper.make_graph([node], "g", [helper.make_value_info("x0", kind)], answers)
        sets = [helper.make_opsetid("", 20), helper.make_opsetid(ML, 1)]
        content = helper.make_model(graph, opset_imports=sets, ir_version=9).SerializeToString()
        if expected is None:
            session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
            expected = np.concatenate([session.run(None, {"x0": row})[0] for row in rows])
        request = {"inputs": [tensor("x0", texts(*(json.dumps(row) for row in rows)))]}
        sample = {"request": request, "response": {"outputs": [tensor("y0", expected)]}, "tolerance": 1e-5}
        CASES.append({"name": f"{operator}, {title}", "model": base64.b64encode(content).decode(), "sample": sample})

    text, float_, double, whole = TensorProto.STRING, TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64
    words, numbers = {"string_vocabulary": ["a", "b", "c"]}, {"int64_vocabulary": [5, -1, 9]}
    rows = [{"a": 1.5, "c": -2}, {"z": 1}, {"c": 1e30, "b": 0.1, "z": 3}]
    vectorise = "DictVectorizer"
    given((text, float_, float_), vectorise, "strings to floats", rows, **words)
    given((text, float_, float_), vectorise, "a word twice", rows, string_vocabulary=["a", "c", "a"])
    given((whole, float_, float_), vectorise, "integers to floats", [{5: 1.5, 9: 2}, {3: 1}, {-1: -1}], **numbers)
    given((text, double, double), vectorise, "doubles", rows, np.array([[1.5, 0, -2], [0, 0, 0], [0, 0.1, 1e30]]), **words)
    given((text, whole, whole), vectorise, "whole numbers", [{"b": 2**60}, {}], np.array([[0, 2**60, 0], [0, 0, 0]]), **words)
    given((whole, double, double), vectorise, "none", [{}, {7: 1}], np.zeros((2, 3)), **numbers)
    words = [{5: "ä", 9: ""}, {-1: "x"}]
    given((whole, text, text), vectorise, "integers to strings", words, texts(["ä", "", ""], ["", "x", ""]), **numbers)
    rows = [{2: 1.5, 0: -2.7}, {1: 3e10, 4: 0.1}]
    for to, code in (("TO_FLOAT", float_), ("TO_INT64", whole), ("TO_STRING", text)):
        given((whole, float_, code), "CastMap", f"floats, dense, {to}", rows, cast_to=to)
        sparse = {"map_form": "SPARSE", "max_map": 4}
        given((whole, float_, code), "CastMap", f"floats, sparse, {to}", [*rows, {9: 1.0}], cast_to=to, **sparse)
    rows = [{3: "1.5", 1: "-2"}]
    given((whole, text, float_), "CastMap", "strings to floats", rows, floats([-2, 1.5]))
    given((whole, text, whole), "CastMap", "strings to integers", rows, np.array([[-2, 1]]), cast_to="TO_INT64")
    sparse = {"cast_to": "TO_STRING", "map_form": "SPARSE", "max_map": 3}
    given((whole, text, text), "CastMap", "strings, sparse", rows, texts(["0.f", "-2", "0.f"]), **sparse)


def hashes() -> None:
    numbers = [np.array([1, -5, 2**40]), np.array([1, -5], np.int32), floats(1, -0.5), np.array([0.1, -7.0])]
    for values in (texts(["a", ""], ["Hello, world!", "äö"]), *numbers):
        for seed, positive in ((0, 0), (7, 1)):
            title = f"{values.dtype.name}, seed {seed}, positive {positive}"
            case(title, "MurmurHash3", values, domain="com.microsoft", seed=seed, positive=positive)


def estimators() -> None:
    """What several nodes of a file become one for (engine/tract/fuse), and a KNNImputer."""
    dice = np.random.default_rng(3)
    rows, asked = dice.normal(0, 2, (2, 24, 5)).astype(np.float32)
    asked = asked[:7]
    number, name = rows[:, 0] - rows[:, 1] * rows[:, 2], (rows[:, 0] > 0).astype(int) + (rows[:, 3] > 1)
    for kind in (np.float32, np.float64):
        called, data, rest = np.dtype(kind).name, rows.astype(kind), asked.astype(kind)
        whole(f"GaussianNB, {called}", naive_bayes.GaussianNB(), data, name, rest)
        whole(f"KNeighborsClassifier, {called}", neighbors.KNeighborsClassifier(3), data, name, rest)
        by_distance = neighbors.KNeighborsRegressor(4, weights="distance")
        whole(f"KNeighborsRegressor, {called}", by_distance, data, number, rest)
    whole("RadiusNeighborsRegressor", neighbors.RadiusNeighborsRegressor(6.0), rows, number, asked, ours=True)
    whole("RadiusNeighborsClassifier", neighbors.RadiusNeighborsClassifier(6.0), rows, name, asked, ours=True)
    process = gaussian_process.GaussianProcessClassifier(gaussian_process.kernels.RBF(2.0, "fixed"))
    whole("GaussianProcessClassifier", process, rows.astype(np.float64), name > 0, asked.astype(np.float64), ours=True)
    scalers = [preprocessing.MinMaxScaler(), preprocessing.StandardScaler(), decomposition.PCA(3)]
    whole("scalers, PCA", make_pipeline(*scalers), rows, None, asked)
    whole("LinearRegression of 11 rows", linear_model.LinearRegression(), rows, number, np.vstack([asked, asked[:4]]))
    counts, some = dice.integers(-3, 4, (2, 40, 4)).astype(np.float32)
    some = some[:6]
    for encoder in (preprocessing.OneHotEncoder(handle_unknown="ignore"), preprocessing.OrdinalEncoder()):
        columns = make_column_transformer((encoder, [2, 0, 3, 1]), sparse_threshold=0)
        whole(type(encoder).__name__, columns, counts, None, some)
    holes = [np.where(dice.random(part.shape) < 0.25, NAN, part).astype(np.float32) for part in (rows, asked)]
    whole("KNNImputer", impute.KNNImputer(n_neighbors=3), holes[0], None, holes[1])
    # ONNX Runtime fails on a row of which nothing is known, and on a column.
    holes[1][2] = NAN
    whole("KNNImputer, an empty row", impute.KNNImputer(n_neighbors=3), holes[0], None, holes[1], ours=True)
    holes[0][:, 1] = NAN
    whole("KNNImputer, an empty column", impute.KNNImputer(n_neighbors=3), holes[0], None, holes[1], ours=True)


for group in (estimators, linear, machines, columns, encoders, strings, casts, maps, hashes):
    group()
lines = ",\n".join(json.dumps(one, ensure_ascii=False) for one in CASES)
(Path(__file__).parent / "reference.json").write_text(f"[\n{lines}\n]\n")
print(f"{len(CASES)} cases")
