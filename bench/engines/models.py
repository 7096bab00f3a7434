"""The models that engines are timed on, made here: the same on every machine but for rounding."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_digits, make_friedman1
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import SVC, SVR

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


def classifier(estimator):
    """An estimator, or a pipeline of several, on the digits."""
    x, y = load_digits(return_X_y=True)
    x = x.astype(np.float32)
    return to_onnx(estimator.fit(x, y), x[:1], options={"zipmap": False}), x[:ROWS]


def regressor(estimator):
    """An estimator of one number, of twenty."""
    x, y = make_friedman1(2000, n_features=20, noise=0.5, random_state=0)
    x = x.astype(np.float32)
    return to_onnx(estimator.fit(x, y), x[:1]), x[:ROWS]


def categories(encoder):
    """Eight columns of ten categories each, encoded, before a linear classifier."""
    dice = np.random.default_rng(0)
    x = dice.integers(0, 10, (2000, 8)).astype(np.float32)
    y = (x.sum(axis=1) + dice.normal(0, 3, len(x)) > 36).astype(int)
    encoded = make_column_transformer((encoder, list(range(x.shape[1]))))
    model = make_pipeline(encoded, LogisticRegression(max_iter=500)).fit(x, y)
    return to_onnx(model, x[:1], options={"zipmap": False}), x[:ROWS]


def layers(*widths):
    """Fully connected layers with ReLU between them and a softmax at the end; what the weights are does not matter to the time."""
    dice = np.random.default_rng(0)
    nodes, weights, value = [], [], "x"
    for at, (depth, width) in enumerate(zip(widths, widths[1:])):
        scale = np.float32(depth**-0.5)
        weights.append(numpy_helper.from_array(dice.standard_normal((depth, width), np.float32) * scale, f"w{at}"))
        weights.append(numpy_helper.from_array(dice.standard_normal(width, np.float32), f"b{at}"))
        nodes.append(helper.make_node("Gemm", [value, f"w{at}", f"b{at}"], [f"sum{at}"]))
        value = f"value{at}" if at + 2 < len(widths) else "y"
        nodes.append(helper.make_node("Softmax" if value == "y" else "Relu", [f"sum{at}"], [value]))
    port = lambda name, width: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", width])
    graph = helper.make_graph(nodes, "layers", [port("x", widths[0])], [port("y", widths[-1])], weights)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return proto, dice.random((256, widths[0]), np.float32)


#: How many times faster than ONNX Runtime we want to be, by the rows of a request.
TREES = {1: 1.0, 32: 1.0, 1000: 1.5}
NETWORKS = {1: 1.0, 32: 1.0, 256: 1.0}

OTHERS = {1: 1.0, 32: 1.0, 1000: 1.0}

#: What engines of our own are made for.
MODELS = {
    "forest 100 x 10": (forest, TREES),
    "booster 500 x 6": (booster, TREES),
    "layers 784-32-10": (lambda: layers(784, 32, 10), NETWORKS),
    "layers 20-64-64-3": (lambda: layers(20, 64, 64, 3), NETWORKS),
    "layers 100-256-256-100": (lambda: layers(100, 256, 256, 100), NETWORKS),
    "layers 784-512-256-10": (lambda: layers(784, 512, 256, 10), NETWORKS),
}

#: What else scikit-learn's users bring. It runs in tract, with operators of ours in it.
ESTIMATORS = {
    "logistic regression": (lambda: classifier(LogisticRegression(max_iter=500)), OTHERS),
    "linear regression": (lambda: regressor(LinearRegression()), OTHERS),
    "scalers, PCA, logistic": (
        lambda: classifier(make_pipeline(MinMaxScaler(), StandardScaler(), PCA(16), LogisticRegression(max_iter=500))),
        OTHERS,
    ),
    "SVC linear": (lambda: classifier(SVC(kernel="linear")), OTHERS),
    "SVC rbf": (lambda: classifier(SVC()), OTHERS),
    "SVC poly": (lambda: classifier(SVC(kernel="poly")), OTHERS),
    "SVR rbf": (lambda: regressor(SVR()), OTHERS),
    "nearest neighbours": (lambda: classifier(KNeighborsClassifier()), OTHERS),
    "Gaussian naive Bayes": (lambda: classifier(GaussianNB()), OTHERS),
    "one-hot, logistic": (lambda: categories(OneHotEncoder()), OTHERS),
    "ordinal, logistic": (lambda: categories(OrdinalEncoder()), OTHERS),
}


ROWS_OF_EXAMPLES = 32


def tokens():
    """Sentences of 32 tokens, as MiniLM takes them."""
    ids = np.random.default_rng(1).integers(1000, 30_000, (ROWS_OF_EXAMPLES, 32))
    return {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}


def noise(name, *shape, rows=ROWS_OF_EXAMPLES):
    """Pictures of nothing: what they hold does not matter to the time."""
    return {name: np.random.default_rng(2).random((rows, *shape), np.float32)}


def beginnings():
    """The first and last 1 024 bytes of files, as magika takes them."""
    return {"bytes": np.random.default_rng(3).integers(0, 256, (ROWS_OF_EXAMPLES, 2048)).astype(np.int32)}


#: Networks of the examples, which their own scripts fetch: the folder, and the inputs.
EXAMPLES = {
    "MiniLM, 32 tokens": ("sentence-embeddings", tokens),
    "magika": ("magika", beginnings),
    "PP-OCR, text direction": ("text-direction", lambda: noise("x", 3, 48, 192)),
    # A second for a picture in one of the engines: one is enough.
    "YOLOX-s, QR codes": ("qr-codes", lambda: noise("input", 3, 640, 640, rows=1)),
}


def lay(folder, inputs):
    """Writes inputs as engine_time reads them: a file for each, its shape before its rows."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in inputs.items():
        shape = np.array([rows.ndim - 1, *rows.shape[1:]], np.int64)
        (folder / name).write_bytes(shape.tobytes() + np.ascontiguousarray(rows).tobytes())


def write(folder, models):
    """Makes what is not in `folder` yet: for each of the models its file, its rows, and the goals."""
    made = {}
    for name, (make, goals) in models.items():
        stem = folder / name.replace(" ", "-")
        model, rows = stem.with_suffix(".onnx"), stem.with_suffix(".bin")
        if not (model.is_file() and rows.is_file()):
            print(f"making {name}", flush=True)
            proto, values = make()
            values.tofile(rows)
            model.write_bytes(proto.SerializeToString())
        made[name] = ((model, rows), goals)
    return made
