"""Attention as the exporters write it, with heads that do nothing: `ways()` by name; and `refused()`, whose heads cannot go, with the reason.

The forms are those of PyTorch's two exporters, of tf2onnx and of ONNX Runtime's optimiser, written by hand: none of these tools runs here. The
weights are random."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

RANDOM = np.random.default_rng(5)
HEADS, PLACES, TOKENS, IDLE = 4, 8, 6, (0, 2)
WIDTH = HEADS * PLACES


class Graph:
    """Nodes in order, and their constants."""

    def __init__(self):
        self.nodes, self.constants, self.count = [], {}, 0

    def add(self, operator, *inputs, outputs=1, domain="", **attributes):
        self.count += 1
        names = [f"{operator.lower()}_{self.count}" + (f"_{at}" if outputs > 1 else "") for at in range(outputs)]
        self.nodes.append(helper.make_node(operator, inputs, names, name=names[0], domain=domain, **attributes))
        return names if outputs > 1 else names[0]

    def constant(self, array, name=None):
        name = name or f"constant_{len(self.constants)}"
        self.constants[name] = np.asarray(array)
        return name

    def ints(self, *values):
        return self.constant(np.array(values, np.int64))

    def number(self, value):
        return self.constant(np.float32(value))

    def index(self, name, at):
        """A dimension, as a list of one."""
        return self.add("Unsqueeze", self.add("Gather", self.add("Shape", name), self.constant(np.int64(at))), self.ints(0))

    def dense(self, x, weight, bias=None):
        product = self.add("MatMul", x, self.constant(weight))
        return product if bias is None else self.add("Add", self.constant(bias), product)

    def model(self, name, y, opset=17, tokens="tokens", extra=()):
        self.nodes.append(helper.make_node("Identity", [y], ["y"], name="last"))
        value = lambda which, dims: helper.make_tensor_value_info(which, TensorProto.FLOAT, dims)
        tensors = [numpy_helper.from_array(array, key) for key, array in self.constants.items()]
        shape = ["rows", TOKENS if tokens is None else tokens, WIDTH]
        outputs = [value("y", shape), *[value(one, None) for one in extra]]
        made = helper.make_graph(self.nodes, name, [value("x", ["rows", TOKENS, WIDTH])], outputs, tensors)
        sets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(made, opset_imports=sets if any(one.domain for one in self.nodes) else sets[:1], ir_version=10)


def weights(heads=HEADS):
    """Query, key, value: [WIDTH, heads * PLACES], biases; output [WIDTH, WIDTH]. Idle heads are small, and nothing reads them."""
    dense = lambda rows, columns: (RANDOM.normal(size=(rows, columns)) / np.sqrt(rows)).astype(np.float32)
    made = {name: dense(WIDTH, heads * PLACES) for name in "qkv"}
    made |= {f"{name}b": (RANDOM.normal(size=heads * PLACES) / 4).astype(np.float32) for name in "qkv"}
    made |= {"o": dense(WIDTH, WIDTH), "ob": dense(1, WIDTH)[0]}
    for head in IDLE:
        part = slice(head * PLACES, (head + 1) * PLACES)
        for name in "qkv":
            made[name][:, part] *= 0.2
        made["o"][part] = 0
    return made


def mask(graph, last=True):
    """Of the tokens whose greatest number is small, as transformers write it: [rows, 1, 1, tokens]."""
    kept = graph.add("Cast", graph.add("Greater", graph.add("ReduceMax", "x", axes=[-1], keepdims=0), graph.number(1.2)), to=TensorProto.FLOAT)
    wide = graph.add("Unsqueeze", kept, graph.ints(1, 2))
    return graph.add("Mul", graph.add("Sub", graph.number(1), wide), graph.number(-3e4))


def bert(name, shapes):
    """Query, key and value by themselves, a scale behind, a mask added; the shapes as constants, by -1 or put together by the run."""
    g, w = Graph(), weights()
    masked = mask(g)
    heads = {"constants": HEADS, "computed": HEADS, "open": -1}[shapes]
    whole = WIDTH if shapes != "open" else -1

    def shape(x, *last):
        if shapes == "constants":
            return g.ints(0, 0, *last)
        return g.add("Concat", g.index(x, 0), g.index(x, 1), *[g.ints(one) for one in last], axis=0)

    def part(which, order):
        x = g.dense("x", w[which], w[which + "b"])
        return g.add("Transpose", g.add("Reshape", x, shape(x, heads, PLACES)), perm=order)

    query, key, value = part("q", [0, 2, 1, 3]), part("k", [0, 2, 3, 1]), part("v", [0, 2, 1, 3])
    scores = g.add("Add", g.add("Div", g.add("MatMul", query, key), g.number(PLACES**0.5)), masked)
    mixed = g.add("Transpose", g.add("MatMul", g.add("Softmax", scores, axis=-1), value), perm=[0, 2, 1, 3])
    joined = g.add("Reshape", mixed, shape(mixed, whole))
    return g.model(name, g.add("Add", g.dense(joined, w["o"], w["ob"]), "x"))


def scaled(name):
    """As torch.export writes scaled_dot_product_attention: both sides scaled, by what the size of a head makes; rows without any token are none."""
    g, w = Graph(), weights()

    def part(which):
        x = g.add("Reshape", g.dense("x", w[which], w[which + "b"]), g.ints(0, TOKENS, HEADS, PLACES))
        return g.add("Transpose", x, perm=[0, 2, 1, 3])

    query, key, value = part("q"), part("k"), part("v")
    size = g.add("Cast", g.add("Slice", g.add("Shape", query), g.ints(-1), g.ints(2**63 - 1)), to=TensorProto.FLOAT)
    scale = g.add("Sqrt", g.add("Div", g.number(1), g.add("Sqrt", size)))
    scores = g.add("MatMul", g.add("Mul", query, scale), g.add("Mul", g.add("Transpose", key, perm=[0, 1, 3, 2]), scale))
    causal = g.constant(np.triu(np.full((1, 1, TOKENS, TOKENS), -3e4, np.float32), 1))
    weighed = g.add("Softmax", g.add("Add", scores, causal), axis=-1)
    weighed = g.add("Where", g.add("IsNaN", weighed), g.number(0), weighed)
    mixed = g.add("Transpose", g.add("MatMul", weighed, value), perm=[0, 2, 1, 3])
    return g.model(name, g.dense(g.add("Reshape", mixed, g.ints(0, TOKENS, WIDTH)), w["o"], w["ob"]))


def packed(name, way):
    """One product for queries, keys and values: taken apart by a Split before (GPT-2), or by their own dimension (vision transformers)."""
    g, w = Graph(), weights()
    x = g.dense("x", np.concatenate([w[one] for one in "qkv"], axis=1), np.concatenate([w[one + "b"] for one in "qkv"]))
    if way == "split":
        parts = g.add("Split", x, g.ints(WIDTH, WIDTH, WIDTH), outputs=3, axis=2)
        parts = [g.add("Transpose", g.add("Reshape", one, g.ints(0, 0, HEADS, PLACES)), perm=[0, 2, 1, 3]) for one in parts]
    else:
        five = g.add("Transpose", g.add("Reshape", x, g.ints(0, TOKENS, 3, HEADS, PLACES)), perm=[2, 0, 3, 1, 4])
        if way == "unbind":
            parts = [g.add("Squeeze", one, g.ints(0)) for one in g.add("Split", five, outputs=3, axis=0)]
        else:
            parts = [g.add("Gather", five, g.constant(np.int64(at)), axis=0) for at in range(3)]
    query, key, value = parts
    scores = g.add("MatMul", g.add("Mul", query, g.number(PLACES**-0.5)), g.add("Transpose", key, perm=[0, 1, 3, 2]))
    mixed = g.add("Transpose", g.add("MatMul", g.add("Softmax", scores, axis=3), value), perm=[0, 2, 1, 3])
    return g.model(name, g.dense(g.add("Reshape", mixed, g.ints(0, 0, WIDTH)), w["o"], w["ob"]))


def keras(name):
    """As tf2onnx takes Keras's einsums apart: rows of tokens, biases of [heads, places] behind the shape."""
    g, w = Graph(), weights()
    rows = g.add("Reshape", "x", g.ints(-1, WIDTH))

    def part(which, order):
        x = g.add("Reshape", g.dense(rows, w[which]), g.ints(-1, TOKENS, HEADS, PLACES))
        return g.add("Transpose", g.add("Add", x, g.constant(w[which + "b"].reshape(HEADS, PLACES))), perm=order)

    query = g.add("Mul", part("q", [0, 2, 1, 3]), g.number(PLACES**-0.5))
    weighed = g.add("Softmax", g.add("MatMul", query, part("k", [0, 2, 3, 1])), axis=-1)
    mixed = g.add("Transpose", g.add("MatMul", weighed, part("v", [0, 2, 1, 3])), perm=[0, 2, 1, 3])
    flat = g.dense(g.add("Reshape", mixed, g.ints(-1, WIDTH)), w["o"])
    return g.model(name, g.add("Add", g.add("Reshape", flat, g.ints(-1, TOKENS, WIDTH)), g.constant(w["ob"])))


def gemm(name):
    """Rows of tokens through Gemm, weights transposed, as old exports have it."""
    g, w = Graph(), weights()
    rows = g.add("Reshape", "x", g.ints(-1, WIDTH))

    def part(which):
        x = g.add("Gemm", rows, g.constant(np.ascontiguousarray(w[which].T)), g.constant(w[which + "b"]), transB=1)
        return g.add("Transpose", g.add("Reshape", x, g.ints(-1, TOKENS, HEADS, PLACES)), perm=[0, 2, 1, 3])

    query, key, value = part("q"), part("k"), part("v")
    weighed = g.add("Softmax", g.add("MatMul", query, g.add("Transpose", key, perm=[0, 1, 3, 2])), axis=-1)
    mixed = g.add("Transpose", g.add("MatMul", weighed, value), perm=[0, 2, 1, 3])
    flat = g.add("Gemm", g.add("Reshape", mixed, g.ints(-1, WIDTH)), g.constant(np.ascontiguousarray(w["o"].T)), g.constant(w["ob"]), transB=1)
    return g.model(name, g.add("Reshape", flat, g.ints(-1, TOKENS, WIDTH)))


def fused(name, operator):
    """One node for all of it: ONNX 23's, and those that ONNX Runtime's optimiser makes."""
    g, w = Graph(), weights()
    if operator == "packed":
        weight, bias = (np.concatenate([w[one + end] for one in "qkv"], axis=-1) for end in ("", "b"))
        y = g.add("Attention", "x", g.constant(weight), g.constant(bias), domain="com.microsoft", num_heads=HEADS)
    elif operator == "MultiHeadAttention":
        parts = [g.dense("x", w[one]) for one in "qkv"]
        y = g.add(operator, *parts, g.constant(np.concatenate([w[one + "b"] for one in "qkv"])), domain="com.microsoft", num_heads=HEADS)
    else:
        y = g.add(operator, *[g.dense("x", w[one], w[one + "b"]) for one in "qkv"], q_num_heads=HEADS, kv_num_heads=HEADS)
    return g.model(name, g.dense(y, w["o"], w["ob"]), opset=23 if operator == "Attention" else 17)


def ways():
    """Models whose heads 0 and 2 of 4 do nothing."""
    yield from (bert(f"bert-{shapes}", shapes) for shapes in ("constants", "computed", "open"))
    yield scaled("scaled")
    yield from (packed(f"packed-{way}", way) for way in ("split", "unbind", "gather"))
    yield keras("keras")
    yield gemm("gemm")
    # A bias of positions for each head, of constants alone.
    yield odd("positions", "positions")
    yield from (fused(f"fused-{operator}", operator) for operator in ("Attention", "MultiHeadAttention", "packed"))


def odd(name, change):
    """A plain attention but for one thing."""
    g, w = Graph(), weights(1 if change == "one" else 2 if change == "grouped" else HEADS)
    if change in ("one", "grouped"):
        w["q"], w["qb"] = weights()["q"], weights()["qb"]
    # Zero, which only the run knows.
    nothing = lambda: g.add("Mul", g.add("ReduceMax", "x", axes=[0, 1, 2], keepdims=0), g.number(0))

    def part(which, count):
        x = g.dense("x", w[which], w[which + "b"])
        size = g.ints(-1 if change == "told" else count)
        if change == "asked":
            size = g.add("Add", size, g.add("Cast", nothing(), to=TensorProto.INT64))
        shape = g.add("Concat", g.ints(0), g.ints(TOKENS), size, g.ints(PLACES), axis=0)
        return g.add("Transpose", g.add("Reshape", x, shape), perm=[0, 2, 1, 3])

    count = {"one": 1, "grouped": 2}.get(change, HEADS)
    query, key, value = part("q", HEADS), part("k", count), part("v", count)
    if change == "grouped":
        repeat = lambda one: g.add("Reshape", g.add("Expand", g.add("Unsqueeze", one, g.ints(2)), g.ints(1, 1, 2, 1, 1)), g.ints(0, HEADS, TOKENS, PLACES))
        key, value = repeat(key), repeat(value)
    scores = g.add("MatMul", query, g.add("Transpose", key, perm=[0, 1, 3, 2]))
    if change == "told":
        scores = g.add("Mul", scores, g.add("Cast", g.add("Gather", g.add("Shape", query), g.constant(np.int64(1))), to=TensorProto.FLOAT))
    if change in ("positions", "places"):
        table = g.constant(RANDOM.normal(size=(TOKENS, HEADS)).astype(np.float32))
        where = g.constant(np.abs(np.arange(TOKENS)[:, None] - np.arange(TOKENS)))
        if change == "places":
            where = g.add("Add", where, g.add("Cast", nothing(), to=TensorProto.INT64))
        scores = g.add("Add", scores, g.add("Unsqueeze", g.add("Transpose", g.add("Gather", table, where), perm=[2, 0, 1]), g.ints(0)))
    mixed = g.add("MatMul", g.add("Softmax", scores, axis=-1), value)
    if change == "mixed":
        mixed = g.add("Softmax", mixed, axis=1)
    joined = g.add("Reshape", g.add("Transpose", mixed, perm=[0, 2, 1, 3]), g.ints(0, 0, WIDTH))
    return g.model(name, g.dense(joined, w["o"], w["ob"]), extra=[key] if change == "kept" else ())


def refused():
    """Models whose heads stay, and why."""
    for change, words in [
        ("one", "one head of keys"),
        ("grouped", "grouped"),
        ("asked", "computes the number of heads"),
        ("told", "is asked how many heads there are"),
        ("places", "is not known to leave heads to themselves"),
        ("mixed", "goes over the heads"),
        ("kept", "is an output of the model"),
    ]:
        yield odd(f"odd-{change}", change), words
