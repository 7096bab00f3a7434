"""S3, as moto serves it. moto checks signatures once it knows a user: its IAM reads the keys, and computes each signature anew."""

import contextlib
import dataclasses
import importlib.metadata
import sys
import tempfile
from pathlib import Path

import boto3
from botocore.config import Config
from serving import MODELS, free_port, refused, running, serve, sha256, told

SCHEME = "s3"
ADD, EXTERNAL = MODELS / "add.onnx", MODELS / "external"
# What is asked of moto before it checks who asks: the user, its policy, its keys, the buckets and their objects.
SET_UP = 12


@dataclasses.dataclass
class Running:
    against: str
    endpoint: str
    keys: dict
    s3: object


@contextlib.contextmanager
def started(work):
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with running(command, port, work / "moto.log", INITIAL_NO_AUTH_ACTION_COUNT=str(SET_UP)):
        yield _filled(f"http://127.0.0.1:{port}")


def _filled(endpoint):
    def client(kind, keys):
        return boto3.client(kind, endpoint_url=endpoint, region_name="us-east-1", config=Config(retries={"max_attempts": 0}), **keys)

    anybody = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
    iam, s3 = client("iam", anybody), client("s3", anybody)
    iam.create_user(UserName="reader")
    policy = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}'
    iam.put_user_policy(UserName="reader", PolicyName="read", PolicyDocument=policy)
    made = iam.create_access_key(UserName="reader")["AccessKey"]
    objects = [("one/add + 1.onnx", ADD), ("moving", ADD)]
    objects += [(f"folder/{path.name}", path) for path in sorted(EXTERNAL.iterdir())]
    s3.create_bucket(Bucket="models")
    for key, path in objects:
        s3.put_object(Bucket="models", Key=key, Body=path.read_bytes())
    for _ in range(SET_UP - 4 - len(objects)):
        s3.list_buckets()
    keys = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}
    own = {name.upper(): value for name, value in keys.items()}
    return Running(f"moto {importlib.metadata.version('moto')}", endpoint, own, client("s3", keys))


def _at(store):
    return {"AWS_ENDPOINT_URL": store.endpoint, "AWS_REGION": "us-east-1"}


def one_object(store, server):
    """an object, by the Secret's keys; moto checks the signature"""
    assert serve(server, "s3://models/one/add + 1.onnx", _at(store), store.keys, sha256(ADD)) == sha256(ADD)


def ambient(store, server):
    """an object, by the environment's keys"""
    assert serve(server, "s3://models/one/add + 1.onnx", {**_at(store), **store.keys}) == sha256(ADD)


def folder(store, server):
    """a prefix as a folder, external data beside the model"""
    model = next(EXTERNAL.glob("*.onnx"))
    for uri in ("s3://models/folder", "s3://models/folder/"):
        assert serve(server, uri, _at(store), store.keys) == sha256(model)


def wrong_key(store, server):
    """a wrong secret key: ModelUnauthorized"""
    keys = {**store.keys, "AWS_SECRET_ACCESS_KEY": "x" * 40}
    words = ("s3://models/one/add + 1.onnx", "AWS_SECRET_ACCESS_KEY", "SignatureDoesNotMatch")
    refused(lambda: serve(server, "s3://models/one/add + 1.onnx", _at(store), keys), 77, "ModelUnauthorized", *words)


def missing(store, server):
    """no such object, no such bucket: ModelNotFound"""
    refused(lambda: serve(server, "s3://models/none.onnx", _at(store), store.keys), 66, "ModelNotFound", "s3://models/none.onnx")
    refused(lambda: serve(server, "s3://no-bucket/m.onnx", _at(store), store.keys), 66, "ModelNotFound", "s3://no-bucket/m.onnx")


def other_bytes(store, server):
    """another sum than the spec's: ChecksumMismatch"""
    refused(lambda: serve(server, "s3://models/moving", _at(store), store.keys, "0" * 64), 65, "ChecksumMismatch", sha256(ADD))


def large(store, server):
    """40 MiB in ranges side by side; its sum is checked (no model, so ModelInvalid)"""
    body = (b"\x08" + bytes(range(1, 256))) * (40 << 12)
    store.s3.put_object(Bucket="models", Key="large", Body=body)
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(body)
        total = sha256(file.name)
    refused(lambda: serve(server, "s3://models/large", _at(store), store.keys, total), 65, "ModelInvalid", "s3://models/large")


def moving(store, server):
    """another object under the same key: a new replica sees it, one with a sum does not"""
    with tempfile.TemporaryDirectory() as cache:
        assert serve(server, "s3://models/moving", _at(store), store.keys, cache=cache) == sha256(ADD)
        other = MODELS / "scalar.onnx"
        store.s3.put_object(Bucket="models", Key="moving", Body=other.read_bytes())
        assert serve(server, "s3://models/moving", _at(store), store.keys, cache=cache) == sha256(other)
        assert serve(server, "s3://models/moving", _at(store), store.keys, sha256(ADD), cache=cache) == sha256(ADD)


def held(store, server):
    """held to what it led to: by its version where the bucket keeps them; else the same bytes, or ModelChanged; a folder as a whole"""
    uri, other = "s3://models/held", MODELS / "scalar.onnx"
    put = lambda key, body: store.s3.put_object(Bucket="models", Key=key, Body=body)
    put("held", ADD.read_bytes())
    pin = told(server, uri, _at(store), store.keys)["pin"]
    assert pin["version"].startswith("ETag="), pin
    assert serve(server, uri, _at(store), store.keys, pin=pin) == sha256(ADD)
    put("held", other.read_bytes())
    words = (uri, sha256(ADD), pin["version"], sha256(other), "modelyard restart")
    refused(lambda: serve(server, uri, _at(store), store.keys, pin=pin), 65, "ModelChanged", *words)
    model = next(EXTERNAL.glob("*.onnx"))
    for path in EXTERNAL.iterdir():
        put(f"held-folder/{path.name}", path.read_bytes())
    folder = told(server, "s3://models/held-folder", _at(store), store.keys)["pin"]
    put(f"held-folder/{model.name}", model.read_bytes())
    assert serve(server, "s3://models/held-folder", _at(store), store.keys, pin=folder) == sha256(model), "the same bytes, written anew"
    put("held-folder/note.txt", b"new")
    refused(lambda: serve(server, "s3://models/held-folder", _at(store), store.keys, pin=folder), 65, "ModelChanged", folder["content"])
    store.s3.put_bucket_versioning(Bucket="models", VersioningConfiguration={"Status": "Enabled"})
    put("held", ADD.read_bytes())
    pin = told(server, uri, _at(store), store.keys)["pin"]
    put("held", other.read_bytes())
    assert pin["version"].startswith("versionId=") and serve(server, uri, _at(store), store.keys, pin=pin) == sha256(ADD), pin
    store.s3.delete_object(Bucket="models", Key="held", VersionId=pin["version"].removeprefix("versionId="))
    refused(lambda: serve(server, uri, _at(store), store.keys, pin=pin), 65, "ModelChanged", pin["version"], sha256(other))
    store.s3.put_bucket_versioning(Bucket="models", VersioningConfiguration={"Status": "Suspended"})


CASES = [one_object, ambient, folder, wrong_key, missing, other_bytes, large, moving, held]
