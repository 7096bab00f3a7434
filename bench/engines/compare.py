#!/usr/bin/env python3
"""Times our engines and ONNX Runtime on the same models and rows, one thread each, and prints a table.

The two take turns of some milliseconds each, so that what disturbs the machine meets both. Of ONNX Runtime's time a call's own
price through Python, measured on a graph of one Identity, is taken off; ours is a call of Engine::run, answer included.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

import models

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import builds

SLICE = 0.02


class Theirs:
    """ONNX Runtime with its inputs and outputs bound, so that nothing is copied on the way."""

    def __init__(self, model, rows):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.bound = session.io_binding()
        self.bound.bind_cpu_input(session.get_inputs()[0].name, rows)
        for output in session.get_outputs():
            self.bound.bind_output(output.name)
        self.session = session

    def seconds(self, runs):
        run, bound = self.session.run_with_iobinding, self.bound
        begun = time.perf_counter()
        for _ in range(runs):
            run(bound)
        return (time.perf_counter() - begun) / runs


class Refused(Exception):
    """The engine does not take the model."""


class Ours:
    """The example engine_time, which loads the model as the server would; `load` is in seconds, `memory` in bytes."""

    def __init__(self, binary, model, rows, count, engine="own"):
        command = [binary, model, rows, str(count), engine]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        said = self.process.stdout.readline().split()
        if not said:
            raise Refused(self.process.communicate()[1].strip().splitlines()[0])
        self.engine, self.load, self.memory = said[0], int(said[1]) / 1e9, int(said[2])

    def seconds(self, runs):
        self.process.stdin.write(f"{runs}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline()) / runs / 1e9

    def answer(self):
        """The first output, flat."""
        self.process.stdin.write("answer\n")
        self.process.stdin.flush()
        return np.array(self.process.stdout.readline().split(), dtype=np.float64)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def call_price(rows):
    """What a call costs in which nothing is computed."""
    port = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, rows.shape[1]])
    node = helper.make_node("Identity", ["x"], ["y"])
    graph = helper.make_graph([node], "identity", [port("x")], [port("y")])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    engine = Theirs(proto.SerializeToString(), rows[:1])
    return min(engine.seconds(500) for _ in range(20))


def runs_per_slice(engine):
    engine.seconds(3)
    return max(1, int(SLICE / engine.seconds(5)))


def case(binary, files, rows, count, rounds):
    """Microseconds of each round: ours, theirs."""
    model, rows_file = files
    theirs, ours = Theirs(str(model), np.ascontiguousarray(rows[:count])), Ours(binary, model, rows_file, count)
    try:
        price = call_price(rows)
        counts = runs_per_slice(ours), runs_per_slice(theirs)
        pairs = [(ours.seconds(counts[0]) * 1e6, (theirs.seconds(counts[1]) - price) * 1e6) for _ in range(rounds)]
    finally:
        ours.close()
    return ours.engine, *zip(*pairs)


def spread(values):
    return f"{min(values):.1f} / {statistics.median(values):.1f} / {max(values):.1f}"


def described(binary):
    """The machine, and what the binary says of how it was built."""
    built = subprocess.run([binary, "build"], capture_output=True, text=True, check=True).stdout.strip()
    return f"{builds.machine()}; build {built}"


def build(root):
    """The example, for this machine's level of x86-64."""
    made = builds.Build(str(root), portable=False)
    environment = {**os.environ, "CARGO_TARGET_DIR": made.folder}
    if made.v3:
        environment["RUSTFLAGS"] = "-C target-cpu=x86-64-v3"
    command = ["cargo", "build", "--release", "--locked", "--workspace", "--example", "engine_time"]
    subprocess.run(command, cwd=root, env=environment, check=True)
    return made.example("engine_time")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="the repository")
    parser.add_argument("--rounds", type=int, default=21, help="turns of each engine per case (default: 21)")
    parser.add_argument("--binary", help="a built engine_time, instead of building it")
    parser.add_argument("--only", default="", help="only models in whose names this is")
    options = parser.parse_args()
    binary = options.binary or build(options.root)
    folder = options.root / "target" / "bench" / "engines"
    folder.mkdir(parents=True, exist_ok=True)
    print(f"\n{described(binary)}; ONNX Runtime {onnxruntime.__version__}; load average {os.getloadavg()[0]:.1f}")
    print(f"microseconds per call on one thread, min / median / max of {options.rounds} turns; ratio: theirs by ours\n")
    print("| model | rows | engine | ours | ONNX Runtime | ratio | goal |\n|---|---|---|---|---|---|---|")
    missed = 0
    for name, (files, goals) in models.write(folder, models.MODELS | models.ESTIMATORS).items():
        if options.only not in name:
            continue
        session = onnxruntime.InferenceSession(files[0], providers=["CPUExecutionProvider"])
        rows = np.fromfile(files[1], np.float32).reshape(-1, session.get_inputs()[0].shape[1])
        for count, goal in goals.items():
            engine, ours, theirs = case(binary, files, rows, count, options.rounds)
            ratio = statistics.median(b / a for a, b in zip(ours, theirs))
            missed += ratio < goal
            verdict = f">= {goal:g} {'met' if ratio >= goal else 'missed'}"
            print(f"| {name} | {count} | {engine} | {spread(ours)} | {spread(theirs)} | {ratio:.2f} | {verdict} |", flush=True)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
