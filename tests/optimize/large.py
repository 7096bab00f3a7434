"""A model larger than a file may be, optimised within a bound of memory: python tests/optimize/large.py MODELYARD [GIBIBYTES [FOLDER]].

Writes a model of that size (3 GiB unless told) with its weights in a file beside it, and has it written with FP16 and with INT8 weights.
Needs numpy and onnx, and room for three such files in FOLDER (the current one). Prints what memory the command took at most, which is bounded
by the largest weight and not by the model; exits 1 where it is more than a quarter of the model, or where a sound file did not come out."""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnx
from onnx import TensorProto, external_data_helper, helper

MODELYARD, GIBIBYTES = sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 3
WIDTH = 4096  # 64 MiB a weight
LAYERS = max(1, int(GIBIBYTES * 2**30 / (WIDTH * WIDTH * 4)))


def make(folder):
    """Layers of equal width. Their weights differ, so that none is another's twin."""
    random, tensors = np.random.default_rng(0), []
    with open(folder / "large.data", "wb") as data:
        for layer in range(LAYERS):
            offset = data.tell()
            data.write(random.standard_normal((WIDTH, WIDTH), np.float32).tobytes())
            tensor = TensorProto(name=f"w{layer}", data_type=TensorProto.FLOAT, dims=[WIDTH, WIDTH], raw_data=b"?")
            external_data_helper.set_external_data(tensor, "large.data", offset, data.tell() - offset)
            tensor.ClearField("raw_data")
            tensors.append(tensor)
    nodes = [helper.make_node("MatMul", [f"x{layer}", f"w{layer}"], [f"x{layer + 1}"]) for layer in range(LAYERS)]
    value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", WIDTH])
    graph = helper.make_graph(nodes, "large", [value("x0")], [value(f"x{LAYERS}")], tensors)
    (folder / "large.onnx").write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString())


def main():
    failed = 0
    with tempfile.TemporaryDirectory(dir=sys.argv[3] if len(sys.argv) > 3 else ".") as folder:
        folder = pathlib.Path(folder)
        make(folder)
        whole = (folder / "large.data").stat().st_size
        for weights in ("f32", "f16", "int8"):
            out = folder / weights
            out.mkdir()
            began = time.monotonic()
            ran = subprocess.Popen([MODELYARD, "optimize", folder / "large.onnx", "-o", out / "out.onnx", "--weights", weights, "--report", "json"], stdout=subprocess.PIPE)
            peak = 0
            while ran.poll() is None:
                # The system's own high mark; what the system says when it ends counts this program, which started it, too.
                peak = max(peak, high_mark(ran.pid))
                time.sleep(0.02)
            said, took = ran.stdout.read(), time.monotonic() - began
            files = {one.name: one.stat().st_size for one in out.iterdir()}
            well = ran.returncode == 0 and 0 < peak < whole / 4 and json.loads(said)["written"]
            if well:
                onnx.checker.check_model(out / "out.onnx")
                one, last = first_values(out, LAYERS - 1), np.fromfile(folder / "large.data", np.float32, 8, offset=(LAYERS - 1) * WIDTH * WIDTH * 4)
                well = np.allclose(one, last, atol=0.05)
            failed += not well
            print(f"{weights}: {whole / 2**30:.2f} GiB in, {sum(files.values()) / 2**30:.2f} GiB out in {len(files)} file(s), peak {peak / 2**20:.0f} MiB, {took:.0f} s"
                  f"{'' if well else '  FAILED'}")
            shutil.rmtree(out)
    sys.exit(1 if failed else 0)


def high_mark(process):
    """The most memory that a process had, in bytes; 0 where it has ended."""
    try:
        lines = pathlib.Path(f"/proc/{process}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


def first_values(folder, layer):
    """The first eight values of a layer's weight, as the graph would compute them."""
    model = onnx.load(folder / "out.onnx", load_external_data=False)
    tensors = {one.name: one for one in model.graph.initializer}

    def array(name, count, kind):
        tensor = tensors[name]
        if tensor.data_location == TensorProto.EXTERNAL:
            entry = {one.key: one.value for one in tensor.external_data}
            return np.fromfile(folder / entry["location"], kind, count, offset=int(entry["offset"]))
        return np.frombuffer(tensor.raw_data, kind, count)

    if f"w{layer}_f16" in tensors:
        return array(f"w{layer}_f16", 8, np.float16).astype(np.float32)
    if f"w{layer}_int8" in tensors:
        return array(f"w{layer}_int8", 8, np.int8) * array(f"w{layer}_scale", 8, np.float32)
    return array(f"w{layer}", 8, np.float32)


main()
