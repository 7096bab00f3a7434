#!/usr/bin/env python3
"""Writes reference.json beside it: small networks of operators that tract answers wrongly or not at all, requests, and the answers of ONNX
Runtime, or worked by hand (by onnx's reference, or by turning a batch around) where ONNX Runtime has no such kernel. Each is in the form of
a sample.json. Needs onnx 1.23 and onnxruntime 1.32 (tests/models/estimators)."""

import base64
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, ValueInfoProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

onnxruntime.set_default_logger_severity(4)
NAMES = {"float32": "FP32", "float16": "FP16", "float64": "FP64", "int64": "INT64", "int32": "INT32", "bool": "BOOL"}
NAMES |= {f"uint{bits}": f"UINT{bits}" for bits in (8, 16, 32, 64)} | {"int8": "INT8", "int16": "INT16"}
CASES = []
DICE = np.random.default_rng(7)


def numbers(*shape: int, scale: float = 1.0) -> np.ndarray:
    return (DICE.standard_normal(shape) * scale).astype(np.float32)


def plain(value: object) -> object:
    if not isinstance(value, float):
        return value
    if not np.isfinite(value):
        return "NaN" if np.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    # As few digits as tell FP32 from its neighbours.
    return float(str(np.float32(value)))


def tensor(name: str, values: np.ndarray) -> dict:
    values = np.asarray(values)
    data = [plain(one) for one in values.ravel().tolist()]
    return {"name": name, "datatype": NAMES[values.dtype.name], "shape": list(values.shape), "data": data}


def case(
    title: str,
    nodes: list,
    inputs: dict,
    constants: dict | None = None,
    *,
    outputs: list | None = None,
    opset: int = 22,
    expected: object = None,
    functions: list | None = None,
    domains: dict | None = None,
    free: tuple = (),
    tolerance: float = 1e-5,
) -> None:
    """Adds a case. `expected` is a list, "reference" for onnx's own, or None for ONNX Runtime's answer. Dimensions of inputs are fixed but for
    the axes in `free`."""
    outputs = outputs or [name for name in nodes[-1].output if name]
    axes = lambda name, values: [f"{name}{at}" if at in free else size for at, size in enumerate(values.shape)]
    ports = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(one.dtype), axes(name, one))
        for name, one in inputs.items()
    ]
    weights = [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()]
    graph = helper.make_graph(nodes, "g", ports, [ValueInfoProto(name=name) for name in outputs], weights)
    sets = [helper.make_opsetid(domain, version) for domain, version in {"": opset, **(domains or {})}.items()]
    model = helper.make_model(graph, opset_imports=sets, ir_version=10, functions=functions or [])
    content = model.SerializeToString()
    if expected is None:
        # As the file is written: its optimiser would compute products of INT8 weights with rounded inputs.
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        expected = session.run(None, inputs)
    elif isinstance(expected, str):
        expected = ReferenceEvaluator(model).run(None, inputs)
    sample = {
        "request": {"inputs": [tensor(name, one) for name, one in inputs.items()]},
        "response": {"outputs": [tensor(name, one) for name, one in zip(outputs, expected)]},
        "tolerance": tolerance,
    }
    CASES.append({"name": title, "model": base64.b64encode(content).decode(), "sample": sample})


node = helper.make_node


def recurrent() -> None:
    time, rows, columns, hidden = 5, 3, 4, 6
    x = numbers(time, rows, columns)
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}
    usual = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}

    def net(title: str, operator: str, *, given: tuple = (), directions: int = 1, outputs: tuple = ("y", "h"), **attributes: object) -> None:
        size = gates[operator] * hidden
        constants = {
            "w": numbers(directions, size, columns, scale=0.5),
            "r": numbers(directions, size, hidden, scale=0.5),
            "b": numbers(directions, 2 * size, scale=0.5),
            "lengths": np.array([5, 2, 3], np.int32),
            "h0": numbers(directions, rows, hidden),
            "c0": numbers(directions, rows, hidden),
            "p": numbers(directions, 3 * hidden),
        }
        names = ["x", "w", "r"] + [name if name in given else "" for name in ("b", "lengths", "h0", "c0", "p")]
        while not names[-1]:
            names.pop()
        constants = {name: value for name, value in constants.items() if name in names}
        one = node(operator, names, list(outputs), hidden_size=hidden, **attributes)
        case(f"{operator}, {title}", [one], {"x": x}, constants, outputs=[name for name in outputs if name])

    for operator in gates:
        net("reverse", operator, given=("b",), direction="reverse")
        net("reverse, last state only", operator, given=("b", "h0"), outputs=("", "h"), direction="reverse")
        net("lengths", operator, given=("b", "lengths"))
        net("reverse, lengths", operator, given=("b", "lengths", "h0"), direction="reverse")
        net("both ways, lengths", operator, given=("b", "lengths"), directions=2, direction="bidirectional")
        net("both ways", operator, given=("b", "h0"), directions=2, direction="bidirectional")
        net("clip", operator, given=("b",), clip=0.5)
        other = ["HardSigmoid", "Relu", "Softsign"][: len(usual[operator])]
        net("other activations", operator, given=("b",), activations=other)
    for name in ("LeakyRelu", "ThresholdedRelu", "Elu", "Softplus", "Softsign", "Affine", "ScaledTanh", "HardSigmoid"):
        net(f"activation {name}", "RNN", given=("b",), activations=[name], activation_alpha=[0.3], activation_beta=[0.6])
    net("reverse, peepholes", "LSTM", given=("b", "h0", "c0", "p"), outputs=("y", "h", "c"), direction="reverse")
    net("coupled gates", "LSTM", given=("b",), input_forget=1, outputs=("y", "h", "c"))
    net("reverse, linear before reset", "GRU", given=("b", "h0"), direction="reverse", linear_before_reset=1)
    batch_first()


def batch_first() -> None:
    """ONNX Runtime has no layout 1: the same net on a turned batch, turned back."""
    x, w, r = numbers(2, 4, 3), numbers(1, 20, 3), numbers(1, 20, 5)
    turned = {"hidden_size": 5, "direction": "reverse"}
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        node("LSTM", ["t", "w", "r"], ["ty", "th"], **turned),
        node("Transpose", ["ty"], ["y"], perm=[2, 0, 1, 3]),
        node("Transpose", ["th"], ["h"], perm=[1, 0, 2]),
    ]
    ports = [helper.make_tensor_value_info("x", 1, [2, 4, 3])]
    weights = [numpy_helper.from_array(w, "w"), numpy_helper.from_array(r, "r")]
    graph = helper.make_graph(nodes, "g", ports, [ValueInfoProto(name=name) for name in ("y", "h")], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
    expected = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    one = node("LSTM", ["x", "w", "r"], ["y", "h"], layout=1, **turned)
    case("LSTM, reverse, rows first", [one], {"x": x}, {"w": w, "r": r}, expected=expected)


def softmax() -> None:
    x = numbers(4, 10, scale=3)
    scale, zero = np.float32(1 / 255), np.uint8(0)
    quantise = lambda name: node("QuantizeLinear", [name, "scale", "zero"], ["q"])
    back = node("DequantizeLinear", ["q", "scale", "zero"], ["y"])
    constants = {"scale": scale, "zero": zero}
    # A step of the quantisation is allowed where a half is rounded to the other side.
    step = {"tolerance": 0.004}
    case("Softmax, quantised", [node("Softmax", ["x"], ["s"]), quantise("s"), back], {"x": x}, constants, **step)
    turned = [node("Softmax", ["x"], ["s"], axis=0), node("Transpose", ["s"], ["t"]), quantise("t"), back]
    case("Softmax, turned and quantised", turned, {"x": x}, constants, **step)
    old = [node("Softmax", ["x"], ["s"], axis=1), quantise("s"), back]
    case("Softmax, quantised, version 11", old, {"x": numbers(2, 3, 4)}, constants, opset=11, **step)
    far = np.array([[0, -50, -100, -1000, 30], [0, 0, 0, 0, 0]], np.float32)
    for axis in (0, 1, -1):
        case(f"LogSoftmax, axis {axis}", [node("LogSoftmax", ["x"], ["y"], axis=axis)], {"x": far})
    case("LogSoftmax, version 11", [node("LogSoftmax", ["x"], ["y"])], {"x": numbers(2, 3, 4, scale=60)}, opset=11)


def depth() -> None:
    x = numbers(2, 8, 4, 6)
    for mode in ("DCR", "CRD"):
        case(f"DepthToSpace, {mode}", [node("DepthToSpace", ["x"], ["y"], blocksize=2, mode=mode)], {"x": x})
    case("SpaceToDepth", [node("SpaceToDepth", ["x"], ["y"], blocksize=2)], {"x": x})
    tmp = x.reshape(2, 8, 2, 2, 3, 2).transpose(0, 1, 3, 5, 2, 4).reshape(2, 32, 2, 3)
    case("SpaceToDepth, CRD", [node("SpaceToDepth", ["x"], ["y"], blocksize=2, mode="CRD")], {"x": x}, expected=[tmp])


def shifts() -> None:
    for bits in (8, 16, 32, 64):
        kind = np.dtype(f"uint{bits}")
        x, amount = np.array([1, 3, 2**bits - 1, 200], kind), np.array([[0], [1], [bits - 1]], kind)
        for direction in ("LEFT", "RIGHT"):
            one = [node("BitShift", ["x", "amount"], ["y"], direction=direction)]
            case(f"BitShift, {kind} {direction}", one, {"x": x, "amount": amount})
            far = np.array([bits, bits + 1, 2**bits - 1, 5], kind)
            shifted = [int(a) << int(b) if direction == "LEFT" else int(a) >> int(b) for a, b in zip(x, np.minimum(far, 70))]
            expected = [np.array([value % 2**bits for value in shifted], kind)]
            case(f"BitShift, {kind} {direction}, out of range", one, {"x": x, "amount": far}, expected=expected)


def attention() -> None:
    batch, heads, stored, queries, keys, size, width = 2, 4, 2, 3, 5, 8, 6
    q, k, v = numbers(batch, heads, queries, size), numbers(batch, stored, keys, size), numbers(batch, stored, keys, width)
    past_k, past_v = numbers(batch, stored, 2, size), numbers(batch, stored, 2, width)
    flat = lambda x: np.ascontiguousarray(x.transpose(0, 2, 1, 3).reshape(x.shape[0], x.shape[2], -1))

    def one(title: str, inputs: dict, names: str = "q k v", outputs: str = "y", opset: int = 24, expected: object = None, **attributes: object) -> None:
        names = ["" if name == "_" else name for name in names.split()]
        outputs = ["" if name == "_" else name for name in outputs.split()]
        case(f"Attention, {title}", [node("Attention", names, outputs, **attributes)], inputs, opset=opset, expected=expected)

    whole, flats = {"q": q, "k": k, "v": v}, {"q": flat(q), "k": flat(k), "v": flat(v)}
    counts = {"q_num_heads": heads, "kv_num_heads": stored}
    past = {"past_k": past_k, "past_v": past_v}
    one("plain", whole)
    one("causal", whole, is_causal=1)
    one("three dimensions", flats, **counts)
    one("soft cap", whole, softcap=1.5)
    one("soft cap, three dimensions, causal", flats, softcap=1.5, is_causal=1, **counts)
    one("past", {**whole, **past}, "q k v _ past_k past_v", "y present_k present_v")
    one("causal, past", {**whole, **past}, "q k v _ past_k past_v", "y present_k present_v", is_causal=1, expected="reference")
    one("causal, past, three dimensions", {**flats, **past}, "q k v _ past_k past_v", "y present_k present_v", is_causal=1, expected="reference", **counts)
    seen = DICE.random((queries, keys)) < 0.6
    one("a query that sees nothing", {**whole, "m": np.array([[1] * 5, [0] * 5, [1] * 5], bool)}, "q k v m", softcap=2.0, expected="reference")
    one("mask of truths, causal, soft cap", {**whole, "m": seen}, "q k v m", is_causal=1, softcap=2.0, expected="reference")
    bias = numbers(batch, 1, queries, keys)
    one("mask of numbers, soft cap", {**whole, "m": bias}, "q k v m", softcap=2.0)
    # With mode 0 onnx's reference gives the scores after the soft cap, against the specification's words and ONNX Runtime's answer.
    for mode in range(4):
        one(f"scores, mode {mode}", {**whole, "m": bias}, "q k v m", "y _ _ s", qk_matmul_output_mode=mode, softcap=3.0, expected="reference" if mode else None)
    lengths = {"n": np.array([5, 3], np.int64)}
    one("lengths", {**whole, **lengths}, "q k v _ _ _ n", expected="reference")
    one("lengths, causal", {**whole, **lengths}, "q k v _ _ _ n", is_causal=1, expected="reference")
    for left, right in ((1, 0), (0, 2), (-1, 1), (2, -1)):
        window = {"left_window_size": left, "right_window_size": right, "opset": 25, "expected": "reference"}
        one(f"window {left} {right}", whole, **window)
        one(f"window {left} {right}, past", {**whole, **past}, "q k v _ past_k past_v", "y present_k present_v", **window)


def functions() -> None:
    x = numbers(3, 4)
    sets = [helper.make_opsetid("", 22), helper.make_opsetid("own", 1)]
    reference = node("Elu", ["x"], ["e"])
    reference.attribute.append(onnx.AttributeProto(name="alpha", ref_attr_name="steep", type=onnx.AttributeProto.FLOAT))
    scale = node("Constant", [], ["two"], value=numpy_helper.from_array(np.float32(2)))
    bend = helper.make_function("own", "Bend", ["x"], ["y"], [reference, scale, node("Mul", ["e", "two"], ["y"])], sets, ["steep"])
    default = helper.make_function(
        "own", "Soft", ["x"], ["y"], [node("Identity", ["x"], ["a"]), reference_to("LeakyRelu", "alpha", "slope", "a", "y")], sets,
        attribute_protos=[helper.make_attribute("slope", 0.25)],
    )
    twice = helper.make_function(
        "own", "Twice", ["a", "b"], ["p", "q"],
        [node("Bend", ["a"], ["t"], domain="own", steep=0.5), node("Bend", ["t"], ["p"], domain="own", steep=3.0), node("Add", ["p", "b"], ["q"])], sets,
    )
    same = helper.make_function("own", "Same", ["a", "b"], ["b", "a"], [], sets)
    all_of = {"functions": [bend, default, twice], "domains": {"own": 1}}
    own = {"domain": "own"}
    case("function, attribute by reference", [node("Bend", ["x"], ["y"], steep=0.1, **own)], {"x": x}, **all_of)
    case("function, attribute left out", [node("Bend", ["x"], ["y"], **own)], {"x": x}, **all_of)
    case("function, default of an attribute", [node("Soft", ["x"], ["y"], **own)], {"x": x}, **all_of)
    case("function, default overruled", [node("Soft", ["x"], ["y"], slope=0.75, **own)], {"x": x}, **all_of)
    nested = [node("Twice", ["x", "t"], ["p", "q"], **own), node("Twice", ["p", "q"], ["e", "y"], **own)]
    case("function, nested, names that meet", [node("Neg", ["x"], ["t"]), *nested], {"x": x}, **all_of)
    case("function, inputs that leave", [node("Neg", ["x"], ["t"]), node("Same", ["x", "t"], ["y", "z"], **own)], {"x": x}, functions=[same], domains={"own": 1}, expected=[-x, x])
    within = helper.make_graph([node("Bend", ["x"], ["inner"], steep=0.2, **own)], "t", [], [ValueInfoProto(name="inner")])
    other = helper.make_graph([node("Neg", ["x"], ["other"])], "e", [], [ValueInfoProto(name="other")])
    nodes = [node("ReduceMax", ["x"], ["m"], keepdims=0), node("Greater", ["m", "zero"], ["c"]), node("If", ["c"], ["y"], then_branch=within, else_branch=other)]
    case("function in a branch", nodes, {"x": x}, {"zero": np.float32(0)}, **all_of)


def reference_to(operator: str, attribute: str, name: str, x: str, y: str) -> onnx.NodeProto:
    one = node(operator, [x], [y])
    one.attribute.append(onnx.AttributeProto(name=attribute, ref_attr_name=name, type=onnx.AttributeProto.FLOAT))
    return one


def branch(name: str, nodes: list, output: str) -> onnx.GraphProto:
    return helper.make_graph(nodes, name, [], [ValueInfoProto(name=output)])


def branches() -> None:
    x = numbers(3, 4)
    head = branch("t", [node("Slice", ["x", "one", "two"], ["head"])], "head")
    joined = branch("e", [node("Concat", ["x", "x"], ["joined"], axis=0)], "joined")
    ends = {"one": np.array([1]), "two": np.array([2])}
    ask = [node("ReduceSum", ["x"], ["sum"], keepdims=0), node("Greater", ["sum", "zero"], ["c"])]
    choose = node("If", ["c"], ["i"], then_branch=head, else_branch=joined)
    after = [node("ReduceMax", ["i", "first"], ["m"], keepdims=0), node("Neg", ["i"], ["y"])]
    constants = {**ends, "zero": np.float32(0), "first": np.array([0])}
    for sign in (1, -1):
        title = f"If, branches of other shapes, {'then' if sign > 0 else 'else'}"
        case(title, [*ask, choose, *after], {"x": np.abs(x) * np.float32(sign)}, constants, outputs=["m", "y"])
    # Only one of these fits a shape, and the shape decides which.
    flat = branch("t", [node("Squeeze", ["x", "axis"], ["flat"])], "flat")
    kept = branch("e", [node("ReduceSum", ["x", "axis"], ["kept"], keepdims=0)], "kept")
    by_shape = [
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "axis"], ["d"]),
        node("Equal", ["d", "axis"], ["c"]),
        node("If", ["c"], ["i"], then_branch=flat, else_branch=kept),
        node("Exp", ["i"], ["y"]),
    ]
    for shape in ((3, 1), (3, 4)):
        case(f"If, by the shape {shape}", by_shape, {"x": numbers(*shape)}, {"axis": np.array([1])}, free=(0, 1))
    ranks = branch("e", [node("Identity", ["x"], ["whole"])], "whole")
    nodes = [node("Constant", [], ["c"], value=numpy_helper.from_array(np.array(True))), node("If", ["c"], ["y"], then_branch=branch("t", [node("ReduceSum", ["x"], ["all"], keepdims=0)], "all"), else_branch=ranks)]
    case("If, a constant condition, branches of other ranks", nodes, {"x": x})
    inner = node("If", ["big"], ["nested"], then_branch=branch("tt", [node("Neg", ["x"], ["n"])], "n"), else_branch=branch("te", [node("Slice", ["x", "one", "two"], ["n2"])], "n2"))
    deep = branch("t", [inner], "nested")
    nodes = [*ask, node("Greater", ["sum", "much"], ["big"]), node("If", ["c"], ["y"], then_branch=deep, else_branch=joined)]
    for scale in (1.0, 100.0, -1.0):
        case(f"If, nested, {scale}", nodes, {"x": np.abs(x) * np.float32(scale)}, {**constants, "much": np.float32(50)})


def dequantised() -> None:
    x = numbers(3, 6)
    whole = DICE.integers(-127, 128, (6, 4)).astype(np.int8)
    product = node("MatMul", ["x", "w"], ["y"])
    for title, scale, zero, axis in (
        ("of a tensor", np.float32(0.02), None, {}),
        ("of a tensor, with a zero", np.float32(0.02), np.int8(3), {}),
        ("of columns", np.abs(numbers(4)) * np.float32(0.01), DICE.integers(-5, 5, 4).astype(np.int8), {"axis": 1}),
        ("of rows", np.abs(numbers(6)) * np.float32(0.01), None, {"axis": 0}),
    ):
        names = ["q", "scale"] + (["zero"] if zero is not None else [])
        constants = {"q": whole, "scale": scale} | ({"zero": zero} if zero is not None else {})
        case(f"weights of INT8, scale {title}", [node("DequantizeLinear", names, ["w"], **axis), product], {"x": x}, constants)
    unsigned = {"q": (whole.astype(np.int32) + 128).astype(np.uint8), "scale": np.float32(0.02), "zero": np.uint8(128)}
    case("weights of UINT8", [node("DequantizeLinear", ["q", "scale", "zero"], ["w"]), product], {"x": x}, unsigned)
    blocks = {"q": whole, "scale": np.abs(numbers(3, 4)) * np.float32(0.01)}
    case("weights of INT8, blocks", [node("DequantizeLinear", ["q", "scale"], ["w"], axis=0, block_size=2), product], {"x": x}, blocks)
    case("weights of FP16", [node("Cast", ["q"], ["w"], to=TensorProto.FLOAT), product], {"x": x}, {"q": numbers(6, 4).astype(np.float16)})
    bias = {"q": whole, "scale": np.float32(0.02), "qb": np.array([100, -5, 7, 0], np.int32), "scale_b": np.float32(0.001)}
    layers = [node("DequantizeLinear", ["q", "scale"], ["w"]), node("DequantizeLinear", ["qb", "scale_b"], ["b"]), node("Gemm", ["x", "w", "b"], ["y"])]
    case("weights of INT8, a bias of INT32", layers, {"x": x}, bias)


def boxes() -> None:
    """How many are kept depends on the data; NaN and equal scores among them."""
    for title, most, form in (("corners", 3, 0), ("centres", 5, 1)):
        kept = node("NonMaxSuppression", ["boxes", "scores", "most", "iou", "score"], ["kept"], center_point_box=form)
        constants = {"most": np.array([most]), "iou": np.array([0.4], np.float32), "score": np.array([0.3], np.float32)}
        where = np.abs(numbers(2, 30, 4, scale=8))
        scores = DICE.choice(np.array([0.1, 0.4, 0.5, 0.8], np.float32), (2, 3, 30))
        scores[0, 0, ::4] = np.nan
        case(f"NonMaxSuppression, {title}", [kept], {"boxes": where, "scores": scores}, constants)
        case(f"NonMaxSuppression, {title}, none kept", [kept], {"boxes": where, "scores": scores * np.float32(0)}, constants)
        picked = [kept, node("Slice", ["kept", "two", "three", "one"], ["at"]), node("Neg", ["at"], ["y"])]
        ends = {"one": np.array([1]), "two": np.array([2]), "three": np.array([3])}
        case(f"NonMaxSuppression, {title}, used on", picked, {"boxes": where, "scores": scores}, constants | ends, outputs=["y"])


NAN, INF = np.float32(np.nan), np.float32(np.inf)
# Rows: plain, one NaN in each place, nothing else, infinities, beyond what an exponential holds.
LACKING = np.array(
    [[1, 2, -3, 0.25, 4, -0.5], [NAN, 1, -2, 3, 0.1, -0.2], [0.5, -1, NAN, 2, 0.3, 5], [-2, 3, 0.7, 1, -4, NAN], [NAN] * 6, [-INF] * 6,
     [INF, 1, -INF, 0, -1, 2], [300, -300, 90, -90, 20, -20]], np.float32)


def lacking() -> None:
    """NaN and infinities: none is lost, in batches of any size."""
    bounds = {"low": np.float32(-1), "high": np.float32(1)}
    ones = {"relu": ("Relu", {}), "sigmoid": ("Sigmoid", {}), "tanh": ("Tanh", {}), "hard sigmoid": ("HardSigmoid", {}), "hard swish": ("HardSwish", {})}
    ones |= {name.lower(): (name, {}) for name in ("Elu", "Selu", "Celu", "Softplus", "Softsign", "Mish", "Gelu", "LeakyRelu", "Erf", "Exp", "Softmax", "LogSoftmax")}
    ones |= {name.lower(): (name, {}) for name in ("ThresholdedRelu", "Shrink", "Sign", "Abs", "Floor", "Sqrt", "Log")}
    for name, (operator, attributes) in ones.items():
        case(f"not finite, {name}", [node(operator, ["x"], ["y"], **attributes)], {"x": LACKING}, free=(0,))
    for kind in (np.float16, np.float64):
        for name in ("Relu", "Sigmoid", "Tanh"):
            # The tolerance is for FP16.
            case(f"not finite, {name.lower()}, {kind.__name__}", [node(name, ["x"], ["y"])], {"x": LACKING.astype(kind)}, free=(0,), tolerance=2e-3)
    case("not finite, clip", [node("Clip", ["x", "low", "high"], ["y"])], {"x": LACKING}, bounds, free=(0,))
    case("not finite, prelu", [node("PRelu", ["x", "low"], ["y"])], {"x": LACKING}, bounds, free=(0,))
    case("not finite, clip, version 8", [node("Clip", ["x"], ["y"], min=-1.0, max=1.0)], {"x": LACKING}, opset=8, free=(0,))
    for name in ("Max", "Min"):
        case(f"not finite, {name.lower()}", [node(name, ["x", "high"], ["y"])], {"x": LACKING}, bounds, free=(0,))
        pair = {"x": LACKING, "z": LACKING[:, ::-1].copy()}
        case(f"not finite, {name.lower()} of two", [node(name, ["x", "z"], ["y"])], pair, free=(0,))
    gates()
    batches()
    over_axes()
    levels()


def gates() -> None:
    for operator, count, attributes in (("LSTM", 4, {}), ("GRU", 3, {}), ("GRU", 3, {"linear_before_reset": 1}), ("RNN", 1, {})):
        for time in (1, 2, 6):
            x = numbers(time, 3, 4)
            x[time // 2, 1, 2], x[0, 2, 3] = NAN, INF
            constants = {"w": numbers(1, count * 5, 4), "r": numbers(1, count * 5, 5, scale=0.3)}
            one = node(operator, ["x", "w", "r"], ["y", "h"], hidden_size=5, **attributes)
            case(f"not finite, {operator} {attributes}, {time} steps", [one], {"x": x}, constants)
            # With a bias ONNX Runtime makes numbers of NaN, without one it does not.
            one = node(operator, ["x", "w", "r", "b"], ["y", "h"], hidden_size=5, **attributes)
            case(f"not finite, {operator} {attributes}, bias, {time} steps", [one], {"x": x}, {**constants, "b": numbers(1, count * 10)}, expected="reference")
    # A branch is planned when it is taken.
    then = branch("t", [node("Relu", ["x"], ["positive"])], "positive")
    other = branch("e", [node("Tanh", ["x"], ["bent"])], "bent")
    for value in (True, False):
        case(f"not finite, a branch, {value}", [node("If", ["c"], ["y"], then_branch=then, else_branch=other)], {"x": LACKING, "c": np.array(value)})


def batches() -> None:
    """The answer of a row does not depend on who shares its batch; products are joined with what follows in batches of some sizes."""
    image = np.stack([LACKING.reshape(8, 1, 6)[row] for row in (1, 0, 2, 7, 3, 0, 6, 0)])
    kernel, weight = numbers(3, 1, 2), numbers(6, 5)
    for rows in (1, 2, 8):
        for name in ("Relu", "Sigmoid", "Tanh"):
            nodes = [node("Conv", ["x", "w"], ["a"]), node(name, ["a"], ["y"])]
            case(f"not finite, Conv and {name}, {rows} rows", nodes, {"x": image[:rows]}, {"w": kernel}, free=(0,))
            nodes = [node("Gemm", ["x", "w"], ["a"]), node(name, ["a"], ["b"]), node("LayerNormalization", ["b", "scale"], ["y"])]
            case(f"not finite, Gemm, {name} and LayerNormalization, {rows} rows", nodes, {"x": image[:rows, 0]}, {"w": weight, "scale": np.ones(5, np.float32)}, free=(0,))
    # Of fixed shape: the plan that answers what is finite is not the only one.
    nodes = [node("Conv", ["x", "w"], ["a"]), node("Relu", ["a"], ["y"])]
    case("not finite, Conv and Relu, fixed", nodes, {"x": image[:2]}, {"w": kernel})


def over_axes() -> None:
    """Where ONNX Runtime's answer depends on where NaN stands, NumPy's is ours."""
    for axis in (0, 1):
        constants = {"axes": np.array([axis])}
        for name, numpy in (("ReduceMax", np.max), ("ReduceMin", np.min), ("ArgMax", np.argmax), ("ArgMin", np.argmin)):
            one = node(name, ["x", "axes"], ["y"], keepdims=0) if name[0] == "R" else node(name, ["x"], ["y"], axis=axis, keepdims=0)
            case(f"not finite, {name}, axis {axis}", [one], {"x": LACKING}, constants if name[0] == "R" else None, expected=[numpy(LACKING, axis)], free=(0,))
        infinite = np.array([[-INF] * 3, [INF] * 3, [-INF, INF, 0]], np.float32)
        for name in ("ReduceMax", "ReduceMin", "ReduceLogSumExp"):
            case(f"{name} of infinities, axis {axis}", [node(name, ["x", "axes"], ["y"])], {"x": infinite}, constants)
    image = LACKING[[0, 1, 2, 3, 7, 4]].reshape(1, 1, 6, 6)
    windows = np.lib.stride_tricks.sliding_window_view(image, (2, 2), axis=(2, 3)).max(axis=(-1, -2))
    case("not finite, MaxPool", [node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2])], {"x": image}, expected=[windows])
    case("not finite, GlobalMaxPool", [node("GlobalMaxPool", ["x"], ["y"])], {"x": LACKING.reshape(8, 1, 6)}, expected=[LACKING.max(axis=1).reshape(8, 1, 1)], free=(0,))
    for largest in (0, 1):
        case(f"not finite, TopK, largest {largest}", [node("TopK", ["x", "k"], ["v", "i"], largest=largest)], {"x": LACKING}, {"k": np.array([3])}, free=(0,))
    mask = [node("Add", ["x", "mask"], ["a"]), node("ReduceMax", ["a", "axes"], ["m"]), node("IsInf", ["m"], ["n"]), node("Where", ["n", "zero", "m"], ["y"])]
    case("a masked row's greatest", mask, {"x": numbers(3, 4)}, {"mask": np.array([[-INF] * 4, [0, -INF, 0, 0], [0] * 4], np.float32), "axes": np.array([1]), "zero": np.float32(0)})


def levels() -> None:
    for kind, zero in ((np.uint8, 128), (np.int8, 3), (np.int8, -3), (np.uint8, 0)):
        one = [node("QuantizeLinear", ["x", "s", "z"], ["y"])]
        far = np.concatenate([LACKING, [[1e20, -1e20, 3e9, -3e9, 0.25, 0.75]]]).astype(np.float32)
        case(f"not finite, QuantizeLinear to {kind.__name__} about {zero}", one, {"x": far}, {"s": np.float32(0.5), "z": kind(zero)}, free=(0,))
        scales = {"s": np.linspace(0.1, 0.6, 6).astype(np.float32), "z": np.full(6, zero, kind)}
        case(f"not finite, QuantizeLinear of columns to {kind.__name__} about {zero}", [node("QuantizeLinear", ["x", "s", "z"], ["y"], axis=1)], {"x": far}, scales, free=(0,))


# What activations, maxima and the like are done to: rows of 4, of which none lacks a number.
SOURCES = {
    "a division by itself": [("Div", ["x", "x"], {})],
    "a logarithm": [("Log", ["x"], {})],
    "a root": [("Sqrt", ["x"], {})],
    "a root, squared": [("Sqrt", ["x"], {}), ("Mul", ["s", "s"], {})],
    "a power": [("Pow", ["x", "third"], {})],
    "an arccosine": [("Acos", ["x"], {})],
    "an area cosine": [("Acosh", ["x"], {})],
    "an area tangent": [("Atanh", ["x"], {})],
    "an inverse": [("Reciprocal", ["x"], {}), ("Mul", ["s", "x"], {})],
    "a remainder": [("Mod", ["x", "x"], {"fmod": 1})],
    "infinities": [("Abs", ["x"], {}), ("Log", ["s"], {}), ("Sub", ["s", "s"], {})],
    "infinity times 0": [("Mul", ["x", "ends"], {})],
    "infinite numbers alone": [("Add", ["x", "mask"], {})],
    "infinity, times 0 in the file": [("Add", ["x", "mask"], {}), ("Mul", ["s", "zero"], {})],
    "a softmax of what is hidden": [("Add", ["x", "mask"], {}), ("Add", ["s", "rows"], {}), ("Softmax", ["s"], {})],
    "rows by their length": [("ReduceL2", ["x", "axis"], {}), ("Div", ["x", "s"], {})],
    "a norm without epsilon": [("LayerNormalization", ["x", "scale"], {"epsilon": 0.0})],
}
ACTIVATIONS = ["Relu", "Sigmoid", "Tanh", "HardSigmoid", "HardSwish", "Elu", "Erf", "Exp", "LeakyRelu", "Softplus"]


def arising() -> None:
    """NaN and infinities that finite inputs come to: none is lost, behind a product or not, in batches of any size."""
    rows = np.array([[1, 2, 0.25, 4], [0, -1, 3, 0.5], [0, 0, 0, 0], [0.5, 0.75, 0.1, 0.9]], np.float32)
    floats = lambda *values: np.array(values, np.float32)
    for title, steps in SOURCES.items():
        made, last = [], "x"
        for at, (operator, given, attributes) in enumerate(steps):
            made.append(node(operator, [last if name == "s" else name for name in given], [f"a{at}"], **attributes))
            last = f"a{at}"
        for count in (1, 4, 33):
            # Only the first rows; where there is one alone, that which lacks most.
            x = rows[2:3] if count == 1 else np.concatenate([rows, np.repeat(rows[3:], count - 4, axis=0)])
            constants = {"third": floats(1 / 3), "ends": floats(1, np.inf, 1, -np.inf), "mask": floats(0, -INF, 0, 0), "zero": np.float32(0), "axis": np.array([1]), "scale": np.ones(4, np.float32)}
            constants["rows"] = np.zeros((count, 1), np.float32)
            constants["rows"][min(count, 2) - 1] = -INF
            nodes, outputs = list(made), []
            for name in ACTIVATIONS:
                constants[f"w{name}"] = numbers(4, 2)
                nodes += [node("MatMul", [last, f"w{name}"], [f"p{name}"]), node(name, [f"p{name}"], [f"y{name}"])]
                outputs.append(f"y{name}")
            bounds = {"low": np.float32(-1), "high": np.float32(1)}
            nodes += [node("Clip", [last, "low", "high"], ["clipped"]), node("Max", [last, "high"], ["most"]), node("Relu", [last], ["plain"])]
            nodes += [node("Sigmoid", [last], ["share"]), node("Mul", [last, "share"], ["silu"])]
            used = {name for one in nodes for name in one.input}
            constants = {name: value for name, value in (constants | bounds).items() if name in used}
            case(f"arising from {title}, {count} rows", nodes, {"x": x}, constants, outputs=[*outputs, "clipped", "most", "plain", "silu"], free=(0,) if "rows" not in used else ())
    arising_within()


def arising_within() -> None:
    """In branches, in bodies of loops, behind other layers, in other datatypes."""
    x = np.array([[0.5, -1, 2, 0], [1, 2, 3, 4]], np.float32)
    then = branch("t", [node("Log", ["x"], ["log"]), node("Relu", ["log"], ["positive"])], "positive")
    other = branch("e", [node("Tanh", ["l"], ["bent"])], "bent")
    for value in (True, False):
        nodes = [node("Sqrt", ["x"], ["l"]), node("If", ["c"], ["b"], then_branch=then, else_branch=other), node("Sigmoid", ["b"], ["y"])]
        case(f"arising in a branch, {value}", nodes, {"x": x, "c": np.array(value)})
    state, part = [helper.make_tensor_value_info(name, 1, [4]) for name in ("state", "part")]
    step = [node("Sqrt", ["state"], ["root"]), node("Sub", ["root", "part"], ["next"]), node("Relu", ["next"], ["out"])]
    body = helper.make_graph(step, "body", [state, part], [helper.make_tensor_value_info(name, 1, [4]) for name in ("next", "out")])
    case("arising in a loop", [node("Scan", ["first", "x"], ["last", "y"], body=body, num_scan_inputs=1)], {"x": x}, {"first": np.ones(4, np.float32)}, outputs=["last", "y"])
    for kind in (np.float16, np.float64):
        nodes = [node("Log", ["x"], ["l"])] + [node(name, ["l"], [f"y{name}"]) for name in ("Relu", "Sigmoid", "Tanh")]
        case(f"arising, {kind.__name__}", nodes, {"x": x.astype(kind)}, outputs=["yRelu", "ySigmoid", "yTanh"], tolerance=2e-3)
    image = np.abs(numbers(2, 1, 6, 6))
    image[0, 0, 2, 2] = -1
    nodes = [node("Log", ["x"], ["l"]), node("Conv", ["l", "w"], ["c"]), node("Relu", ["c"], ["r"]), node("MaxPool", ["r"], ["y"], kernel_shape=[2, 2])]
    peak = lambda values: np.lib.stride_tricks.sliding_window_view(values, (2, 2), axis=(2, 3)).max(axis=(-1, -2))
    case("arising before Conv, Relu and MaxPool", nodes[:3], {"x": image}, {"w": numbers(2, 1, 3, 3)}, free=(0,))
    case("arising before MaxPool", [nodes[0], node("MaxPool", ["l"], ["y"], kernel_shape=[2, 2])], {"x": image}, expected=[peak(np.log(image))], free=(0,))
    for operator, count in (("LSTM", 4), ("GRU", 3), ("RNN", 1)):
        steps = np.abs(numbers(3, 2, 4))
        steps[1, 0, 2] = -1
        constants = {"w": numbers(1, count * 5, 4), "r": numbers(1, count * 5, 5, scale=0.3)}
        nodes = [node("Log", ["x"], ["l"]), node(operator, ["l", "w", "r"], ["y", "h"], hidden_size=5)]
        case(f"arising before {operator}", nodes, {"x": steps}, constants)


def chosen() -> None:
    """Slices and indices that are computed."""
    x, names = numbers(4, 5, 3), ["x", "s", "e", "a", "t"]
    bounds = lambda *values: np.array(values, np.int64)
    for title, starts, ends, axes, steps in (
        ("two axes", bounds(1, 0), bounds(3, 2), bounds(0, 2), bounds(1, 1)),
        ("from the end", bounds(-3, -2), bounds(-1, 2**62), bounds(0, -1), bounds(1, 1)),
        ("steps", bounds(0, 4), bounds(4, -(2**62)), bounds(0, 1), bounds(3, -2)),
        ("nothing", bounds(3), bounds(1), bounds(1), bounds(1)),
        ("beyond", bounds(-99), bounds(99), bounds(1), bounds(2)),
    ):
        given = {"s": starts, "e": ends, "a": axes, "t": steps}
        case(f"Slice, {title}, all computed", [node("Slice", names, ["y"])], {"x": x, **given})
        fixed = {"a": axes, "t": steps}
        case(f"Slice, {title}, bounds computed", [node("Slice", names, ["i"]), node("Neg", ["i"], ["y"])], {"x": x, "s": starts, "e": ends}, fixed, free=())
        case(f"Slice, {title}, starts computed", [node("Slice", names, ["y"])], {"x": x, "s": starts}, {"e": ends, **fixed})
    whole = {"x": numbers(3, 4), "s": bounds(0, 1), "e": bounds(2, 3)}
    case("Slice, axes left out", [node("Slice", ["x", "s", "e"], ["y"])], whole, opset=13)
    count = [node("ReduceMax", ["n", "zero"], ["m"], keepdims=0), node("Unsqueeze", ["m", "zero"], ["e"]), node("Slice", ["x", "zero", "e", "zero"], ["i"]), node("ReduceSum", ["i", "zero"], ["y"])]
    case("Slice, as many as counted, summed", count, {"x": numbers(5, 3), "n": bounds(2, 3, 1)}, {"zero": bounds(0)})
    data = numbers(2, 3, 4)
    for title, batch, indices in (
        ("rows", 0, bounds(-1, 0, -2).reshape(3, 1)), ("values", 0, bounds(-1, -3, 3, 1, 2, -4).reshape(2, 3)), ("in batches", 1, bounds(-1, 0, 2, -3).reshape(2, 2, 1)),
    ):
        one = node("GatherND", ["x", "i"], ["y"], batch_dims=batch)
        case(f"GatherND from the end, {title}", [one], {"x": data, "i": indices})
        case(f"GatherND from the end, {title}, constant", [one], {"x": data}, {"i": indices})
    for kind in (np.float32, np.int64):
        divisors = np.array([[3, 5, -2], [4, 7, 9]], kind)
        one = node("Mod", ["n", "x"], ["y"], fmod=int(kind == np.float32))
        case(f"Mod of one number by many, {kind.__name__}", [one], {"x": divisors}, {"n": np.array([7], kind)}, free=(0,))
    case("GatherND from the end, one, constant", [node("GatherND", ["x", "i"], ["y"])], {"x": data}, {"i": bounds(-1, -2).reshape(1, 2)})


for group in (recurrent, softmax, depth, shifts, attention, functions, branches, dequantised, boxes, lacking, chosen, arising):
    group()
lines = ",\n".join(json.dumps(one, ensure_ascii=False, separators=(",", ":")) for one in CASES)
(Path(__file__).parent / "reference.json").write_text(f"[\n{lines}\n]\n")
print(f"{len(CASES)} cases")
