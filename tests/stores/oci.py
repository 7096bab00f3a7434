"""A registry of container images, as distribution serves it: one that wants a token of ours, and one that wants a password."""

import base64
import contextlib
import dataclasses
import datetime
import hashlib
import http.server
import io
import json
import os
import tarfile
import tempfile
import threading
import time
import urllib.parse
import urllib.request
import uuid
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from serving import MODELS, free_port, refused, running, serve, sha256

SCHEME = "oci"
ADD, EXTERNAL, OTHER = MODELS / "add.onnx", MODELS / "external", MODELS / "scalar.onnx"
LOGIN = "reader:of-the-reader"
# bcrypt of the password above.
HTPASSWD = "reader:$2b$05$vMhIcLTH0qdZ4EdJQKfIUeBQB0BS/NHLtMjo262/KzBc5XPDQSS16\n"
MANIFEST, RAW = "application/vnd.oci.image.manifest.v1+json", "application/vnd.cncf.model.weight.v1.raw"
BASIC = "Basic " + base64.b64encode(LOGIN.encode()).decode()


@dataclasses.dataclass
class Running:
    against: str
    tokens: str
    passwords: str
    realm: str
    granted: list


@contextlib.contextmanager
def started(work):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    certificate = _certificate(key)
    (work / "htpasswd").write_text(HTPASSWD)
    (work / "root.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    granted = []
    door = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _tokens(key, certificate, granted))
    threading.Thread(target=door.serve_forever, daemon=True).start()
    realm = f"http://127.0.0.1:{door.server_port}/token"
    token = {"token": {"realm": realm, "service": "models", "issuer": "tests", "rootcertbundle": str(work / "root.pem")}}
    password = {"htpasswd": {"realm": "models", "path": str(work / "htpasswd")}}
    try:
        with _registry(work, "tokens", token) as tokens, _registry(work, "passwords", password) as passwords:
            store = Running(f"distribution {os.environ['DISTRIBUTION_VERSION']}", tokens, passwords, realm, granted)
            add = ADD.read_bytes()
            push(store, tokens, "team/adder", "v1", {"m.onnx": add, "sample/note.txt": b"one"})
            push(store, tokens, "team/external", "latest", {path.name: path.read_bytes() for path in EXTERNAL.iterdir()})
            push(store, passwords, "adder", "v1", {"m.onnx": add, "note.txt": b"one"}, path="org.opencontainers.image.title")
            yield store
    finally:
        door.shutdown()
        door.server_close()


@contextlib.contextmanager
def _registry(work, name, auth):
    port = free_port()
    config = {"version": 0.1, "log": {"level": "error"}, "storage": {"inmemory": {}}, "http": {"addr": f"127.0.0.1:{port}"}, "auth": auth}
    (work / f"{name}.json").write_text(json.dumps(config))
    with running([os.environ["DISTRIBUTION"], "serve", work / f"{name}.json"], port, work / f"{name}.log", OTEL_TRACES_EXPORTER="none"):
        yield f"127.0.0.1:{port}"


def _certificate(key):
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    made = made.not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=1))
    return made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, hashes.SHA256())


def _tokens(key, certificate, granted):
    """Grants a token for what is asked, to who has the password."""

    class Tokens(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            query = dict(urllib.parse.parse_qsl(self.path.partition("?")[2]))
            if self.headers.get("authorization") != BASIC or query["service"] != "models":
                status, said = 401, {"errors": [{"code": "UNAUTHORIZED", "message": "who is this"}]}
            else:
                kind, name, actions = query["scope"].split(":")
                granted.append(query["scope"])
                status, said = 200, {"token": self.token([{"type": kind, "name": name, "actions": actions.split(",")}]), "expires_in": 300}
            body = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def token(self, access):
            part = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")
            chain = base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()
            now = int(time.time())
            claims = {"iss": "tests", "sub": "reader", "aud": "models", "nbf": now - 9, "iat": now, "exp": now + 300, "jti": uuid.uuid4().hex, "access": access}
            text = part({"alg": "RS256", "typ": "JWT", "x5c": [chain]}) + b"." + part(claims)
            signature = key.sign(text, padding.PKCS1v15(), hashes.SHA256())
            return (text + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()

    return Tokens


def _ask(method, url, authorization, body=None, kind="application/octet-stream"):
    headers = {"authorization": authorization, "content-type": kind}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method), timeout=10) as answer:
        return answer.headers


def _authorization(store, host, name):
    if host == store.passwords:
        return BASIC
    query = urllib.parse.urlencode({"service": "models", "scope": f"repository:{name}:pull,push"})
    request = urllib.request.Request(f"{store.realm}?{query}", headers={"authorization": BASIC})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return f"Bearer {json.load(answer)['token']}"


def _blob(host, name, authorization, body):
    digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    place = _ask("POST", f"http://{host}/v2/{name}/blobs/uploads/", authorization, b"")["location"]
    joint = "&" if "?" in place else "?"
    _ask("PUT", f"{place}{joint}digest={urllib.parse.quote(digest)}", authorization, body)
    return digest


def push(store, host, name, tag, files, archive=None, index=False, path="org.cncf.model.filepath"):
    """Pushes a ModelPack, or what is given."""
    authorization = _authorization(store, host, name)
    config = {"mediaType": "application/vnd.cncf.model.config.v1+json", "digest": _blob(host, name, authorization, b"{}"), "size": 2}
    layers = [
        {"mediaType": RAW, "digest": _blob(host, name, authorization, body), "size": len(body), "annotations": {path: file}}
        for file, body in files.items()
    ]
    if archive:
        kind = "application/vnd.oci.image.layer.v1.tar+gzip"
        layers.append({"mediaType": kind, "digest": _blob(host, name, authorization, archive), "size": len(archive)})
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "application/vnd.cncf.model.manifest.v1+json", "config": config, "layers": layers}
    body, kind = json.dumps(manifest).encode(), MANIFEST
    _ask("PUT", f"http://{host}/v2/{name}/manifests/{tag}", authorization, body, kind)
    digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    if index:
        kind = "application/vnd.oci.image.index.v1+json"
        body = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": [{"mediaType": MANIFEST, "digest": digest, "size": len(body)}]}).encode()
        _ask("PUT", f"http://{host}/v2/{name}/manifests/{tag}", authorization, body, kind)
    return digest


def _secret(host, login=LOGIN):
    return {".dockerconfigjson": json.dumps({"auths": {host: {"auth": base64.b64encode(login.encode()).decode()}}})}


def files(store, server):
    """a ModelPack by its tag, by the Secret's login: a token is asked for, for pulling this alone"""
    del store.granted[:]
    assert serve(server, f"oci://{store.tokens}/team/adder:v1", {}, _secret(store.tokens)) == sha256(ADD)
    assert set(store.granted) == {"repository:team/adder:pull"}
    assert serve(server, f"oci://{store.tokens}/team/external", {}, _secret(store.tokens)) == sha256(next(EXTERNAL.glob("*.onnx")))


def passwords(store, server):
    """files as ORAS names them, from a registry with passwords, by Docker's own configuration too"""
    assert serve(server, f"oci://{store.passwords}/adder:v1", {}, _secret(store.passwords)) == sha256(ADD)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(_secret(store.passwords)[".dockerconfigjson"])
        assert serve(server, f"oci://{store.passwords}/adder:v1", {"DOCKER_CONFIG": folder}) == sha256(ADD)


def one_archive(store, server):
    """one archive as the only layer"""
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:gz") as archive:
        archive.add(ADD, "deep/model.onnx")
    push(store, store.tokens, "team/archive", "v1", {}, archive=body.getvalue())
    expected = hashlib.sha256(body.getvalue()).hexdigest()
    assert serve(server, f"oci://{store.tokens}/team/archive:v1", {}, _secret(store.tokens), expected) == expected


def moving(store, server):
    """a tag that moves: a new replica sees it; one with a sum, or by the digest, does not"""
    host, secret = store.tokens, _secret(store.tokens)
    first = push(store, host, "team/moving", "v1", {"m.onnx": ADD.read_bytes()})
    with tempfile.TemporaryDirectory() as cache:
        assert serve(server, f"oci://{host}/team/moving:v1", {}, secret, cache=cache) == sha256(ADD)
        push(store, host, "team/moving", "v1", {"m.onnx": OTHER.read_bytes()})
        assert serve(server, f"oci://{host}/team/moving:v1", {}, secret, cache=cache) == sha256(OTHER)
    assert serve(server, f"oci://{host}/team/moving@{first}", {}, secret) == sha256(ADD)
    assert serve(server, f"oci://{host}/team/moving:v1@{first}", {}, secret, sha256(ADD)) == sha256(ADD)


def strangers(store, server):
    """a wrong password, no login, a login for another host: ModelUnauthorized"""
    for host, uri in ((store.tokens, "team/adder:v1"), (store.passwords, "adder:v1")):
        uri = f"oci://{host}/{uri}"
        refused(lambda: serve(server, uri, {}, _secret(host, "reader:guessed")), 77, "ModelUnauthorized", uri, "as reader")
        refused(lambda: serve(server, uri, {"DOCKER_CONFIG": "/nowhere"}), 77, "ModelUnauthorized", uri, "without credentials")
        refused(lambda: serve(server, uri, {}, _secret("elsewhere.example")), 77, "ModelUnauthorized", f"has no login for {host}")


def missing(store, server):
    """no such tag, no such repository: ModelNotFound"""
    for name in ("team/adder:v9", "team/none:v1"):
        uri = f"oci://{store.tokens}/{name}"
        refused(lambda: serve(server, uri, {}, _secret(store.tokens)), 66, "ModelNotFound", uri, "UNKNOWN")


def other_bytes(store, server):
    """another sum than the spec's: ChecksumMismatch"""
    uri = f"oci://{store.tokens}/team/adder:v1"
    refused(lambda: serve(server, uri, {}, _secret(store.tokens), "0" * 64), 65, "ChecksumMismatch", sha256(ADD))


def no_model(store, server):
    """an index, and an archive among files: ModelInvalid"""
    push(store, store.tokens, "team/index", "v1", {"m.onnx": b"x"}, index=True)
    push(store, store.tokens, "team/mixed", "v1", {"m.onnx": b"x"}, archive=b"y")
    for name, words in (("index", "index of 1 manifests"), ("mixed", "1 of its 2 layers are archives")):
        refused(lambda: serve(server, f"oci://{store.tokens}/team/{name}:v1", {}, _secret(store.tokens)), 65, "ModelInvalid", words)


CASES = [files, passwords, one_archive, moving, strangers, missing, other_bytes, no_model]
