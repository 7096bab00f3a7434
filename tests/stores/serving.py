"""One modelyard-server that serves one model from a store, until it is ready or has ended."""

import contextlib
import hashlib
import json
import os
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

MODELS = Path(__file__).resolve().parents[1] / "models"
# Names that would lead a server of the test to somebody's real store.
FOREIGN = ("AWS_", "GOOGLE_", "AZURE_", "HF_", "DOCKER_", "STORAGE_EMULATOR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
PATIENCE = 60


class Refused(Exception):
    """The server ended: its code, and what it wrote for whoever asks why."""

    def __init__(self, code, reason, message):
        super().__init__(f"exit code {code}, {reason}: {message}")
        self.code, self.reason, self.message = code, reason, message


def sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait_for(port, process, name, log):
    """Until somebody listens on a port of loopback."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if process.poll() is not None:
            raise OSError(f"{name} ended with {process.returncode}: {Path(log).read_text()[-2000:]}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise OSError(f"{name} did not listen within {PATIENCE} s")


@contextlib.contextmanager
def running(command, port, log, **environment):
    """A store's server on a port of loopback, ended with the block."""
    with open(log, "wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, **environment})
    try:
        wait_for(port, process, command[0], log)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def serve(*arguments, **options):
    """The digest of what a server serves: see `told`."""
    return told(*arguments, **options)["digest"]


def told(server, uri, environment, secret=None, sha256=None, cache=None, pin=None):
    """What a server says of the model that it serves from `uri`. `secret` is what a Secret would hold; `environment` is the process's own; `pin`
    is what the uri led to for another server, as that one said it."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        ended = folder / "ended"
        ended.touch()
        variables = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        variables |= environment
        model = {"name": "m", "uri": uri}
        if sha256:
            model["sha256"] = sha256
        if secret is not None and "HTTP_AUTHORIZATION" in secret:
            model["authorizationEnv"] = "MODELYARD_AUTHORIZATION_0"
            variables["MODELYARD_AUTHORIZATION_0"] = secret["HTTP_AUTHORIZATION"]
        elif secret is not None:
            model["credentialsEnv"] = "MODELYARD_STORE_0_"
            variables |= {f"MODELYARD_STORE_0_{name.lstrip('.').upper()}": value for name, value in secret.items()}
        (folder / "config.json").write_text(json.dumps({"models": [model]}))
        command = [server, "--config", f"@{folder}/config.json", "--host", "127.0.0.1", "--port", "0", "--admin-port", "0"]
        command += ["--ports-file", f"{folder}/ports.json", "--termination-log", ended, "--cache-dir", cache or folder / "cache"]
        if pin:
            (folder / "pins.json").write_text(json.dumps({"": {"m": pin}}))
            command += ["--pins-file", folder / "pins.json"]
        with open(folder / "log", "wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=variables)
        try:
            model = _ready(process, folder)
        finally:
            process.kill()
            process.wait()
        log = (folder / "log").read_text() + ended.read_text()
        for name, value in {**environment, **(secret or {})}.items():
            hidden = any(word in name.upper() for word in ("SECRET", "TOKEN", "KEY", "CREDENTIALS", "DOCKERCONFIG")) and "FILE" not in name
            assert not hidden or value not in log, f"the log holds the value of {name}"
        if model is None:
            words = json.loads(ended.read_text() or "{}")
            raise Refused(process.returncode, words.get("reason"), words.get("message", log[-2000:]))
        return model


def _ready(process, folder):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if process.poll() is not None:
            return None
        with contextlib.suppress(OSError, ValueError, KeyError):
            port = json.loads((folder / "ports.json").read_text())["adminPort"]
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
                model = json.load(answer)["models"][0]
                model["digest"]  # Not there before it is ready.
                return model
        time.sleep(0.05)
    raise OSError(f"not ready within {PATIENCE} s: {(folder / 'log').read_text()[-2000:]}")


def refused(serving, code, reason, *words):
    """That a server ends so, and says these words."""
    try:
        digest = serving()
    except Refused as told:
        assert (told.code, told.reason) == (code, reason), told
        assert all(word in told.message for word in words), f"expected {words} in: {told.message}"
    else:
        raise AssertionError(f"it serves {digest}; expected {reason}")
