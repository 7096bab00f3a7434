"""`modelyard package`, `push` and `pull` with a real registry, and with what breaks on the way to it."""

import contextlib
import hashlib
import http.client
import http.server
import json
import os
import subprocess
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import oci
from oci import ADD, EXTERNAL, LOGIN, MANIFEST, MODELPACK, authorization, secret_for
from serving import FOREIGN, serve, sha256

SCHEME = "oci, pushed"
started = oci.started
MIB = 1 << 20


def modelyard(server, *arguments, login=None, host="", code=0):
    """What the command prints, or says where it fails."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(secret_for(host, login)[".dockerconfigjson"] if login else "{}")
        variables = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        variables |= {"DOCKER_CONFIG": folder, "MODELYARD_CACHE_DIR": f"{folder}/cache"}
        command = [server.parent / "modelyard", *arguments]
        ran = subprocess.run(command, capture_output=True, text=True, env=variables, timeout=120, stdin=subprocess.DEVNULL, check=False)
    assert ran.returncode == code, f"exit code {ran.returncode}: {ran.stderr}"
    assert not login or login.split(":")[1] not in ran.stdout + ran.stderr
    return ran.stderr if code else ran.stdout


def push(server, path, uri, login=LOGIN, code=0):
    host = uri.removeprefix("oci://").split("/")[0]
    said = modelyard(server, "push", path, uri, "-o", "json", login=login, host=host, code=code)
    return said if code else json.loads(said)


def sent(report):
    return {layer["path"] for layer in report["layers"] if layer["sent"]}


def manifest(store, uri):
    host, rest = uri.removeprefix("oci://").split("/", 1)
    name, digest = rest.split("@")
    request = urllib.request.Request(f"http://{host}/v2/{name}/manifests/{digest}")
    request.add_header("authorization", authorization(store, host, name))
    request.add_header("accept", MANIFEST)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def blob(store, uri, digest):
    host, rest = uri.removeprefix("oci://").split("/", 1)
    name = rest.split("@")[0]
    request = urllib.request.Request(f"http://{host}/v2/{name}/blobs/{digest}")
    request.add_header("authorization", authorization(store, host, name))
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


@contextlib.contextmanager
def packaged(server, source=EXTERNAL):
    with tempfile.TemporaryDirectory() as folder:
        modelyard(server, "package", source, "-o", f"{folder}/made")
        yield Path(folder) / "made"


def whole(store, server):
    """a package with external data, pushed with a token for pushing, served and pulled by its digest"""
    with packaged(server) as made, tempfile.TemporaryDirectory() as folder:
        del store.granted[:]
        report = push(server, made, f"oci://{store.tokens}/team/whole:v1")
        assert set(store.granted) == {"repository:team/whole:pull,push"}, store.granted
        assert sent(report) == set(contents(made))
        listed = manifest(store, report["uri"])
        assert listed["artifactType"] == MODELPACK
        kinds = {layer["annotations"]["org.cncf.model.filepath"]: layer["mediaType"].split(".model.")[1] for layer in listed["layers"]}
        assert kinds["model.onnx"] == "weight.v1.raw" and kinds["README.md"] == "doc.v1.raw", kinds
        assert json.loads(listed["annotations"]["dev.modelyard.signature"])["inputs"], listed["annotations"]
        config = blob(store, report["uri"], listed["config"]["digest"])
        assert config["descriptor"]["name"] == "whole" and config["config"]["format"] == "onnx", config
        assert config["modelfs"] == {"type": "layers", "diffIds": [layer["digest"] for layer in listed["layers"]]}
        for uri in (report["uri"], f"oci://{store.tokens}/team/whole:v1"):
            assert serve(server, uri, {}, secret_for(store.tokens)) == sha256(made / "model.onnx")
        modelyard(server, "pull", report["uri"], "-o", f"{folder}/pulled", login=LOGIN, host=store.tokens)
        assert contents(f"{folder}/pulled") == contents(made)


def unchanged(store, server):
    """pushed again: nothing is sent and the digest is the same; with another card, only the card is sent"""
    with packaged(server) as made:
        uri = f"oci://{store.passwords}/again:v1"
        first = push(server, made, uri)
        again = push(server, made, uri)
        assert (again["uri"], sent(again)) == (first["uri"], set())
        (made / "README.md").write_text("# Another\n")
        other = push(server, made, uri)
        assert other["uri"] != first["uri"] and sent(other) == {"README.md"}, other


def files_alone(store, server):
    """a model's file alone, and a packaged .tar.gz as it is"""
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "add.tar.gz"
        told = json.loads(modelyard(server, "package", ADD, "-o", archive, "--report", "json"))
        assert told["sha256"] == sha256(archive)
        for path, expected in ((ADD, sha256(ADD)), (archive, told["sha256"])):
            report = push(server, path, f"oci://{store.passwords}/alone/{path.name.split('.')[-1]}:v1")
            assert serve(server, report["uri"], {}, secret_for(store.passwords), expected) == expected


def strangers(store, server):
    """a wrong password, and none: ModelUnauthorized, with what the caller needs"""
    for host in (store.tokens, store.passwords):
        for login, words in (("reader:guessed", "asked as reader"), (None, "asked without credentials")):
            said = push(server, ADD, f"oci://{host}/team/none:v1", login, code=1)
            assert "ModelUnauthorized" in said and words in said and "right to push" in said, said


def no_place(store, server):
    """a digest in place of a tag, a folder without a model"""
    said = push(server, ADD, f"oci://{store.passwords}/a@sha256:{'0' * 64}", code=1)
    assert "expected oci://HOST/REPOSITORY:TAG" in said, said
    with tempfile.TemporaryDirectory() as folder:
        assert "expected a .onnx file" in push(server, folder, f"oci://{store.passwords}/a:v1", code=1)


def memory(store, server):
    """192 MiB beside a model, read from the disk as they are sent: less than 100 MB of memory"""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as logins:
        folder = Path(folder)
        (folder / "model.onnx").write_bytes(ADD.read_bytes())
        with open(folder / "more.bin", "wb") as more:
            for _ in range(192):
                more.write(os.urandom(MIB))
        (Path(logins) / "config.json").write_text(secret_for(store.passwords)[".dockerconfigjson"])
        command = [server, "push", folder, f"oci://{store.passwords}/large:v1"]
        process = subprocess.Popen(command, env={**os.environ, "DOCKER_CONFIG": logins}, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        # Its own peak: what wait4 tells counts the memory of whoever started it.
        peak = 0
        while process.poll() is None:
            with contextlib.suppress(OSError, StopIteration), open(f"/proc/{process.pid}/status") as status:
                peak = max(peak, int(next(line for line in status if line.startswith("VmHWM")).split()[1]))
            time.sleep(0.01)
        assert process.returncode == 0
        assert 0 < peak < 100 * 1000, f"{peak} kB"


class Fault:
    """What a door before the registry does to uploads: `first` of them, or to all of them where that is None."""

    def __init__(self, first, kind):
        self.first, self.kind, self.uploads, self.bytes = first, kind, 0, 0

    def strikes(self):
        self.uploads += 1
        return self.first is None or self.uploads <= self.first


@contextlib.contextmanager
def door(registry, fault):
    """A proxy that hands everything on, but for the fault."""

    class Door(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def hand_on(self):
            upload = self.command == "PUT" and "/uploads/" in self.path
            struck = upload and fault.strikes()
            length = int(self.headers.get("content-length", 0))
            if struck and fault.kind == "cut":
                self.rfile.read(length // 2)
                self.connection.close()
                self.close_connection = True
                return
            body = self.rfile.read(length)
            if struck and fault.kind in (500, 401):
                self.answer(fault.kind, {}, b"")
                return
            if upload:
                fault.bytes += length
            if struck and fault.kind == "damage":
                body = bytes([body[0] ^ 1]) + body[1:]
            upstream = http.client.HTTPConnection(registry, timeout=30)
            upstream.request(self.command, self.path, body or None, {**self.headers, "content-length": str(length)})
            answer = upstream.getresponse()
            self.answer(answer.status, dict(answer.getheaders()), answer.read())
            upstream.close()

        def answer(self, status, headers, body):
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() not in ("content-length", "connection", "transfer-encoding", "date"):
                    self.send_header(name, value)
            head = self.command == "HEAD"
            self.send_header("content-length", headers.get("Content-Length", "0") if head else str(len(body)))
            self.end_headers()
            if not head:
                self.wfile.write(body)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = hand_on

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Door)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def overcome(store, server):
    """an upload that is cut, one that is damaged on the way (DIGEST_INVALID), 500, 401 and a new token: pushed at the next try"""
    with packaged(server) as made:
        for kind in ("cut", "damage", 500, 401):
            fault = Fault(1, kind)
            registry = store.tokens if kind == 401 else store.passwords
            del store.granted[:]
            with door(registry, fault) as host:
                report = push(server, made, f"oci://{host}/faulty/{kind}:v1")
            # Every blob once, the configuration among them, and the one that was struck once more.
            assert fault.uploads == len(report["layers"]) + 2, f"{kind}: {fault.uploads}"
            assert kind != 401 or len(store.granted) == 2, store.granted
            pulled = report["uri"].replace(host, registry)
            assert serve(server, pulled, {}, secret_for(registry)) == sha256(made / "model.onnx")


def given_up(store, server):
    """uploads that always fail: a bounded number of tries, StoreUnavailable, and no manifest"""
    for kind, words in (("damage", "DIGEST_INVALID"), (500, "answered 500")):
        fault = Fault(None, kind)
        with door(store.passwords, fault) as host:
            said = push(server, ADD, f"oci://{host}/lost/{kind}:v1", code=1)
        assert "StoreUnavailable" in said and words in said and "after 6 attempts" in said, said
        assert fault.uploads == 6
        said = modelyard(server, "pull", f"oci://{store.passwords}/lost/{kind}:v1", "-o", "/nonexistent/x", login=LOGIN, host=store.passwords, code=1)
        assert "ModelNotFound" in said, said


def pulled(store, server):
    """pull: a folder that is there, another sum, a claim; nothing is left behind"""
    uri = f"oci://{store.tokens}/team/adder:v1"
    with tempfile.TemporaryDirectory() as folder:
        taken = Path(folder) / "taken"
        taken.mkdir()
        (taken / "file").touch()
        pull = lambda *more: modelyard(server, "pull", *more, login=LOGIN, host=store.tokens, code=1)
        assert "is there already" in pull(uri, "-o", taken)
        assert "ChecksumMismatch" in pull(uri, "-o", f"{folder}/new", "--sha256", "0" * 64)
        assert "kubectl cp" in pull("pvc://claim/m.onnx", "-o", f"{folder}/new")
        assert os.listdir(folder) == ["taken"]
        source = Path(folder) / "m.onnx"
        source.write_bytes(ADD.read_bytes())
        modelyard(server, "pull", f"file:{source}", "-o", f"{folder}/new")
        assert hashlib.sha256((Path(folder) / "new/m.onnx").read_bytes()).hexdigest() == sha256(ADD)


CASES = [whole, unchanged, files_alone, strangers, no_place, memory, overcome, given_up, pulled]
