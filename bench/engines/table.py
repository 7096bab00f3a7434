#!/usr/bin/env python3
"""Compares the engines with one another, each running the same models: what they answer, how long a row and 32 rows take, how long they take
to load, and the memory that a loaded model costs.

Networks of the examples are in it where their scripts have fetched them. All run in the server's own code, on one thread, each in a process
of its own that takes turns of some milliseconds with the others. Times are medians of the turns, loads the least of several. `right` is the
share of 2 000 held-out digits; `differs` the greatest difference to ONNX Runtime's own Python package, on 32 rows. Prints a table in Markdown;
`--write FILE...` puts it between each file's markers.
"""

import argparse
import os
import statistics
import sys
from pathlib import Path

import numpy as np
import onnxruntime

import compare
import models

BEGIN, END = "<!-- the engines: make bench-engines writes it -->", "<!-- the engines end -->"
COLUMNS = ("model", "engine", "load ms", "memory MB", "1 row us", "32 rows us", "differs", "right")
DIGITS = {"MNIST, two dense layers": "mnist", "MNIST, convolutions": "mnist-cnn", "MNIST, LSTM": "lstm"}
LOADS = 5
MANY = 32


def cases(root, folder):
    """For each model its file, its rows, the labels of these where it knows digits, and how many rows the second time is of."""
    digits = np.load(root / "examples" / "mnist" / "heldout.npz")
    rows = folder / "digits.bin"
    digits["pixels"].tofile(rows)
    found = {name: (root / "examples" / of / "model" / "model.onnx", rows, digits["labels"], MANY) for name, of in DIGITS.items()}
    made = {name: (*files, None, MANY) for name, (files, _) in models.write(folder, models.MODELS).items()}
    return found | made | dict(examples(root, folder))


def examples(root, folder):
    """The examples' networks, with a folder of inputs; one that is not there is told."""
    for name, (of, inputs) in models.EXAMPLES.items():
        model = root / "examples" / of / "model" / "model.onnx"
        if not model.is_file():
            print(f"{name}: left out, {model} has not been fetched (make bench-engines does)", file=sys.stderr)
            continue
        rows, made = folder / of, inputs()
        models.lay(rows, made)
        yield name, (model, rows, None, min(len(values) for values in made.values()))


class Engine:
    """One engine with one model."""

    def __init__(self, binary, files, engine, count):
        self.ours = compare.Ours(binary, *files, count, engine)
        self.load, self.memory = self.ours.load, self.ours.memory

    def us(self, runs):
        return self.ours.seconds(runs) * 1e6


def timed(engines, rounds):
    """The median of each engine's turns, in microseconds."""
    counts = [compare.runs_per_slice(engine.ours) for engine in engines]
    turns = [[engine.us(count) for engine, count in zip(engines, counts)] for _ in range(rounds)]
    return [statistics.median(times) for times in zip(*turns)]


def opened(binary, files, count):
    """The engines that take the model, each once."""
    found = {}
    for engine in ("own", "tract", "onnxruntime"):
        try:
            one = Engine(binary, files, engine, count)
        except compare.Refused as refused:
            print(f"{files[0].name}: {engine}: {refused}", file=sys.stderr)
            continue
        if one.ours.engine in found:
            one.ours.close()
        else:
            found[one.ours.engine] = one
    return found


def expected(model, rows_file, count):
    """What ONNX Runtime's Python package answers to the first rows."""
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    if rows_file.is_dir():
        [inputs] = [make() for of, make in models.EXAMPLES.values() if of == rows_file.name]
        feeds = {name: rows[:count] for name, rows in inputs.items()}
    else:
        [spec] = session.get_inputs()
        shape = [count, *spec.shape[1:]]
        feeds = {spec.name: np.fromfile(rows_file, np.float32, int(np.prod(shape))).reshape(shape)}
    return np.asarray(session.run(None, feeds)[0]).astype(np.float64).ravel()


def right(binary, files, labels, engine):
    """The share of digits that an engine knows."""
    if labels is None:
        return ""
    one = compare.Ours(binary, *files, len(labels), engine)
    try:
        scores = one.answer().reshape(len(labels), -1)
    finally:
        one.close()
    return f"{(scores.argmax(axis=1) == labels).mean():.4f}"


def lines(binary, name, files, labels, rows, rounds):
    """The rows of the table for one model; of a model that is measured with one row the second time is left out."""
    single, many = opened(binary, files, 1), opened(binary, files, rows)
    try:
        times = {1: timed(list(single.values()), rounds)}
        times[rows] = times[1] if rows == 1 else timed(list(many.values()), rounds)
        truth = expected(*files, rows)
        for at, (engine, one) in enumerate(many.items()):
            asked = {"Tract": "tract", "OnnxRuntime": "onnxruntime"}.get(engine, "own")
            loads = [one.load]
            for _ in range(LOADS - 1):
                again = compare.Ours(binary, *files, 1, asked)
                loads.append(again.load)
                again.close()
            differs = np.abs(one.ours.answer() - truth).max()
            yield (
                name,
                engine,
                f"{min(loads) * 1e3:.1f}",
                f"{single[engine].memory / 1e6:.1f}",
                f"{times[1][at]:.1f}",
                f"{times[rows][at]:.1f}" if rows > 1 else "",
                f"{differs:.0e}",
                right(binary, files, labels, asked),
            )
    finally:
        for one in (*single.values(), *many.values()):
            one.ours.close()


def write(path, table):
    """Puts the table between the markers."""
    before, rest = path.read_text().split(BEGIN)
    _, after = rest.split(END)
    path.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="the repository")
    parser.add_argument("--rounds", type=int, default=11, help="turns of each engine (default: 11)")
    parser.add_argument("--binary", help="a built engine_time, instead of building it")
    parser.add_argument("--write", type=Path, nargs="+", default=[], help="the files whose tables are to be replaced")
    parser.add_argument("--only", default="", help="only models in whose names this is")
    options = parser.parse_args()
    if "MODELYARD_ORT_LIB" not in os.environ:
        parser.error("MODELYARD_ORT_LIB names no library of ONNX Runtime: MODELYARD_ORT_LIB=$(tools/onnxruntime)")
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    binary = options.binary or compare.build(options.root)
    folder = options.root / "target" / "bench" / "engines"
    folder.mkdir(parents=True, exist_ok=True)
    head = f"{compare.described(binary)}; ONNX Runtime {onnxruntime.__version__}; one thread; medians of {options.rounds} turns; load average {os.getloadavg()[0]:.1f}:"
    table = [head, "", "| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|"]
    for name, (model, inputs, labels, rows) in cases(options.root, folder).items():
        if options.only not in name:
            continue
        for line in lines(binary, name, (model, inputs), labels, rows, options.rounds):
            table.append("| " + " | ".join(line) + " |")
            print(table[-1], flush=True)
    text = "\n".join(table)
    for path in options.write:
        write(path, text)


if __name__ == "__main__":
    main()
