"""One server for all models, asked in the binary form of the Open Inference Protocol."""

import http.client
import json
import subprocess
import time
from pathlib import Path

import numpy as np

NAMES = {"float32": "FP32", "float64": "FP64", "int64": "INT64", "int32": "INT32", "bool": "BOOL", "object": "BYTES"}
KINDS = {name: np.dtype(kind) for kind, name in NAMES.items()}


class Server:
    """A modelyard-server that serves every model of a folder of folders."""

    def __init__(self, binary: Path, models: Path, work: Path) -> None:
        config = {
            "models": [{"name": each.name, "uri": f"file:{each}"} for each in sorted(models.iterdir())],
            "serving": {"drainDelay": "0ms"},
        }
        (work / "config.json").write_text(json.dumps(config))
        self.log, ports = work / "log", work / "ports.json"
        command = [
            binary,
            "--config",
            f"@{work / 'config.json'}",
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--admin-port",
            "0",
        ]
        command += ["--ports-file", ports, "--allow-control", "--termination-log", work / "end", "--log-level", "warn"]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, stderr=log)
        deadline = time.monotonic() + 60
        while not ports.is_file():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the server did not start:\n{self.log.read_text()}")
            time.sleep(0.05)
        self.connection = http.client.HTTPConnection("127.0.0.1", json.loads(ports.read_text())["port"], timeout=60)
        self._wait(deadline)

    def _wait(self, deadline: float) -> None:
        """Until every model is ready or has failed."""
        while time.monotonic() < deadline:
            states = json.loads(self._call("POST", "/v2/repository/index", b"{}")[1])
            self.faults = {state["name"]: state.get("reason", "") for state in states if state["state"] != "READY"}
            if not any(state["state"] in ("UNKNOWN", "LOADING") for state in states):
                return
            time.sleep(0.1)

    def ask(self, model: str, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        """The model's outputs, in its order."""
        tensors, pieces = [], []
        for name, values in feeds.items():
            piece = _encode(values)
            pieces.append(piece)
            kind = NAMES[values.dtype.name]
            parameters = {"binary_data_size": len(piece)}
            tensors.append({"name": name, "datatype": kind, "shape": list(values.shape), "parameters": parameters})
        head = json.dumps({"inputs": tensors, "parameters": {"binary_data_output": True}}).encode()
        headers = {"Inference-Header-Content-Length": str(len(head)), "Content-Type": "application/octet-stream"}
        answer, body = self._call("POST", f"/v2/models/{model}/infer", head + b"".join(pieces), headers)
        if answer.status != 200:
            raise RuntimeError(body.decode())
        length = int(answer.headers["Inference-Header-Content-Length"])
        outputs, begin = [], length
        for output in json.loads(body[:length])["outputs"]:
            end = begin + output["parameters"]["binary_data_size"]
            outputs.append(_decode(body[begin:end], output["datatype"]).reshape(output["shape"]))
            begin = end
        return outputs

    def ask_json(self, model: str, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        """The outputs by the Open Inference Protocol's JSON."""
        tensors = [
            {"name": name, "datatype": NAMES[one.dtype.name], "shape": list(one.shape), "data": one.ravel().tolist()}
            for name, one in feeds.items()
        ]
        found = self._json(f"/v2/models/{model}/infer", {"inputs": tensors})["outputs"]
        return [np.array(one["data"]).reshape(one["shape"]) for one in found]

    def ask_rows(self, model: str, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        """The outputs by TensorFlow Serving's JSON, with a row as people write it: `{"age": 31, "city": "Oslo"}`."""
        # What is missing is null, since JavaScript has no NaN to write.
        columns = {
            name: [None if each != each else each for each in one.ravel().tolist()] for name, one in feeds.items()
        }
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        found = self._json(f"/v1/models/{model}:predict", {"instances": rows})["predictions"]
        if not isinstance(found[0], dict):
            return [np.array(found)]
        return [np.array([_scores(row[name]) for row in found]) for name in found[0]]

    def _json(self, path: str, body: dict) -> dict:
        answer, found = self._call("POST", path, json.dumps(body).encode())
        if answer.status != 200:
            raise RuntimeError(found.decode())
        return json.loads(found)

    def _call(self, method: str, path: str, body: bytes, headers: dict | None = None) -> tuple:
        self.connection.request(method, path, body, headers or {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        return answer, answer.read()

    def stop(self) -> None:
        """Ends it, which it must do well."""
        self.process.terminate()
        if self.process.wait(20) != 0:
            raise SystemExit(f"the server ended with {self.process.returncode}:\n{self.log.read_text()}")


def _scores(value: object) -> object:
    """A map of classes is an object, in the order of the classes."""
    return list(value.values()) if isinstance(value, dict) else value


def _encode(values: np.ndarray) -> bytes:
    if values.dtype != object:
        return np.ascontiguousarray(values).tobytes()
    texts = [str(value).encode() for value in values.ravel()]
    return b"".join(len(text).to_bytes(4, "little") + text for text in texts)


def _decode(raw: bytes, kind: str) -> np.ndarray:
    if kind != "BYTES":
        return np.frombuffer(raw, KINDS[kind])
    texts, at = [], 0
    while at < len(raw):
        length = int.from_bytes(raw[at : at + 4], "little")
        texts.append(raw[at + 4 : at + 4 + length].decode())
        at += 4 + length
    return np.array(texts, dtype=object)
