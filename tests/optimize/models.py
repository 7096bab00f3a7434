"""Models that tests/optimize/check.py optimises, made here: networks, and tree ensembles with all that merging looks for."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from sklearn import datasets, ensemble, tree

RANDOM = np.random.default_rng(0)


def graph(name, nodes, weights, shapes, opset=17):
    """A model of one input `x` and one output `y`."""
    value = lambda which, dims: helper.make_tensor_value_info(which, TensorProto.FLOAT, dims)
    tensors = [numpy_helper.from_array(array, key) for key, array in weights.items()]
    made = helper.make_graph(nodes, name, [value("x", shapes[0])], [value("y", shapes[1])], tensors)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def weight(*shape):
    return (RANDOM.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)


def normalised():
    """Convolutions with batch normalisations, one with a bias; dropout, identities, equal weights, constants, and nodes for nothing."""
    weights = {"w1": weight(16, 3, 3, 3), "w2": weight(16, 16, 3, 3), "b2": weight(16), "dead": weight(40, 40), "g": weight(10, 16)}
    for number in "12":
        weights |= {f"s{number}": RANDOM.uniform(0.5, 2, 16).astype(np.float32), f"h{number}": weight(16), f"m{number}": weight(16),
                    f"v{number}": RANDOM.uniform(0.1, 3, 16).astype(np.float32)}
    weights["g2"] = weights["g"].copy()
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "w1"], ["c1"], pads=[1] * 4),
        node("BatchNormalization", ["c1", "s1", "h1", "m1", "v1"], ["n1"], epsilon=1e-3),
        node("Identity", ["n1"], ["i1"]),
        node("Relu", ["i1"], ["r1"]),
        node("Dropout", ["r1"], ["d1"]),
        node("Conv", ["d1", "w2", "b2"], ["c2"], strides=[2, 2]),
        node("BatchNormalization", ["c2", "s2", "h2", "m2", "v2"], ["n2"]),
        node("GlobalAveragePool", ["n2"], ["p"]),
        node("Constant", [], ["shape"], value=numpy_helper.from_array(np.array([0, 16], np.int64))),
        node("Reshape", ["p", "shape"], ["f"]),
        node("Gemm", ["f", "g"], ["left"], transB=1),
        node("Gemm", ["f", "g2"], ["right"], transB=1),
        node("MatMul", ["dead", "dead"], ["nothing"]),
        node("Add", ["left", "right"], ["sum"]),
        node("Identity", ["sum"], ["y"]),
    ]
    return graph("normalised", nodes, weights, (["n", 3, 12, 12], ["n", 10]))


def branches():
    """Graphs within a node that use names from outside, one of them an identity's."""
    inner = lambda name, operator: helper.make_graph(
        [helper.make_node(operator, ["same", "w"], [name])], name, [], [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 20])])
    nodes = [
        helper.make_node("Identity", ["x"], ["same"]),
        helper.make_node("ReduceSum", ["x"], ["total"], keepdims=0),
        helper.make_node("Greater", ["total", "zero"], ["positive"]),
        helper.make_node("If", ["positive"], ["y"], then_branch=inner("one", "MatMul"), else_branch=inner("other", "MatMul")),
    ]
    return graph("branches", nodes, {"w": weight(20, 20), "zero": np.array(0, np.float32)}, (["n", 20], ["n", 20]))


def layers(idle=False):
    """A product of three dimensions, as transformers have it, with a GELU of five nodes; where `idle`, half of its channels do nothing."""
    weights = {"w": weight(32, 64), "b": weight(64), "v": weight(64, 32), "root": np.array(2**0.5, np.float32),
               "one": np.array(1, np.float32), "half": np.array(0.5, np.float32)}
    if idle:
        weights["v"][RANDOM.permutation(64)[:32]] = 0
    node = helper.make_node
    nodes = [node("MatMul", ["x", "w"], ["a"]), node("Add", ["a", "b"], ["c"]), node("Div", ["c", "root"], ["d"]), node("Erf", ["d"], ["e"]),
             node("Add", ["e", "one"], ["f"]), node("Mul", ["c", "f"], ["g"]), node("Mul", ["g", "half"], ["h"]), node("MatMul", ["h", "v"], ["y"])]
    return graph("idle-layers" if idle else "layers", nodes, weights, (["n", 7, 32], ["n", 7, 32]))


def filters():
    """Convolutions of which half the filters do nothing, through a depthwise one, a normalisation and pools into a dense layer."""
    weights = {"w": weight(8, 3, 3, 3), "b": weight(8), "d": weight(8, 1, 3, 3), "e": weight(8), "k": weight(6, 8, 1, 1), "g": weight(6 * 4, 20)}
    weights |= {"s": RANDOM.uniform(0.5, 2, 8).astype(np.float32), "h": weight(8), "m": weight(8), "v": RANDOM.uniform(0.1, 3, 8).astype(np.float32)}
    weights["k"][:, RANDOM.permutation(8)[:4]] = 0
    weights["g"].reshape(6, 4, 20)[RANDOM.permutation(6)[:3]] = 0
    node = helper.make_node
    nodes = [node("Conv", ["x", "w", "b"], ["a"]), node("Relu", ["a"], ["a2"]), node("Conv", ["a2", "d", "e"], ["c"], group=8, pads=[1] * 4),
             # Not folded: another convolution's output would have to be its own.
             node("Clip", ["c", "low", "high"], ["c2"]), node("BatchNormalization", ["c2", "s", "h", "m", "v"], ["n"]),
             node("Conv", ["n", "k"], ["f"]), node("Relu", ["f"], ["f2"]), node("MaxPool", ["f2"], ["p"], kernel_shape=[4, 4], strides=[4, 4]),
             node("Flatten", ["p"], ["q"]), node("Gemm", ["q", "g"], ["y"])]
    weights |= {"low": np.array(-6, np.float32), "high": np.array(6, np.float32)}
    return graph("filters", nodes, weights, (["n", 3, 10, 10], ["n", 20]))


MODES = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"]


def wild(operator, sums, count=12, depth=7, modes=MODES):
    """Trees whose questions repeat, with leaves that repeat: halves where `sums` are to be exact, anything otherwise."""
    lists = {name: [] for name in ("treeids", "nodeids", "featureids", "modes", "values", "truenodeids", "falsenodeids", "missing_value_tracks_true")}
    given = {name: [] for name in ("treeids", "nodeids", "ids", "weights")}
    classes = 3 if operator.endswith("Classifier") else 2

    def grow(number, left, random):
        node = len([one for one in lists["treeids"] if one == number])
        is_leaf = left == 0 or random.random() < 0.1
        value = float(random.integers(-3, 4)) / 2
        row = [number, node, int(random.integers(3)), "LEAF" if is_leaf else str(random.choice(modes)), 0.0 if is_leaf else value, 0, 0, int(random.integers(2))]
        for name, one in zip(lists, row):
            lists[name].append(one)
        at = len(lists["treeids"]) - 1
        if is_leaf:
            for target in sorted(random.choice(classes, size=int(random.integers(1, 3)), replace=False).tolist()):
                weights = float(random.integers(-2, 3)) / 2 if sums else float(np.float32(random.choice([0.1, 0.7, -0.3])))
                for name, one in zip(given, (number, node, target, weights)):
                    given[name].append(one)
            return node
        lists["truenodeids"][at] = grow(number, left - 1, random)
        lists["falsenodeids"][at] = grow(number, left - 1, random)
        return node

    for number in range(count):
        # Every third tree is the first of its kind again.
        grow(number, depth, np.random.default_rng(0 if number % 3 == 0 else number))
    what = "class" if operator.endswith("Classifier") else "target"
    attributes = {f"nodes_{name}": value for name, value in lists.items()} | {f"{what}_{name}": value for name, value in given.items()}
    attributes["nodes_hitrates"] = [1.0] * len(lists["treeids"])
    if what == "class":
        node = helper.make_node(operator, ["x"], ["label", "y"], domain="ai.onnx.ml", classlabels_int64s=[4, 5, 6], **attributes)
        outputs = [helper.make_tensor_value_info("label", TensorProto.INT64, ["n"]), helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", classes])]
    else:
        node = helper.make_node(operator, ["x"], ["y"], domain="ai.onnx.ml", n_targets=classes, **attributes)
        outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", classes])]
    return forest(f"wild-{what}{'-exact' if sums else ''}", node, outputs, 3)


def forest(name, node, outputs, version):
    made = helper.make_graph([node], name, [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])], outputs)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", version)], ir_version=8)


def arrays(count=6, depth=6):
    """TreeEnsemble (ai.onnx.ml 5): questions of all kinds but members, which ONNX Runtime 1.32 answers otherwise than the specification says;
    leaves of halves."""
    made = {name: [] for name in ("featureids", "modes", "splits", "truenodeids", "trueleafs", "falsenodeids", "falseleafs", "missing_value_tracks_true")}
    roots, targets, weights = [], [], []
    random = np.random.default_rng(3)

    def grow(left):
        if left == 0:
            targets.append(int(random.integers(2)))
            weights.append(float(random.integers(-1, 2)) / 2)
            return len(targets) - 1, 1
        at, mode = len(made["modes"]), int(random.integers(6))
        for name, one in zip(made, (int(random.integers(3)), mode, float(random.integers(-3, 4)) / 2, 0, 0, 0, 0, int(random.integers(2)))):
            made[name].append(one)
        made["truenodeids"][at], made["trueleafs"][at] = grow(left - 1)
        made["falsenodeids"][at], made["falseleafs"][at] = grow(left - 1)
        return at, 0

    for _ in range(count):
        roots.append(len(made["modes"]))
        grow(depth)
    tensor = lambda name, values, kind: helper.make_tensor(name, kind, [len(values)], values)
    attributes = {f"nodes_{name}": value for name, value in made.items() if name not in ("modes", "splits")}
    node = helper.make_node(
        "TreeEnsemble", ["x"], ["y"], domain="ai.onnx.ml", n_targets=2, aggregate_function=1, post_transform=0, tree_roots=roots,
        nodes_modes=tensor("m", made["modes"], TensorProto.UINT8), nodes_splits=tensor("s", made["splits"], TensorProto.FLOAT),
        leaf_targetids=targets, leaf_weights=tensor("w", weights, TensorProto.FLOAT), **attributes)
    return forest("arrays", node, [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])], 5)


def learnt():
    """Ensembles that scikit-learn learnt, as skl2onnx writes them."""
    import skl2onnx
    from skl2onnx.common.data_types import FloatTensorType

    x, y = datasets.load_breast_cancer(return_X_y=True)
    digits = datasets.load_digits(return_X_y=True)
    for name, model, (rows, truths) in [
        ("forest", ensemble.RandomForestClassifier(20, max_depth=8, random_state=0), digits),
        ("boosting", ensemble.GradientBoostingClassifier(n_estimators=30, random_state=0), (x, y)),
        ("regressor", ensemble.RandomForestRegressor(20, max_depth=8, random_state=0), (x, y)),
        ("tree", tree.DecisionTreeClassifier(random_state=0), (x, y)),
    ]:
        model.fit(rows.astype(np.float32), truths)
        options = {"zipmap": False} if hasattr(model, "classes_") else {}
        kind = [("x", FloatTensorType([None, rows.shape[1]]))]
        yield name, skl2onnx.convert_sklearn(model, initial_types=kind, options={id(model): options} if options else None), rows.astype(np.float32)
