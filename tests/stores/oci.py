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
from serving import MODELS, free_port, refused, running, serve, sha256, told

SCHEME = "oci"
ADD, EXTERNAL, OTHER = MODELS / "add.onnx", MODELS / "external", MODELS / "scalar.onnx"
LOGIN = "reader:of-the-reader"
# bcrypt of the password above.
HTPASSWD = "reader:$2b$05$vMhIcLTH0qdZ4EdJQKfIUeBQB0BS/NHLtMjo262/KzBc5XPDQSS16\n"
MANIFEST, INDEX = "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"
MODELPACK, WEIGHT = "application/vnd.cncf.model.manifest.v1+json", "application/vnd.cncf.model.weight.v1"
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
    # On disk: distribution's storage in memory takes minutes for a large blob.
    storage = {"filesystem": {"rootdirectory": str(work / name)}}
    config = {"version": 0.1, "log": {"level": "error"}, "storage": storage, "http": {"addr": f"127.0.0.1:{port}"}, "auth": auth}
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


def authorization(store, host, name):
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


def packed(name, body, mode="w"):
    """A tar of one file."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as archive:
        about = tarfile.TarInfo(name)
        about.size = len(body)
        archive.addfile(about, io.BytesIO(body))
    return made.getvalue()


def push(store, host, name, tag, files, archive=None, index=None, path="org.cncf.model.filepath", form="raw"):
    """Pushes a ModelPack, or what is given. An `index` lists it beside other manifests, which nobody needs to read."""
    who = authorization(store, host, name)
    config = {"mediaType": "application/vnd.cncf.model.config.v1+json", "digest": _blob(host, name, who, b"{}"), "size": 2}
    layers = []
    for file, body in files.items():
        if form != "raw":
            body = packed(file, body, "w:gz" if form == "tar+gzip" else "w")
        digest = _blob(host, name, who, body)
        layers.append({"mediaType": f"{WEIGHT}.{form}", "digest": digest, "size": len(body), "annotations": {path: file}})
    if archive:
        kind = "application/vnd.oci.image.layer.v1.tar+gzip"
        layers.append({"mediaType": kind, "digest": _blob(host, name, who, archive), "size": len(archive)})
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": MODELPACK, "config": config, "layers": layers}
    body, kind = json.dumps(manifest).encode(), MANIFEST
    _ask("PUT", f"http://{host}/v2/{name}/manifests/{tag}", who, body, kind)
    digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    if index is not None:
        one = {"mediaType": MANIFEST, "artifactType": MODELPACK, "digest": digest, "size": len(body)}
        body = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [one, *index]}).encode()
        _ask("PUT", f"http://{host}/v2/{name}/manifests/{tag}", who, body, INDEX)
    return digest


def secret_for(host, login=LOGIN):
    return {".dockerconfigjson": json.dumps({"auths": {host: {"auth": base64.b64encode(login.encode()).decode()}}})}


def files(store, server):
    """a ModelPack by its tag, by the Secret's login: a token is asked for, for pulling this alone"""
    del store.granted[:]
    assert serve(server, f"oci://{store.tokens}/team/adder:v1", {}, secret_for(store.tokens)) == sha256(ADD)
    assert set(store.granted) == {"repository:team/adder:pull"}
    assert serve(server, f"oci://{store.tokens}/team/external", {}, secret_for(store.tokens)) == sha256(next(EXTERNAL.glob("*.onnx")))


def passwords(store, server):
    """files as ORAS names them, from a registry with passwords, by Docker's own configuration too"""
    assert serve(server, f"oci://{store.passwords}/adder:v1", {}, secret_for(store.passwords)) == sha256(ADD)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(secret_for(store.passwords)[".dockerconfigjson"])
        assert serve(server, f"oci://{store.passwords}/adder:v1", {"DOCKER_CONFIG": folder}) == sha256(ADD)


def one_archive(store, server):
    """one archive as the only layer"""
    body = packed("deep/model.onnx", ADD.read_bytes(), "w:gz")
    push(store, store.tokens, "team/archive", "v1", {}, archive=body)
    expected = hashlib.sha256(body).hexdigest()
    assert serve(server, f"oci://{store.tokens}/team/archive:v1", {}, secret_for(store.tokens), expected) == expected


def tars(store, server):
    """a ModelPack with a tar, or a tar+gzip, around each file"""
    files = {path.name: path.read_bytes() for path in EXTERNAL.iterdir()}
    for form in ("tar", "tar+gzip"):
        push(store, store.tokens, "team/tars", "v1", files, form=form)
        assert serve(server, f"oci://{store.tokens}/team/tars:v1", {}, secret_for(store.tokens)) == sha256(next(EXTERNAL.glob("*.onnx")))


def index(store, server):
    """an index: its one manifest, and its one model among others"""
    add = {"m.onnx": ADD.read_bytes()}
    other = push(store, store.tokens, "team/index", "other", {"note.txt": b"one"})
    size = len(urllib.request.urlopen(urllib.request.Request(f"http://{store.tokens}/v2/team/index/manifests/{other}", headers={
        "authorization": authorization(store, store.tokens, "team/index"), "accept": MANIFEST})).read())
    others = [{"mediaType": MANIFEST, "digest": other, "size": size, "platform": {"os": "linux", "architecture": "amd64"}}]
    for tag, beside in (("alone", []), ("beside", others)):
        push(store, store.tokens, "team/index", tag, add, index=beside)
        assert serve(server, f"oci://{store.tokens}/team/index:{tag}", {}, secret_for(store.tokens)) == sha256(ADD)
    push(store, store.tokens, "team/index", "two", add, index=[{**others[0], "artifactType": MODELPACK}])
    uri = f"oci://{store.tokens}/team/index:two"
    refused(lambda: serve(server, uri, {}, secret_for(store.tokens)), 65, "ModelInvalid", "an index of 2 manifests, 2 of them")


def moving(store, server):
    """a tag that moves: a new replica sees it; one with a sum, or by the digest, does not"""
    host, secret = store.tokens, secret_for(store.tokens)
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
        refused(lambda: serve(server, uri, {}, secret_for(host, "reader:guessed")), 77, "ModelUnauthorized", uri, "as reader")
        refused(lambda: serve(server, uri, {"DOCKER_CONFIG": "/nowhere"}), 77, "ModelUnauthorized", uri, "without credentials")
        refused(lambda: serve(server, uri, {}, secret_for("elsewhere.example")), 77, "ModelUnauthorized", f"has no login for {host}")


def missing(store, server):
    """no such tag, no such repository: ModelNotFound"""
    for name in ("team/adder:v9", "team/none:v1"):
        uri = f"oci://{store.tokens}/{name}"
        refused(lambda: serve(server, uri, {}, secret_for(store.tokens)), 66, "ModelNotFound", uri, "UNKNOWN")


def other_bytes(store, server):
    """another sum than the spec's: ChecksumMismatch"""
    uri = f"oci://{store.tokens}/team/adder:v1"
    refused(lambda: serve(server, uri, {}, secret_for(store.tokens), "0" * 64), 65, "ChecksumMismatch", sha256(ADD))


def no_model(store, server):
    """an archive among files that is not a ModelPack's, a layer in zstd: ModelInvalid"""
    push(store, store.tokens, "team/mixed", "v1", {"m.onnx": b"x"}, archive=b"y")
    push(store, store.tokens, "team/zstd", "v1", {"m.onnx": b"x"}, form="tar+zstd")
    for name, words in (("mixed", "1 of its 2 layers are archives"), ("zstd", "is compressed with zstd")):
        refused(lambda: serve(server, f"oci://{store.tokens}/team/{name}:v1", {}, secret_for(store.tokens)), 65, "ModelInvalid", words)


def held(store, server):
    """held to what its tag led to: by the manifest, however the tag moves; gone from the registry: ModelChanged"""
    host, secret = store.tokens, secret_for(store.tokens)
    uri = f"oci://{host}/team/held:v1"
    first = push(store, host, "team/held", "v1", {"m.onnx": ADD.read_bytes(), "note.txt": b"one"})
    pin = told(server, uri, {}, secret)["pin"]
    assert pin["version"] == f"manifest={first}", pin
    push(store, host, "team/held", "v1", {"m.onnx": OTHER.read_bytes()})
    assert serve(server, uri, {}, secret, pin=pin) == sha256(ADD)
    gone = {**pin, "version": f"manifest=sha256:{'0' * 64}"}
    refused(lambda: serve(server, uri, {}, secret, pin=gone), 65, "ModelChanged", uri, gone["version"], "MANIFEST_UNKNOWN")


CASES = [held, files, passwords, one_archive, tars, index, moving, strangers, missing, other_bytes, no_model]
