"""Constants that `modelyard optimize` computes, one operator each, for all that it knows; and chains as exporters leave them behind.

Each `(name, model, nodes)` has an input x that the constant is added to at the end, so that a run has something to do: `nodes` are left."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

RANDOM = np.random.default_rng(7)


def whole(*shape, low=-9, high=10, kind=np.int64):
    return RANDOM.integers(low, high, shape).astype(kind)


def real(*shape, kind=np.float32):
    return (RANDOM.normal(size=shape) * 3).astype(kind)


def truths(*shape):
    return RANDOM.random(shape) < 0.5


def ints(*values):
    return np.array(values, np.int64)


def case(name, operator, *inputs, **attributes):
    """An operator of constants alone; what is left is the sum."""
    return name, [(operator, inputs, attributes)]


def cases():
    for kind in (np.int64, np.int32, np.float32, np.float16, np.float64):
        few = whole(3, 4, low=1, kind=kind) if np.issubdtype(kind, np.integer) else np.abs(real(3, 4, kind=kind)) + kind(0.5)
        more = whole(2, 1, 4, kind=kind) if np.issubdtype(kind, np.integer) else real(2, 1, 4, kind=kind)
        # Runtimes add FP16 in different ways, and it is left to them.
        sums = () if kind == np.float16 else ("Add", "Sub", "Mul", "Div")
        for operator in (*sums, "Max", "Min", "Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual"):
            yield case(f"{operator}-{kind.__name__}", operator, more, few)
        if kind in (np.int64, np.int32):
            yield case(f"Mod-{kind.__name__}", "Mod", more, few)
        if kind == np.float32:
            yield case("Mod-fmod", "Mod", more, few, fmod=1)
            yield case("Max-none", "Max", np.array([1, np.nan, 3], kind), np.array([2, 2, np.nan], kind))
        yield case(f"Abs-{kind.__name__}", "Abs", more)
        yield case(f"Neg-{kind.__name__}", "Neg", more)
        for operator in ("ReduceMax", "ReduceMin"):
            yield case(f"{operator}-{kind.__name__}", operator, more, axes=[0, -1]) if kind != np.float16 else case("Abs-again", "Abs", more)
    for operator in ("Ceil", "Floor", "Round", "Sqrt", "Reciprocal", "Sin", "Cos", "Exp", "Log"):
        yield case(operator, operator, np.abs(real(5)) + np.float32(0.01))
    yield case("Round-halves", "Round", np.array([0.5, 1.5, 2.5, -0.5, -1.5], np.float32))
    yield case("Pow", "Pow", np.abs(real(4)), real(4))
    yield case("Pow-whole", "Pow", np.array([-2.0, 3.0], np.float32), ints(3, 2))
    yield case("Pow-integers", "Pow", ints(2, -3, 7), ints(10, 3, 0))
    yield case("And", "And", truths(4), truths(4))
    yield case("Or", "Or", truths(4), truths(4))
    yield case("Xor", "Xor", truths(4), truths(4))
    yield case("Not", "Not", truths(4))
    yield case("Where", "Where", truths(3, 1), real(3, 4), real(1, 4))
    for to, values in [(TensorProto.FLOAT, whole(4, low=-(2**62), high=2**62)), (TensorProto.INT64, real(6) * 100), (TensorProto.INT32, whole(3, low=-(2**40), high=2**40)),
                       (TensorProto.BOOL, real(3)), (TensorProto.FLOAT16, real(5)), (TensorProto.DOUBLE, real(5)), (TensorProto.UINT8, whole(4, low=0, high=255)),
                       (TensorProto.FLOAT, truths(3)), (TensorProto.INT8, whole(3, low=-100, high=100))]:
        yield case(f"Cast-{values.dtype}-{to}", "Cast", values, to=to)
    yield case("Shape", "Shape", real(2, 3, 4))
    yield case("Shape-part", "Shape", real(2, 3, 4), start=-2, end=3)
    yield case("Size", "Size", real(2, 3))
    yield case("ConstantOfShape", "ConstantOfShape", ints(2, 3))
    yield case("ConstantOfShape-value", "ConstantOfShape", ints(4), value=numpy_helper.from_array(ints(-7)))
    yield case("Range", "Range", np.int64(3), np.int64(-8), np.int64(-3))
    yield case("NonZero", "NonZero", whole(3, 4, low=0, high=2))
    yield case("CumSum", "CumSum", whole(3, 4), np.int64(-1))
    yield case("ReduceSum", "ReduceSum", whole(2, 3, 4), ints(1), keepdims=0)
    yield case("ReduceSum-all", "ReduceSum", whole(2, 3), keepdims=1)
    yield case("ReduceProd", "ReduceProd", whole(4, low=1, high=5), axes=[0], keepdims=0)
    yield case("Concat", "Concat", whole(2, 1, 3), whole(2, 4, 3), whole(2, 0, 3), axis=-2)
    yield case("Expand", "Expand", real(3, 1), ints(2, 1, 4))
    yield case("Flatten", "Flatten", real(2, 3, 4), axis=2)
    yield case("Gather", "Gather", real(3, 4), ints(2, -1, 0).reshape(1, 3), axis=1)
    yield case("Reshape", "Reshape", real(2, 3, 4), ints(0, -1))
    yield case("Slice", "Slice", real(5, 6), ints(-1, 1), ints(-(2**63), 100), ints(1, 0), ints(-2, 2))
    yield case("Slice-none", "Slice", real(5), ints(4), ints(2))
    yield case("Squeeze", "Squeeze", real(1, 3, 1))
    yield case("Squeeze-axes", "Squeeze", real(1, 3, 1), ints(-1))
    yield case("Tile", "Tile", whole(2, 3), ints(2, 3))
    yield case("Transpose", "Transpose", real(2, 3, 4), perm=[2, 0, 1])
    yield case("Transpose-plain", "Transpose", real(2, 3))
    yield case("Unsqueeze", "Unsqueeze", real(2, 3), ints(-1, 1))


def build(name, nodes, tensors, left, rank=3):
    value = lambda which, dims: helper.make_tensor_value_info(which, TensorProto.FLOAT, dims)
    initializers = [numpy_helper.from_array(np.asarray(array), key) for key, array in tensors.items()]
    graph = helper.make_graph(nodes, name, [value("x", ["n", 3, 4])], [value("y", [f"d{at}" for at in range(rank)])], initializers)
    return name, helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), left


def singles():
    for name, [(operator, inputs, attributes)] in cases():
        tensors = {f"c{at}": array for at, array in enumerate(inputs)}
        made = helper.make_node(operator, list(tensors), ["z"], **attributes)
        # All of it, whatever its shape, beside what the run computes.
        nodes = [made, helper.make_node("Cast", ["z"], ["f"], to=TensorProto.FLOAT), helper.make_node("Reshape", ["f", "flat"], ["g"]),
                 helper.make_node("ReduceSum", ["x"], ["total"], keepdims=0), helper.make_node("Add", ["total", "g"], ["y"])]
        yield build(name, nodes, tensors | {"flat": ints(-1)}, 2, 1)


def inner(name, nodes, tensors=(), inputs=(), outputs=()):
    value = lambda which: helper.make_tensor_value_info(which[0], which[1], [] if which[0] in ("i", "c", "o", "kept") else None)
    return helper.make_graph(nodes, name, [value(one) for one in inputs], [value(one) for one in outputs], [numpy_helper.from_array(np.asarray(array), key) for key, array in tensors])


def chains():
    node = helper.make_node
    # A shape of a fixed dimension, as `x.view(x.size(0), x.size(1) * x.size(2))` is exported; the first stays open.
    nodes = [node("Shape", ["x"], ["s"]), node("Gather", ["s", "first"], ["a"]), node("Gather", ["s", "second"], ["b"]), node("Gather", ["s", "third"], ["c"]),
             node("Mul", ["b", "c"], ["d"]), node("Unsqueeze", ["a", "zero"], ["e"]), node("Unsqueeze", ["d", "zero"], ["f"]),
             node("Concat", ["e", "f"], ["g"], axis=0), node("Reshape", ["x", "g"], ["y"])]
    yield build("sizes", nodes, {"first": np.int64(0), "second": np.int64(1), "third": np.int64(2), "zero": ints(0)}, 5, 2)
    # Positions and a causal mask of fixed length, as `torch.arange` and `torch.triu` leave them.
    nodes = [node("Shape", ["x"], ["s"]), node("Slice", ["s", "one", "two"], ["t"]), node("Squeeze", ["t"], ["u"]), node("Range", ["start", "u", "step"], ["r"]),
             node("Unsqueeze", ["r", "zero"], ["row"]), node("Unsqueeze", ["r", "one"], ["column"]), node("Less", ["column", "row"], ["later"]),
             node("Where", ["later", "far", "near"], ["mask"]), node("Cast", ["r"], ["p"], to=TensorProto.FLOAT), node("Unsqueeze", ["p", "one"], ["q"]),
             node("Add", ["x", "q"], ["v"]), node("MatMul", ["mask", "v"], ["y"])]
    yield build("positions", nodes, {"start": np.int64(0), "step": np.int64(1), "zero": ints(0), "one": ints(1), "two": ints(2),
                                     "far": np.float32(-9), "near": np.float32(1)}, 2)
    # A weight that is transposed by a node, and one in FP16.
    nodes = [node("Transpose", ["w"], ["t"]), node("Cast", ["h"], ["c"], to=TensorProto.FLOAT), node("MatMul", ["x", "t"], ["z"]), node("MatMul", ["z", "c"], ["y"])]
    yield build("weights", nodes, {"w": real(300, 4), "h": real(300, 5, kind=np.float16)}, 2)
    float_ = lambda name: (name, TensorProto.FLOAT)
    choice = lambda yes, no: dict(then_branch=inner("yes", yes, [("k", np.float32(2))], (), [float_("b")]), else_branch=inner("no", no, (), (), [float_("b")]))
    branches = choice([node("Mul", ["x", "k"], ["m"]), node("Add", ["m", "w"], ["b"])], [node("Neg", ["x"], ["b"])])
    # A rank decides, as `if x.dim() == 3` is scripted.
    nodes = [node("Shape", ["x"], ["s"]), node("Size", ["s"], ["r"]), node("Equal", ["r", "three"], ["q"]), node("If", ["q"], ["a"], **branches), node("Abs", ["a"], ["y"])]
    yield build("branch", nodes, {"three": np.int64(3), "w": np.float32(5)}, 3)
    yield build("other-branch", [*nodes[:2], node("Greater", ["r", "three"], ["q"]), *nodes[3:]], {"three": np.int64(3), "w": np.float32(5)}, 2)
    body = inner("body", [node("Cast", ["i"], ["f"], to=TensorProto.FLOAT), node("Mul", ["v", "f"], ["g"]), node("Add", ["g", "x"], ["w"]), node("Identity", ["c"], ["o"]),
                          node("ReduceMax", ["w"], ["kept"], keepdims=0)],
                 (), [("i", TensorProto.INT64), ("c", TensorProto.BOOL), float_("v")], [("o", TensorProto.BOOL), float_("w"), float_("kept")])
    nodes = [node("Loop", ["rounds", "", "x"], ["a", "all"], body=body), node("ReduceSum", ["all"], ["t"], keepdims=0), node("Add", ["a", "t"], ["y"])]
    yield build("loop", nodes, {"rounds": np.int64(3)}, 15)
    yield build("long-loop", nodes, {"rounds": np.int64(40)}, 3)
    none = inner("body", [node("Add", ["v", "v"], ["w"]), node("Identity", ["c"], ["o"])], (), [("i", TensorProto.INT64), ("c", TensorProto.BOOL), float_("v")], [("o", TensorProto.BOOL), float_("w")])
    yield build("no-round", [node("Loop", ["rounds", "no", "x"], ["a"], body=none), node("Abs", ["a"], ["y"])], {"rounds": np.int64(3), "no": np.array(False)}, 1)
    # Large: what a run makes in a moment would fill the file.
    yield build("large", [node("Expand", ["w", "wide"], ["e"]), node("MatMul", ["x", "e"], ["y"])], {"w": real(4, 1), "wide": ints(4, 20000)}, 2)
