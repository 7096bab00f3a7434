"""Azure Blob Storage, as Azurite serves it. It checks Shared Key signatures and shared access signatures. What puts the blobs there signs by
itself, so that two readings of Microsoft's documentation meet."""

import base64
import contextlib
import dataclasses
import datetime
import hashlib
import hmac
import os
import tempfile
import urllib.parse
import urllib.request
from email.utils import formatdate
from pathlib import Path

from serving import MODELS, free_port, refused, running, serve, sha256, told

SCHEME = "az"
ADD, EXTERNAL = MODELS / "add.onnx", MODELS / "external"
ACCOUNT, VERSION = "keeper", "2021-08-06"
KEY = base64.b64encode(hashlib.sha512(b"the account's key").digest()).decode()


@dataclasses.dataclass
class Running:
    against: str
    endpoint: str


@contextlib.contextmanager
def started(work):
    azurite = Path(os.environ["AZURITE"])
    port = free_port()
    command = ["node", azurite / "dist/src/blob/main.js", "--blobHost", "127.0.0.1", "--blobPort", str(port), "--inMemoryPersistence", "--silent", "--disableTelemetry"]
    with running(command, port, work / "azurite.log", AZURITE_ACCOUNTS=f"{ACCOUNT}:{KEY}"):
        store = Running(f"Azurite {os.environ.get('AZURITE_VERSION', '')}".strip(), f"http://127.0.0.1:{port}/{ACCOUNT}")
        _put(store, "models", {"restype": "container"})
        objects = [("one/add + 1.onnx", ADD), ("moving", ADD)]
        objects += [(f"folder/{path.name}", path) for path in sorted(EXTERNAL.iterdir())]
        for key, path in objects:
            put(store, key, path.read_bytes())
        yield store


def _mac(text):
    return base64.b64encode(hmac.new(base64.b64decode(KEY), text.encode(), "sha256").digest()).decode()


def _put(store, path, query=None, body=b"", **headers):
    headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": VERSION, **headers}
    path = "/" + urllib.parse.quote(f"{ACCOUNT}/{path}")
    own = "".join(f"{name}:{value}\n" for name, value in sorted(headers.items()))
    resource = f"/{ACCOUNT}{path}" + "".join(f"\n{name}:{value}" for name, value in sorted((query or {}).items()))
    length, kind = (str(len(body)) if body else ""), "application/octet-stream"
    text = "\n".join(["PUT", "", "", length, "", kind, "", "", "", "", "", "", own + resource])
    url = store.endpoint.rsplit("/", 1)[0] + path + ("?" + urllib.parse.urlencode(query) if query else "")
    headers |= {"authorization": f"SharedKey {ACCOUNT}:{_mac(text)}", "content-type": kind, "content-length": str(len(body))}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers, method="PUT"), timeout=10) as answer:
        answer.read()


def put(store, key, body):
    _put(store, f"models/{key}", None, body, **{"x-ms-blob-type": "BlockBlob"})


def _sas(hours):
    """A signature of the container for reading and listing."""
    end = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")
    fields = ["rl", "", end, f"/blob/{ACCOUNT}/models", "", "", "", VERSION, "c", "", "", "", "", "", "", ""]
    return urllib.parse.urlencode({"sv": VERSION, "sr": "c", "sp": "rl", "se": end, "sig": _mac("\n".join(fields))})


def _at(store):
    return {"AZURE_STORAGE_ENDPOINT": store.endpoint}


WITH_KEY = {"AZURE_STORAGE_ACCOUNT_KEY": KEY}
ONE = f"az://models@{ACCOUNT}/one/add + 1.onnx"


def one_object(store, server):
    """a blob, by the Secret's account key; Azurite checks the signature"""
    assert serve(server, ONE, _at(store), WITH_KEY, sha256(ADD)) == sha256(ADD)


def connection_string(store, server):
    """a blob, by the environment's connection string"""
    text = f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={store.endpoint};"
    assert serve(server, "az://models/one/add + 1.onnx", {"AZURE_STORAGE_CONNECTION_STRING": text}) == sha256(ADD)


def signature(store, server):
    """a blob and a folder, by a shared access signature; one that has ended: ModelUnauthorized"""
    for uri, model in ((ONE, ADD), (f"az://models@{ACCOUNT}/folder", next(EXTERNAL.glob("*.onnx")))):
        assert serve(server, uri, _at(store), {"AZURE_STORAGE_SAS_TOKEN": _sas(1)}) == sha256(model)
    ended = {"AZURE_STORAGE_SAS_TOKEN": "?" + _sas(-1)}
    refused(lambda: serve(server, ONE, _at(store), ended), 77, "ModelUnauthorized", ONE, "shared access signature")


def folder(store, server):
    """a prefix as a folder, external data beside the model"""
    for uri in ("folder", "folder/"):
        assert serve(server, f"az://models@{ACCOUNT}/{uri}", _at(store), WITH_KEY) == sha256(next(EXTERNAL.glob("*.onnx")))


def wrong_key(store, server):
    """a wrong key, and no credentials: refused, with what to set"""
    other = {"AZURE_STORAGE_ACCOUNT_KEY": base64.b64encode(b"x" * 64).decode()}
    refused(lambda: serve(server, ONE, _at(store), other), 77, "ModelUnauthorized", ONE, "AZURE_STORAGE_ACCOUNT_KEY", "AuthorizationFailure")
    refused(lambda: serve(server, ONE, _at(store)), 77, "ModelUnauthorized", ONE, "without credentials")


def missing(store, server):
    """no such blob, no such container: ModelNotFound"""
    for uri in (f"az://models@{ACCOUNT}/none.onnx", f"az://nowhere@{ACCOUNT}/m.onnx"):
        refused(lambda uri=uri: serve(server, uri, _at(store), WITH_KEY), 66, "ModelNotFound", uri)


def other_bytes(store, server):
    """another sum than the spec's: ChecksumMismatch"""
    refused(lambda: serve(server, f"az://models@{ACCOUNT}/moving", _at(store), WITH_KEY, "0" * 64), 65, "ChecksumMismatch", sha256(ADD))


def large(store, server):
    """40 MiB in ranges side by side; its sum is checked (no model, so ModelInvalid)"""
    body = (b"\x08" + bytes(range(1, 256))) * (40 << 12)
    put(store, "large", body)
    total = hashlib.sha256(body).hexdigest()
    refused(lambda: serve(server, f"az://models@{ACCOUNT}/large", _at(store), WITH_KEY, total), 65, "ModelInvalid", "large")


def moving(store, server):
    """another blob under the same name: a new replica sees it, one with a sum does not"""
    uri, other = f"az://models@{ACCOUNT}/moving", MODELS / "scalar.onnx"
    with tempfile.TemporaryDirectory() as cache:
        assert serve(server, uri, _at(store), WITH_KEY, cache=cache) == sha256(ADD)
        put(store, "moving", other.read_bytes())
        assert serve(server, uri, _at(store), WITH_KEY, cache=cache) == sha256(other)
        assert serve(server, uri, _at(store), WITH_KEY, sha256(ADD), cache=cache) == sha256(ADD)


def held(store, server):
    """held to what it led to: the same bytes, or ModelChanged"""
    uri, other = f"az://models@{ACCOUNT}/held", MODELS / "scalar.onnx"
    put(store, "held", ADD.read_bytes())
    pin = told(server, uri, _at(store), WITH_KEY)["pin"]
    put(store, "held", ADD.read_bytes())
    assert serve(server, uri, _at(store), WITH_KEY, pin=pin) == sha256(ADD), "the same bytes, written anew"
    put(store, "held", other.read_bytes())
    refused(lambda: serve(server, uri, _at(store), WITH_KEY, pin=pin), 65, "ModelChanged", uri, pin["version"], sha256(ADD), sha256(other))


CASES = [one_object, connection_string, signature, folder, wrong_key, missing, other_bytes, large, moving, held]
