"""Google Cloud Storage, as fake-gcs-server serves it. It asks nobody who they are, so a door of ours stands before it for some cases: a token
endpoint that checks the service account's assertion, and a proxy that lets in who has the token."""

import base64
import contextlib
import dataclasses
import hashlib
import http.client
import http.server
import json
import os
import shutil
import tempfile
import threading
import time
import urllib.parse
import urllib.request

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from serving import MODELS, free_port, refused, running, serve, sha256, told

SCHEME = "gs"
ADD, EXTERNAL = MODELS / "add.onnx", MODELS / "external"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclasses.dataclass
class Running:
    against: str
    endpoint: str
    door: str
    tokens: list


@contextlib.contextmanager
def started(work):
    binary = os.environ.get("FAKE_GCS_SERVER") or shutil.which("fake-gcs-server")
    port = free_port()
    command = [binary, "-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-backend", "memory", "-public-host", f"127.0.0.1:{port}"]
    with running(command, port, work / "gcs.log"):
        endpoint = f"http://127.0.0.1:{port}"
        _post(f"{endpoint}/storage/v1/b?project=test", json.dumps({"name": "models"}).encode())
        objects = [("one/add + 1.onnx", ADD), ("moving", ADD)]
        objects += [(f"folder/{path.name}", path) for path in sorted(EXTERNAL.iterdir())]
        for key, path in objects:
            put(endpoint, key, path.read_bytes())
        tokens = []
        door = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _door(port, tokens))
        threading.Thread(target=door.serve_forever, daemon=True).start()
        try:
            version = os.environ.get("FAKE_GCS_VERSION", "")
            yield Running(f"fake-gcs-server {version}".strip(), endpoint, f"http://127.0.0.1:{door.server_port}", tokens)
        finally:
            door.shutdown()
            door.server_close()


def _post(url, body):
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read()


def put(endpoint, key, body):
    _post(f"{endpoint}/upload/storage/v1/b/models/o?uploadType=media&name={urllib.parse.quote(key, safe='')}", body)


def _door(port, tokens):
    class Door(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def _answer(self, status, body, headers=()):
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self):
            form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
            try:
                claims = _check(form["assertion"][0])
                assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
                assert claims["iss"] == "reader@test" and claims["aud"].endswith("/token") and claims["exp"] > time.time()
            except Exception as error:
                said = {"error": "invalid_grant", "error_description": type(error).__name__}
                return self._answer(400, json.dumps(said).encode())
            tokens.append(f"token-{len(tokens)}-of-the-door")
            self._answer(200, json.dumps({"access_token": tokens[-1], "expires_in": 3600, "token_type": "Bearer"}).encode())

        def do_GET(self):
            if not tokens or self.headers.get("authorization") != f"Bearer {tokens[-1]}":
                said = {"error": {"code": 401, "message": "Anonymous caller does not have storage.objects.get access"}}
                return self._answer(401, json.dumps(said).encode())
            asked = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            asked.request("GET", self.path, headers={name: value for name, value in self.headers.items() if name.lower() in ("range", "if-range", "if-none-match")})
            answer = asked.getresponse()
            kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in ("content-length", "transfer-encoding", "connection")]
            self._answer(answer.status, answer.read(), kept)

    return Door


def _check(assertion):
    text, signature = assertion.rsplit(".", 1)
    decode = lambda part: base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    KEY.public_key().verify(decode(signature), text.encode(), padding.PKCS1v15(), hashes.SHA256())
    return json.loads(decode(text.split(".")[1]))


def _account(store, email="reader@test", key=KEY):
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {"GOOGLE_APPLICATION_CREDENTIALS": json.dumps(
        {"type": "service_account", "client_email": email, "private_key": key.private_bytes(*form).decode(), "token_uri": f"{store.door}/token"})}


def one_object(store, server):
    """an object, without credentials"""
    assert serve(server, "gs://models/one/add + 1.onnx", {"STORAGE_EMULATOR_HOST": store.endpoint}, sha256=sha256(ADD)) == sha256(ADD)


def account(store, server):
    """an object and a folder, by the Secret's service account: its assertion is checked, and its token asked for"""
    at = {"STORAGE_EMULATOR_HOST": store.door}
    assert serve(server, "gs://models/one/add + 1.onnx", at, _account(store)) == sha256(ADD)
    assert serve(server, "gs://models/folder", at, _account(store)) == sha256(next(EXTERNAL.glob("*.onnx")))
    assert store.tokens


def key_file(store, server):
    """an object, by a service account's key in a file of the environment"""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(_account(store)["GOOGLE_APPLICATION_CREDENTIALS"])
        file.flush()
        at = {"STORAGE_EMULATOR_HOST": store.door, "GOOGLE_APPLICATION_CREDENTIALS": file.name}
        assert serve(server, "gs://models/one/add + 1.onnx", at) == sha256(ADD)


def wrong_key(store, server):
    """another key than the account's, and no credentials: ModelUnauthorized"""
    at = {"STORAGE_EMULATOR_HOST": store.door}
    other = _account(store, key=rsa.generate_private_key(public_exponent=65537, key_size=2048))
    words = ("reader@test is given no token", "InvalidSignature")
    refused(lambda: serve(server, "gs://models/one/add + 1.onnx", at, other), 77, "ModelUnauthorized", *words)
    words = ("gs://models/one/add + 1.onnx", "without credentials", "storage.objects.get")
    refused(lambda: serve(server, "gs://models/one/add + 1.onnx", at), 77, "ModelUnauthorized", *words)


def folder(store, server):
    """a prefix as a folder, external data beside the model"""
    for uri in ("gs://models/folder", "gs://models/folder/"):
        assert serve(server, uri, {"STORAGE_EMULATOR_HOST": store.endpoint}) == sha256(next(EXTERNAL.glob("*.onnx")))


def missing(store, server):
    """no such object, no such bucket: ModelNotFound"""
    at = {"STORAGE_EMULATOR_HOST": store.endpoint}
    for uri in ("gs://models/none.onnx", "gs://no-bucket/m.onnx"):
        refused(lambda uri=uri: serve(server, uri, at), 66, "ModelNotFound", uri)


def other_bytes(store, server):
    """another sum than the spec's: ChecksumMismatch"""
    at = {"STORAGE_EMULATOR_HOST": store.endpoint}
    refused(lambda: serve(server, "gs://models/moving", at, sha256="0" * 64), 65, "ChecksumMismatch", sha256(ADD))


def large(store, server):
    """40 MiB; its sum is checked (no model, so ModelInvalid)"""
    body = (b"\x08" + bytes(range(1, 256))) * (40 << 12)
    put(store.endpoint, "large", body)
    at, total = {"STORAGE_EMULATOR_HOST": store.endpoint}, hashlib.sha256(body).hexdigest()
    refused(lambda: serve(server, "gs://models/large", at, sha256=total), 65, "ModelInvalid", "large")


def moving(store, server):
    """another object under the same key: a new replica sees it, one with a sum does not"""
    at, other = {"STORAGE_EMULATOR_HOST": store.endpoint}, MODELS / "scalar.onnx"
    with tempfile.TemporaryDirectory() as cache:
        assert serve(server, "gs://models/moving", at, cache=cache) == sha256(ADD)
        put(store.endpoint, "moving", other.read_bytes())
        assert serve(server, "gs://models/moving", at, cache=cache) == sha256(other)
        assert serve(server, "gs://models/moving", at, sha256=sha256(ADD), cache=cache) == sha256(ADD)


def held(store, server):
    """held to what it led to, by its generation; the same bytes of another generation; other bytes: ModelChanged"""
    at, uri, other = {"STORAGE_EMULATOR_HOST": store.endpoint}, "gs://models/held", MODELS / "scalar.onnx"
    put(store.endpoint, "held", ADD.read_bytes())
    pin = told(server, uri, at)["pin"]
    assert pin["version"].startswith("generation=") and serve(server, uri, at, pin=pin) == sha256(ADD), pin
    put(store.endpoint, "held", ADD.read_bytes())
    assert serve(server, uri, at, pin=pin) == sha256(ADD)
    put(store.endpoint, "held", other.read_bytes())
    refused(lambda: serve(server, uri, at, pin=pin), 65, "ModelChanged", uri, pin["version"], sha256(ADD), sha256(other))


CASES = [one_object, account, key_file, wrong_key, folder, missing, other_bytes, large, moving, held]
