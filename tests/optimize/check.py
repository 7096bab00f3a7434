"""Each model, optimised in each way, is a sound ONNX file, and ONNX Runtime computes the same from it, to what the way allows."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto

import attention
import folding
import models

MODELYARD, ROOT = sys.argv[1], pathlib.Path(sys.argv[2])
# The largest difference from the original's answers, as a share of the largest of them.
WAYS = {
    "clean": ([], 1e-5),
    "f16": (["--weights", "f16"], 5e-3),
    "int8": (["--weights", "int8"], 6e-2),
    "dynamic": (["--quantize", "dynamic"], 6e-2),
    "static": (["--quantize", "static", "--metric", "cosine", "--force"], 8e-2),
}
# What has no weights for a way: the one's are used within branches alone, where none is looked for; the others' are small or no product's.
NONE = {"branches": ("f16", "int8", "dynamic", "static"), "iris": ("f16", "int8", "dynamic", "static"), "normalised": ("dynamic",)}
# It would tell of each constant that it shares.
onnxruntime.set_default_logger_severity(3)
RANDOM = np.random.default_rng(0)
failed = 0


def check(ok, what):
    global failed
    failed += not ok
    return "" if ok else f"  FAILED: {what}"


def answers(path, inputs, plain=False):
    options = onnxruntime.SessionOptions()
    if plain:
        # So that it computes what is constant as it computes all else.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(None, {one.name: inputs[one.name] for one in session.get_inputs()})


def inputs_of(model, rows=3):
    types = {TensorProto.FLOAT: np.float32}
    found = {}
    given = {one.name for one in model.graph.initializer}
    for one in model.graph.input:
        if one.name in given:
            continue
        tensor = one.type.tensor_type
        shape = [dim.dim_value or rows for dim in tensor.shape.dim]
        found[one.name] = RANDOM.normal(size=shape).astype(types[tensor.elem_type])
    return found


def optimise(path, out, *arguments):
    ran = subprocess.run([MODELYARD, "optimize", path, "-o", out, "--report", "json", *arguments], capture_output=True, text=True)
    return ran.stderr.strip() or ran.stdout if ran.returncode else json.loads(ran.stdout)


def lint(path):
    ran = subprocess.run([MODELYARD, "inspect", path, "--check", "-o", "json"], capture_output=True, text=True)
    return [one for one in json.loads(ran.stdout)["findings"] if one["severity"] == "error"] if ran.stdout else [ran.stderr]


def networks(folder):
    known = {name: ROOT / "examples" / name / "model" / "model.onnx" for name in ("iris", "lstm", "mnist", "mnist-cnn")}
    for made in (models.normalised(), models.branches(), models.layers()):
        known[made.graph.name] = folder / f"{made.graph.name}.onnx"
        onnx.save(made, known[made.graph.name])
    print(f"{'model':<14} {'way':<8} {'nodes':>9} {'bytes':>17} {'difference':>11}")
    for name, path in known.items():
        before = onnx.load(path)
        inputs = inputs_of(before)
        wanted = answers(path, inputs)
        # What ranges are taken from: rows like those that are asked.
        np.savez(folder / "data.npz", **inputs_of(before, 64))
        for way, (arguments, most) in WAYS.items():
            out = folder / f"{name}-{way}.onnx"
            data = ["--data", folder / "data.npz"] if way == "static" else []
            told = optimise(path, out, *arguments, *data)
            if isinstance(told, str):
                fine = "has none of what it applies to" in told and way in NONE.get(name, ())
                print(f"{name:<14} {way:<8} {'refused' if fine else ''}{check(fine, told)}")
                continue
            onnx.checker.check_model(out, full_check=True)
            steps = told["steps"]
            found = answers(out, inputs)
            worst = max(float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-9)) for a, b in zip(wanted, found))
            well = worst <= most and [one.shape for one in wanted] == [one.shape for one in found]
            engines = "".join(f"  {one['engine']} {one['figure']:.5f}" for one in steps[-1]["engines"])
            alike = all(one.get("figure", 0) > 0.99 for one in steps[-1]["engines"])
            print(f"{name:<14} {way:<8} {steps[0]['nodes']:>3} to {steps[-1]['nodes']:>2} {steps[0]['bytes']:>7} to {steps[-1]['bytes']:>6} {worst:>11.1e}{engines}"
                  f"{check(well, f'at most {most}')}{check(alike, 'an engine answers otherwise')}{check(not lint(out), lint(out))}")
    nodes = len(onnx.load(folder / "normalised-clean.onnx").graph.node)
    print(f"normalised: {nodes} nodes{check(nodes == 7, 'expected 7')}")


def channels(folder):
    """Channels that do nothing go first, and without them nothing changes but rounding."""
    for made, share, shapes in [
        (models.layers(idle=True), 0.5, {"w": [32, 32], "b": [32], "v": [32, 32]}),
        (models.filters(), 0.5, {"w": [4, 3, 3, 3], "d": [4, 1, 3, 3], "k": [3, 4, 1, 1], "g": [12, 20], "s": [4]}),
    ]:
        path, out = folder / "whole.onnx", folder / "pruned.onnx"
        onnx.save(made, path)
        inputs = inputs_of(made, 16)
        told = optimise(path, out, "--prune-channels", str(share))
        if isinstance(told, str):
            print(f"{made.graph.name:<14} channels{check(False, told)}")
            continue
        onnx.checker.check_model(out, full_check=True)
        [wanted], [found] = answers(path, inputs), answers(out, inputs)
        worst = float(np.abs(wanted - found).max() / np.abs(wanted).max())
        dims = {one.name: list(one.dims) for one in onnx.load(out).graph.initializer}
        same = {name: dims.get(name) for name in shapes} == shapes
        print(f"{made.graph.name:<14} channels {told['steps'][0]['bytes']:>17} to {told['steps'][-1]['bytes']:>6} {worst:>11.1e}"
              f"{check(worst <= 1e-5, 'only idle channels may go')}{check(same, dims)}{check(not lint(out), lint(out))}")


def folds(folder):
    """What is computed beforehand is what ONNX Runtime computes: to the last bit, or to rounding where functions are approximated."""
    path, out = folder / "whole.onnx", folder / "folded.onnx"
    rounded = ("Sin", "Cos", "Exp", "Log", "Pow", "weights", "positions")
    counted = 0
    for name, made, left in [*folding.singles(), *folding.chains()]:
        onnx.save(made, path)
        inputs = inputs_of(made, 2)
        [wanted] = answers(path, inputs, plain=True)
        told = optimise(path, out)
        if isinstance(told, str):
            print(f"{name:<24} folds{check(False, told)}")
            continue
        onnx.checker.check_model(out)
        [found] = answers(out, inputs, plain=True)
        same = wanted.shape == found.shape and (
            np.allclose(wanted, found, rtol=1e-6, atol=1e-6) if name in rounded else np.array_equal(wanted, found, equal_nan=True))
        nodes = told["steps"][-1]["nodes"]
        counted += 1
        words = f"{check(same, (wanted, found))}{check(nodes == left, f'{nodes} nodes, expected {left}')}{check(not lint(out), lint(out))}"
        if words or name in {one for one, _, _ in folding.chains()}:
            print(f"{name:<24} folds {told['steps'][0]['nodes']:>3} to {nodes:>2}{words}")
    print(f"folds: {counted} models")


def heads(folder):
    """Heads that do nothing go first, by their weights and by what answers lose, and without them nothing changes but rounding."""
    path, out = folder / "whole.onnx", folder / "pruned.onnx"
    for made in attention.ways():
        name = made.graph.name
        onnx.save(made, path)
        inputs = inputs_of(made, 5)
        np.savez(folder / "data.npz", **inputs_of(made, 64))
        [wanted] = answers(path, inputs)
        # tract knows no operators of ONNX Runtime's own.
        for way, arguments in {"weights": [], "losses": ["--data", folder / "data.npz", "--metric", "cosine", "--force"]}.items():
            told = optimise(path, out, "--prune-heads", "0.5", *arguments)
            if isinstance(told, str):
                print(f"{name:<24} heads by {way:<8}{check(False, told)}")
                continue
            onnx.checker.check_model(out)
            [found] = answers(out, inputs)
            worst = float(np.abs(wanted - found).max() / np.abs(wanted).max())
            steps = told["steps"]
            alike = [one.get("figure", 1) > 1 - 1e-10 for one in steps[-1].get("engines", [])]
            engines = "".join(f"  {one['engine']} {one.get('figure', 'does not run')}" for one in steps[-1].get("engines", []))
            print(f"{name:<24} heads by {way:<8} {steps[0]['bytes']:>6} to {steps[-1]['bytes']:>6} {worst:>9.1e}{engines}"
                  f"{check(worst <= 1e-5, 'only idle heads may go')}{check(steps[-1]['changed'] == 2, steps)}"
                  f"{check(all(alike), 'an engine answers otherwise')}{check(not lint(out), lint(out))}")
    for made, words in attention.refused():
        onnx.save(made, path)
        answers(path, inputs_of(made, 2))
        told = optimise(path, out, "--prune-heads", "0.5")
        fine = isinstance(told, str) and words in told
        print(f"{made.graph.name:<24} heads {told.split('go: ')[-1].strip() if fine else ''}{check(fine, told)}")


def trees(folder):
    """Merging changes no bit; rounding leaves moves sums by no more than is told."""
    grid = np.arange(-2, 2.25, 0.25, dtype=np.float32)
    rows = np.stack(np.meshgrid(*[np.append(grid, np.nan)] * 3), axis=-1).reshape(-1, 3).astype(np.float32)
    wild = [models.wild(operator, sums) for operator in ("TreeEnsembleRegressor", "TreeEnsembleClassifier") for sums in (True, False)]
    made = [(one.graph.name, one, rows) for one in [*wild, models.arrays()]]
    for name, model, rows in [*made, *models.learnt()]:
        path, out = folder / "forest.onnx", folder / "merged.onnx"
        onnx.save(model, path)
        for way, arguments in {"merged": [], "4 bits": ["--leaves", "4"], "8 bits": ["--leaves", "8"]}.items():
            told = optimise(path, out, *arguments)
            if isinstance(told, str):
                print(f"{name:<16} {way:<7}{check(False, told)}")
                continue
            onnx.checker.check_model(out, full_check=True)
            sizes = f"{told['steps'][0]['bytes']:>9} to {told['steps'][-1]['bytes']:>9}"
            # Single rows too: one row of many trees is summed in another way.
            pieces = [rows] + [rows[at : at + 1] for at in range(0, len(rows), max(1, len(rows) // 50))]
            pairs = [pair for piece in pieces for pair in zip(answers(path, {"x": piece}), answers(out, {"x": piece}))]
            floats = [(a, b) for a, b in pairs if a.dtype == np.float32]
            worst = max(float(np.abs(a - b).max()) for a, b in floats)
            if way == "merged":
                well = all(a.tobytes() == b.tobytes() for a, b in pairs)
                fewer = told["steps"][-1]["bytes"] < told["steps"][0]["bytes"]
                print(f"{name:<16} {way:<7} {sizes} {worst:>9.1e}{check(well, 'not the same bits')}{check(fewer, 'nothing went')}{check(not lint(out), lint(out))}")
            else:
                most = float(told["steps"][-1]["note"].split()[-1])
                # A probability moves by a quarter as much as the logistic's sum at most; others by as much as their sums.
                print(f"{name:<16} {way:<7} {sizes} {worst:>9.1e} of {most:.1e}{check(worst <= most + 1e-5, 'more than was told')}")


with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    networks(folder)
    channels(folder)
    folds(folder)
    heads(folder)
    trees(folder)
print(f"{failed} failed; engines: {'tract and ONNX Runtime' if os.environ.get('MODELYARD_ORT_LIB') else 'tract alone'}")
sys.exit(1 if failed else 0)
