#!/usr/bin/env python3
"""Serves every case and compares the answers with ONNX Runtime's and the library's: labels equal, numbers within 1e-5 or, of
XGBoost's, LightGBM's and CatBoost's own files, 1e-6.

Prints a line for each case that differs or is refused, and a count. Those that are known, with the operator at fault, are in KNOWN.
"""

import json
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from skl2onnx import to_onnx

import boosters
import trees

# Cases with other operators that the engine has not, or not right yet, by the beginning of their names.
KNOWN: dict[str, str] = {}
DATATYPES = {"float32": "FP32", "float64": "FP64"}


def ask(address: str, name: str, rows: np.ndarray, input_name: str) -> dict[str, np.ndarray]:
    tensor = {"name": input_name, "datatype": DATATYPES[rows.dtype.name], "shape": list(rows.shape), "data": rows.ravel().tolist()}
    body = json.dumps({"inputs": [tensor]}).encode()
    with urllib.request.urlopen(f"http://{address}/v2/models/{name}/infer", body, timeout=60) as answer:
        outputs = json.load(answer)["outputs"]
    return {one["name"]: np.array(one["data"]).reshape(one["shape"]) for one in outputs}


def plain(value: object) -> np.ndarray:
    """An answer of ONNX Runtime's; maps become their values."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return np.array([list(one.values()) for one in value])
    return np.asarray(value)


def difference(found: np.ndarray, expected: np.ndarray, most: float = 1e-5) -> str | None:
    if found.shape != expected.shape:
        return f"shape {found.shape}, expected {expected.shape}"
    if expected.dtype.kind not in "f":
        wrong = int((found.astype(str) != expected.astype(str)).sum())
        return f"{wrong} of {expected.size} differ" if wrong else None
    # Of a probability near 0, what its complement was rounded by is left.
    worst = float(((np.abs(found - expected) - 1e-6) / np.maximum(np.abs(expected), 1e-9)).max())
    return f"off by {worst:.2g} relative" if worst > most else None


def check(address: str, case: trees.Case, path: Path) -> str | None:
    try:
        found = ask(address, path.stem, case.rows, "X")
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read().decode()[:300]}"
    for name, value in theirs(case, path).items():
        if reason := difference(found[name], value):
            return f"{name}: {reason} from ONNX Runtime's"
    if hasattr(case.model, "score") and not case.classifies:
        own = case.model.predict(case.rows)
        return difference(next(iter(found.values())), own.reshape(len(own), -1))
    if case.classifies:
        label, scores = list(found.values())[:2]
        if reason := difference(label, case.model.predict(case.rows)):
            return f"label: {reason} from scikit-learn's"
        if not case.options.get("raw_scores") and case.options.get("zipmap") != "columns":
            return difference(scores, case.model.predict_proba(case.rows))
    return None


def check_own(address: str, case: boosters.Case, path: Path) -> str | None:
    """The library's own predictions are equal to 1e-6."""
    try:
        found = ask(address, path.stem, case.rows, "input")
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read().decode()[:300]}"
    for name, value in case.expected.items():
        if reason := difference(found[name], value, 1e-6):
            return f"{name}: {reason} from the library's"
    return None


def theirs(case: trees.Case, path: Path) -> dict[str, np.ndarray]:
    """ONNX Runtime's answers; none where it does not take the file. skl2onnx declares that trees over FP64 give FP64, which they do
    not: that is put right where they are all there is."""
    proto = onnx.load(path)
    if len(proto.graph.node) == 1:
        for output in proto.graph.output:
            if output.type.tensor_type.elem_type == onnx.TensorProto.DOUBLE:
                output.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    try:
        session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    except onnxruntime.capi.onnxruntime_pybind11_state.Fail:
        if case.rows.dtype == np.float64 and len(proto.graph.node) > 1:
            return {}
        raise
    answers = zip(session.get_outputs(), session.run(None, {"X": case.rows}), strict=True)
    return {one.name: plain(value) for one, value in answers}


def start(server: str, folder: Path, files: list[Path]) -> tuple[subprocess.Popen, str]:
    config = {"models": [{"name": path.stem, "uri": f"file:{path}"} for path in files], "serving": {"drainDelay": "0ms"}}
    (folder / "config.json").write_text(json.dumps(config))
    command = [server, "--config", f"@{folder}/config.json", "--host", "127.0.0.1", "--port", "0", "--admin-port", "0"]
    command += ["--ports-file", str(folder / "ports.json"), "--log-level", "error"]
    process = subprocess.Popen(command, stderr=(folder / "log").open("w"))
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        if (folder / "ports.json").is_file():
            ports = json.loads((folder / "ports.json").read_text())
            states = json.load(readiness(f"127.0.0.1:{ports['adminPort']}"))["models"]
            if all(state["state"] in ("Ready", "Failed") for state in states):
                return process, f"127.0.0.1:{ports['port']}"
        time.sleep(0.1)
    sys.exit(f"the server did not settle:\n{(folder / 'log').read_text()[-2000:]}")


def readiness(admin: str):
    try:
        return urllib.request.urlopen(f"http://{admin}/readyz", timeout=10)
    except urllib.error.HTTPError as not_ready:
        return not_ready


def main() -> None:
    warnings.simplefilter("ignore")
    onnxruntime.set_default_logger_severity(3)
    server = sys.argv[1]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cases = trees.cases()
        files = []
        for at, case in enumerate(cases):
            options = {id(case.model): case.options} if case.options else None
            proto = to_onnx(case.model, case.rows[:1], options=options, target_opset={"": 18, "ai.onnx.ml": 3})
            files.append(folder / f"case-{at}.onnx")
            files[-1].write_bytes(proto.SerializeToString())
        own = boosters.cases()
        own_files = [case.save(folder, f"booster-{at}") for at, case in enumerate(own)]
        process, address = start(server, folder, files + own_files)
        try:
            wrong = {case.name: reason for case, path in zip(cases, files, strict=True) if (reason := check(address, case, path))}
            wrong |= {case.name: reason for case, path in zip(own, own_files, strict=True) if (reason := check_own(address, case, path))}
        finally:
            process.terminate()
            process.wait()
    known = {name for name in wrong if name.startswith(tuple(KNOWN))}
    for beginning in KNOWN:
        if not any(name.startswith(beginning) for name in wrong):
            print(f"right now, so not to be listed in check.py any more: {beginning}")
    for name, reason in wrong.items():
        print(f"{'known' if name in known else 'WRONG'}  {name}: {reason}")
    every = len(cases) + len(own)
    print(f"{every - len(wrong)} of {every} tree models answer as ONNX Runtime, scikit-learn, XGBoost, LightGBM or CatBoost; {len(known)} are known not to")
    sys.exit(1 if len(wrong) > len(known) else 0)


if __name__ == "__main__":
    main()
