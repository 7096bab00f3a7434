"""The Hugging Face Hub's HTTP API, as a small server of ours serves it: revisions, trees of several pages, files in place, large ones behind a
redirect to another host, tokens, gated repositories. The Hub itself was not asked."""

import contextlib
import dataclasses
import hashlib
import http.server
import json
import tempfile
import threading
import urllib.parse

from serving import MODELS, refused, serve, sha256, told

SCHEME = "hf"
ADD, EXTERNAL, OTHER = MODELS / "add.onnx", MODELS / "external", MODELS / "scalar.onnx"
TOKEN = "hf_of-the-reader"
PAGE = 2


@dataclasses.dataclass
class Running:
    against: str
    endpoint: str
    repos: dict
    asked: list


def _commit(files):
    return hashlib.sha1(repr(sorted((name, hashlib.sha1(body).hexdigest()) for name, body in files.items())).encode()).hexdigest()


class Repo:
    """Commits by their names, and branches."""

    def __init__(self, gated=False):
        self.commits, self.branches, self.gated = {}, {}, gated

    def push(self, branch, files):
        self.branches[branch] = _commit(files)
        self.commits[self.branches[branch]] = files


@contextlib.contextmanager
def started(_):
    add, external = ADD.read_bytes(), {path.name: path.read_bytes() for path in EXTERNAL.iterdir()}
    repos = {name: Repo(gated) for name, gated in (("acme/adder", False), ("acme/moving", False), ("acme/gated", True))}
    both = {"README.md": b"# adder", ".gitattributes": b"", "onnx/add + 1.onnx": add, "model.safetensors": b"weights"}
    repos["acme/adder"].push("main", both | {f"external/{name}": body for name, body in external.items()})
    repos["acme/adder"].push("refs/pr/1", {"scalar.onnx": OTHER.read_bytes()})
    repos["acme/moving"].push("main", {"m.onnx": add, "note.txt": b"one"})
    repos["acme/gated"].push("main", {"m.onnx": add})
    blobs, asked = {}, []
    storage = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _storage(blobs, asked))
    hub = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _hub(repos, blobs, asked, storage.server_port))
    for server in (storage, hub):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield Running("a server of our own", f"http://127.0.0.1:{hub.server_port}", repos, asked)
    finally:
        for server in (storage, hub):
            server.shutdown()
            server.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _storage(blobs, asked):
    class Storage(Handler):
        def do_GET(self):
            asked.append(("storage", self.path, self.headers.get("authorization")))
            body = blobs[self.path.strip("/")]
            said = {"etag": f'"{self.path.strip("/")}"', "accept_ranges": "bytes"}
            if (wanted := self.headers.get("range")) is None:
                return self.answer(200, body, **said)
            first, last = wanted.removeprefix("bytes=").split("-")
            first, last = int(first), min(int(last or len(body) - 1), len(body) - 1)
            self.answer(206, body[first : last + 1], content_range=f"bytes {first}-{last}/{len(body)}", **said)

    return Storage


def _hub(repos, blobs, asked, storage):
    class Hub(Handler):
        def do_GET(self):
            asked.append(("hub", self.path, self.headers.get("authorization")))
            path, _, query = self.path.partition("?")
            parts = [urllib.parse.unquote(part) for part in path.strip("/").split("/")]
            api = parts[:2] == ["api", "models"]
            owner, name, kind, revision, *rest = parts[2:] if api else parts
            repo = repos.get(f"{owner}/{name}")
            authorization = self.headers.get("authorization")
            if authorization not in (None, f"Bearer {TOKEN}"):
                return self.answer(401, b'{"error":"Invalid credentials in Authorization header"}')
            if repo is None:
                return self.answer(401, b"", x_error_code="RepoNotFound", x_error_message="Repository not found")
            if repo.gated and authorization is None:
                return self.answer(401, b"", x_error_code="GatedRepo", x_error_message=f"Access to model {owner}/{name} is restricted")
            commit = repo.branches.get(revision, revision)
            if commit not in repo.commits:
                return self.answer(404, b"", x_error_code="RevisionNotFound", x_error_message="Invalid rev id")
            files = repo.commits[commit]
            if kind == "revision":
                return self.answer(200, json.dumps({"id": f"{owner}/{name}", "sha": commit}).encode())
            if kind == "tree":
                return self.tree(files, path, dict(urllib.parse.parse_qsl(query)))
            self.resolve(files, "/".join(rest))

        def tree(self, files, path, query):
            entries = [{"type": "directory", "path": folder, "oid": "0" * 40, "size": 0} for folder in sorted({name.split("/")[0] for name in files if "/" in name})]
            for name, body in sorted(files.items()):
                entry = {"type": "file", "path": name, "size": len(body), "oid": hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()}
                if name.endswith(".onnx"):
                    entry["lfs"] = {"oid": hashlib.sha256(body).hexdigest(), "size": len(body), "pointerSize": 134}
                entries.append(entry)
            assert query["recursive"] == "true"
            at = int(query.get("cursor", 0))
            links = {"link": f'<http://{self.headers["host"]}{path}?recursive=true&cursor={at + PAGE}>; rel="next"'} if at + PAGE < len(entries) else {}
            self.answer(200, json.dumps(entries[at : at + PAGE]).encode(), **links)

        def resolve(self, files, name):
            if (body := files.get(name)) is None:
                return self.answer(404, b"", x_error_code="EntryNotFound", x_error_message="Entry not found")
            if not name.endswith(".onnx"):
                return self.answer(200, body, etag=f'"{hashlib.sha1(body).hexdigest()}"')
            total = hashlib.sha256(body).hexdigest()
            blobs[total] = body
            self.answer(302, location=f"http://127.0.0.1:{storage}/{total}", x_linked_etag=f'"{total}"')

    return Hub


def _at(store):
    return {"HF_ENDPOINT": store.endpoint}


def one_file(store, server):
    """a file at the default branch, behind a redirect to another host that the token is not sent to"""
    del store.asked[:]
    assert serve(server, "hf://acme/adder/onnx/add + 1.onnx", _at(store), {"HF_TOKEN": TOKEN}) == sha256(ADD)
    assert {token for where, _, token in store.asked if where == "hub"} == {f"Bearer {TOKEN}"}
    assert [token for where, _, token in store.asked if where == "storage"] == [None]


def revisions(store, server):
    """a branch with a slash, a commit; no such revision: ModelNotFound"""
    assert serve(server, "hf://acme/adder@refs%2Fpr%2F1/scalar.onnx", _at(store)) == sha256(OTHER)
    commit = store.repos["acme/adder"].branches["refs/pr/1"]
    assert serve(server, f"hf://acme/adder@{commit}", _at(store)) == sha256(OTHER)
    refused(lambda: serve(server, "hf://acme/adder@v9/x.onnx", _at(store)), 66, "ModelNotFound", "RevisionNotFound")


def folder(store, server):
    """a folder of a repository, external data beside the model; a tree of several pages"""
    assert serve(server, "hf://acme/adder/external", _at(store)) == sha256(next(EXTERNAL.glob("*.onnx")))


def whole(store, server):
    """a whole repository, by its name alone"""
    assert serve(server, "hf://acme/moving", _at(store)) == sha256(ADD)


def tokens(store, server):
    """a gated repository: with a token; without, and with a wrong one: ModelUnauthorized"""
    assert serve(server, "hf://acme/gated", _at(store), {"HF_TOKEN": TOKEN}) == sha256(ADD)
    assert serve(server, "hf://acme/gated", {**_at(store), "HF_TOKEN": TOKEN}) == sha256(ADD)
    refused(lambda: serve(server, "hf://acme/gated", _at(store)), 77, "ModelUnauthorized", "hf://acme/gated", "GatedRepo", "HF_TOKEN")
    refused(lambda: serve(server, "hf://acme/gated", _at(store), {"HF_TOKEN": "hf_of-another"}), 77, "ModelUnauthorized", "Invalid credentials")


def missing(store, server):
    """no such file: ModelNotFound; no such repository: the Hub says 401, so ModelUnauthorized"""
    refused(lambda: serve(server, "hf://acme/adder/none.onnx", _at(store)), 66, "ModelNotFound", "hf://acme/adder/none.onnx")
    refused(lambda: serve(server, "hf://acme/none", _at(store)), 77, "ModelUnauthorized", "hf://acme/none", "RepoNotFound")


def other_bytes(store, server):
    """another sum than the spec's: ChecksumMismatch"""
    refused(lambda: serve(server, "hf://acme/moving/m.onnx", _at(store), sha256="0" * 64), 65, "ChecksumMismatch", sha256(ADD))


def moving(store, server):
    """another commit of the branch: a new replica sees it; one with a sum, or at the commit, does not"""
    repo = store.repos["acme/moving"]
    first = repo.branches["main"]
    with tempfile.TemporaryDirectory() as cache:
        for uri in ("hf://acme/moving/m.onnx", "hf://acme/moving"):
            repo.branches["main"] = first
            assert serve(server, uri, _at(store), cache=cache) == sha256(ADD)
            repo.push("main", {"m.onnx": OTHER.read_bytes(), "note.txt": b"two"})
            assert serve(server, uri, _at(store), cache=cache) == sha256(OTHER)
            assert serve(server, uri, _at(store), sha256=sha256(ADD), cache=cache) == sha256(ADD)
        assert serve(server, f"hf://acme/moving@{first}", _at(store)) == sha256(ADD)


def held(store, server):
    """held to what it led to: at its commit, whatever the branch is by now; a file and a whole repository"""
    repo = store.repos["acme/moving"]
    for uri in ("hf://acme/moving/m.onnx", "hf://acme/moving"):
        repo.push("main", {"m.onnx": ADD.read_bytes(), "note.txt": b"one"})
        first = repo.branches["main"]
        pin = told(server, uri, _at(store))["pin"]
        assert pin["version"] == f"commit={first}", pin
        repo.push("main", {"m.onnx": OTHER.read_bytes(), "note.txt": b"two"})
        assert serve(server, uri, _at(store), pin=pin) == sha256(ADD)
        gone = {**pin, "version": f"commit={'0' * 40}"}
        refused(lambda: serve(server, uri, _at(store), pin=gone), 65, "ModelChanged", uri, gone["version"], repo.branches["main"])


CASES = [one_file, revisions, folder, whole, tokens, missing, other_bytes, moving, held]
