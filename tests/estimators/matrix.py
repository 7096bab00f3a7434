#!/usr/bin/env python3
"""Trains scikit-learn's estimators, converts each with skl2onnx, serves all of them by one modelyard-server, and compares the
answers with ONNX Runtime's and with scikit-learn's own.

Labels must be equal, numbers within 1e-5: of the number itself, or where it is small, of the output's mean magnitude. What a
file of 32 bit numbers loses against scikit-learn, which computes with 64, is the conversion's: a model may be as far from
scikit-learn as ONNX Runtime is with the same file, no further, and then the table has ONNX Runtime's distance beside ours.
`--write FILE` puts the table between the file's markers.
"""

import argparse
import itertools
import logging
import os
import sys
import tempfile
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

for pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(pool, "1")

import numpy as np
import onnxruntime
import pandas as pd
from sklearn.base import BaseEstimator, is_classifier, is_regressor
from sklearn.feature_extraction.text import CountVectorizer
from skl2onnx import convert_sklearn

from cases import GROUPS, KNOWN, Case
from client import Server

TOLERANCE = 1e-5
BEGIN, END = "<!-- the matrix: make test-models writes it -->", "<!-- the matrix ends -->"


@dataclass
class Made:
    """A converted model with its rows, and what each of the others answers."""

    name: str
    group: str
    operators: list[str]
    feeds: dict[str, np.ndarray]
    onnx_runtime: list[np.ndarray]
    scikit_learn: list[np.ndarray]
    classes: list
    fault: str = ""
    #: Why ONNX Runtime gives no answer, if it does not.
    refused: str = ""


@dataclass
class Row:
    """One line of the table."""

    name: str
    group: str
    operators: list[str]
    runtime: str
    scikit: str
    fault: str


def slug(name: str) -> str:
    """A model's name for a case."""
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower()).strip("-")


def truths(case: Case, model: BaseEstimator) -> tuple[str, ...]:
    """The methods that the file's outputs stand for."""
    if case.truth:
        return case.truth
    if is_classifier(model):
        return ("predict", "predict_proba" if hasattr(model, "predict_proba") else "decision_function")
    if is_regressor(model):
        return ("predict",)
    if hasattr(model, "predict") and hasattr(model, "decision_function"):
        return ("predict", "decision_function")
    return ("predict", "transform") if hasattr(model, "predict") else ("transform",)


def options(case: Case, model: BaseEstimator) -> dict:
    """What skl2onnx is told: of the classifier, and of every text vectoriser within."""
    told = {"zipmap": False} if is_classifier(model) else {}
    told |= {key: value for key, value in case.options.items() if key not in ("text", "opset")}
    told = {key: value for key, value in told.items() if value is not None}
    found: dict = {}
    if told:
        last = model.steps[-1][1] if hasattr(model, "steps") else model
        found[id(last)] = told
    for part in vectorizers(model):
        found[id(part)] = case.options["text"]
    return found


def vectorizers(model: BaseEstimator) -> list[BaseEstimator]:
    """The text vectorisers in a pipeline."""
    steps = [model, *(step for _, step in getattr(model, "steps", []))]
    inner = [part for step in steps for _, part, _ in getattr(step, "transformers_", [])]
    return [part for part in inner if isinstance(part, CountVectorizer)]


def answer(method: str, model: BaseEstimator, rows: object) -> list[np.ndarray]:
    """scikit-learn's answer: a table for each of several outputs, and of two classes' one score both."""
    if method in ("neighbours", "distances"):
        return [model.kneighbors(rows)[method == "neighbours"]]
    found = getattr(model, method)(rows)
    if isinstance(found, list):
        return [np.asarray(part) for part in found]
    found = np.asarray(found.todense() if hasattr(found, "todense") else found)
    if is_classifier(model) and method == "decision_function" and found.ndim == 1:
        found = np.column_stack([-found, found])
    return [found]


def plain(output: object, classes: list) -> list[np.ndarray]:
    """An output of ONNX Runtime: a ZipMap's maps become a table in the order of the classes, a sequence several outputs."""
    if isinstance(output, list) and output and isinstance(output[0], dict):
        return [np.array([[row[name] for name in classes] for row in output])]
    return [np.asarray(part) for part in output] if isinstance(output, list) else [np.asarray(output)]


def paired(scikit: list[list[np.ndarray]], runtime: list[list[np.ndarray]]) -> list[np.ndarray]:
    """scikit-learn's answers laid out as the file's: several tables are one tensor where the file has one."""
    pairs = itertools.zip_longest(scikit, runtime, fillvalue=[])
    return [
        one
        for found, expected in pairs
        for one in (found if len(found) == len(expected) or not expected else [np.stack(found)])
    ]


def make(job: tuple[str, int, Path]) -> Made:
    """Trains and converts one case, by its group and place, and asks ONNX Runtime and scikit-learn."""
    group, place, folder = job
    case = GROUPS[group][place]
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    onnxruntime.set_default_logger_severity(4)
    made = Made(case.name, group, [], {}, [], [], [])
    try:
        data = case.data()
        model = case.make()
        model.fit(data.train, data.target) if data.target is not None else model.fit(data.train)
        made.classes = list(getattr(model, "classes_", []))
        proto = convert_sklearn(
            model,
            initial_types=data.initial_types(),
            options=options(case, model),
            target_opset=case.options.get("opset"),
        )
        made.operators = sorted({node.op_type for node in proto.graph.node})
        made.feeds = data.feeds()
        rows = data.asked if isinstance(data.asked, pd.DataFrame | list) else made.feeds["X"]
        if isinstance(rows, np.ndarray) and rows.ndim == 2 and getattr(rows, "dtype", None) == np.float32:
            rows = rows.astype(np.float64)
        answers = [answer(method, model, rows) for method in truths(case, model)]
        if case.options.get("zipmap") == "columns":
            answers = [answers[0], *([column] for column in answers[1][0].T)]
        made.scikit_learn = [one for several in answers for one in several]
        target = folder / slug(case.name)
        target.mkdir(parents=True)
        (target / "model.onnx").write_bytes(proto.SerializeToString())
    except Exception as error:
        made.fault = f"not converted: {brief(error)}"
        return made
    try:
        session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
        if isinstance(data.asked, list):
            # ONNX has one map for a run.
            runs = [session.run(None, {"X": row}) for row in data.asked]
            outputs = [np.concatenate(parts) for parts in zip(*runs, strict=True)]
        else:
            outputs = session.run(None, made.feeds)
        found = [plain(output, made.classes) for output in outputs]
        made.onnx_runtime = [one for several in found for one in several]
        made.scikit_learn = paired(answers, found)
    except Exception as error:
        made.refused = brief(error)
    return made


def brief(error: Exception) -> str:
    """An error in a line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest relative difference; infinite where labels or shapes differ."""
    if found.size != expected.size:
        return np.inf
    found, expected = found.ravel(), expected.ravel()
    if expected.dtype.kind in "OUSb" or found.dtype.kind in "OUSb":
        return 0.0 if [str(one) for one in found] == [str(one) for one in expected] else np.inf
    if expected.dtype.kind in "iu" and found.dtype.kind in "iu":
        return 0.0 if np.array_equal(found, expected) else np.inf
    found, expected = found.astype(np.float64), expected.astype(np.float64)
    if not np.array_equal(np.isnan(found), np.isnan(expected)):
        return np.inf
    known = ~np.isnan(expected) & (found != expected)
    if not known.any():
        return 0.0
    scale = np.maximum(np.abs(expected[known]), np.nanmean(np.abs(expected)))
    return float(np.max(np.abs(found[known] - expected[known]) / scale))


def worst(found: list[np.ndarray], expected: list[np.ndarray]) -> float:
    """Over the outputs that both have."""
    return max((difference(one, other) for one, other in zip(found, expected, strict=False)), default=np.inf)


def compare(made: Made, server: Server) -> Row:
    """Asks the server, and says how far it is from the others."""
    row = Row(made.name, made.group, made.operators, "", "", made.fault)
    if row.fault:
        return row
    if fault := server.faults.get(slug(made.name)):
        row.fault = fault
        return row
    try:
        found = server.ask(slug(made.name), made.feeds)
        if len(made.feeds) > 1:
            check_json(made, server, found)
    except RuntimeError as error:
        row.fault = str(error)[:300]
        return row
    runtime, scikit = worst(found, made.onnx_runtime), worst(found, made.scikit_learn)
    if made.refused:
        row.runtime, row.scikit = "cannot run it", shown(scikit)
        row.fault = f"differs from scikit-learn by {shown(scikit)}" if scikit > TOLERANCE else ""
        return row
    apart = worst(made.onnx_runtime, made.scikit_learn)
    row.runtime, row.scikit = shown(runtime), shown(scikit)
    if len(found) != len(made.onnx_runtime):
        row.fault = f"{len(found)} outputs, ONNX Runtime has {len(made.onnx_runtime)}"
    elif scikit > max(TOLERANCE, 1.01 * apart) + (runtime if runtime <= TOLERANCE else 0):
        row.fault = f"differs from scikit-learn by {shown(scikit)}, ONNX Runtime by {shown(apart)}"
    elif runtime > TOLERANCE and runtime > scikit + 1.01 * apart:
        row.fault = f"differs from ONNX Runtime by {shown(runtime)}"
    elif scikit > TOLERANCE:
        row.scikit += f" (ONNX Runtime {shown(apart)})"
    return row


def check_json(made: Made, server: Server, found: list[np.ndarray]) -> None:
    """Columns of several types in both protocols' JSON give what the binary protocol gave."""
    for ask in (server.ask_json, server.ask_rows):
        if (apart := worst(ask(slug(made.name), made.feeds), found)) > TOLERANCE:
            raise RuntimeError(f"{ask.__name__} differs from the binary protocol by {shown(apart)}")


def shown(difference: float) -> str:
    """A difference for people."""
    return "labels differ" if difference == np.inf else "equal" if difference == 0 else f"{difference:.0e}"


def table(rows: list[Row]) -> str:
    """The table in Markdown."""
    lines = []
    for group in GROUPS:
        lines += [
            f"\n### {group}\n",
            "| estimator | operators | to ONNX Runtime | to scikit-learn | |",
            "|---|---|---|---|---|",
        ]
        for row in (row for row in rows if row.group == group):
            state = "passes" if not row.fault else f"refused: {KNOWN.get(row.name, row.fault)}"
            operators = ", ".join(row.operators[:8]) + (" ..." if len(row.operators) > 8 else "")
            lines.append(f"| {row.name} | {operators} | {row.runtime} | {row.scikit} | {state} |")
    return "\n".join(lines).strip()


def report(rows: list[Row]) -> int:
    """Prints the table for a terminal; how many failed that are not known to."""
    failed = 0
    for row in rows:
        known = row.name in KNOWN
        state = "pass" if not row.fault else "known" if known else "FAIL"
        state = "FAIL" if known and not row.fault else state
        failed += state == "FAIL"
        fault = row.fault or ("it passes: take it off the list of what is known" if state == "FAIL" else "")
        print(f"{state:6}{row.name:50}{row.runtime:>14}  {row.scikit:28}{' '.join(row.operators)[:60]:62}{fault}")
    known = sum(bool(row.fault) and row.name in KNOWN for row in rows)
    print(f"\n{len(rows)} models: {len(rows) - failed - known} pass, {known} are known refusals, {failed} fail")
    return failed


def write(path: Path, rows: list[Row]) -> None:
    """Puts the table between the markers of a page."""
    page = path.read_text()
    before, rest = page.split(BEGIN)
    path.write_text(f"{before}{BEGIN}\n\n{table(rows)}\n\n{END}{rest.split(END)[1]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("server", type=Path, help="the modelyard-server to ask")
    parser.add_argument("--only", help="the cases whose name holds this")
    parser.add_argument("--keep", type=Path, help="a folder to keep the models in")
    parser.add_argument("--write", type=Path, help="the page to write the table into")
    arguments = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as work:
        models = arguments.keep or Path(work) / "models"
        models.mkdir(parents=True, exist_ok=True)
        chosen = [(group, place, case) for group, cases in GROUPS.items() for place, case in enumerate(cases)]
        jobs = [(group, place, models) for group, place, case in chosen if (arguments.only or "") in case.name]
        with ProcessPoolExecutor(2) as pool:
            made = list(pool.map(make, jobs))
        trained = time.monotonic() - begun
        server = Server(arguments.server, models, Path(work))
        rows = [compare(one, server) for one in made]
        server.stop()
    failed = report(rows)
    print(f"trained and converted in {trained:.0f} s, {time.monotonic() - begun:.0f} s in all")
    if arguments.write:
        write(arguments.write, rows)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
