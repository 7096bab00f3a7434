"""Every REST call as people type it."""

import json
import subprocess

import pytest


def curl(*arguments):
    """The status, the headers in lower case, and the body."""
    done = subprocess.run(["curl", "-sS", "-i", *arguments], capture_output=True, check=True, timeout=30)
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    while head.startswith(b"HTTP/1.1 100") or b" 101 " in head.split(b"\r\n")[0]:
        head, _, body = body.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    return int(lines[0].split()[1]), headers, body


GETS = {
    "/": "",
    "/openapi.json": "openapi",
    "/docs": "",
    "/v2": "extensions",
    "/v2/": "extensions",
    "/v2/health/live": "live",
    "/v2/health/ready": "ready",
    "/v2/models": "models",
    "/v2/models/mnist": "inputs",
    "/v2/models/mnist/versions/1": "inputs",
    "/v2/models/mnist/ready": "ready",
    "/v2/models/mnist/stats": "model_stats",
    "/v2/models/stats": "model_stats",
    "/v2/models/mnist/config": "name",
    "/v1/models": "models",
    "/v1/models/mnist": "model_version_status",
    "/V1/Models/mnist": "model_version_status",
    "/v1/models/mnist/versions/1": "model_version_status",
    "/v1/models/mnist/metadata": "metadata",
}


@pytest.mark.parametrize("path", GETS)
@pytest.mark.parametrize("protocol", ["--http1.1", "--http2-prior-knowledge"])
def test_get(address, path, protocol):
    status, headers, body = curl(protocol, f"http://{address}{path}")
    assert status == 200, body
    if GETS[path]:
        assert headers["content-type"].startswith("application/json")
        assert GETS[path] in json.loads(body)


def test_admin(admin):
    assert curl(f"http://{admin}/livez")[0] == 200
    status, _, body = curl(f"http://{admin}/readyz")
    assert status == 200 and json.loads(body)["state"] == "Ready"
    status, _, body = curl(f"http://{admin}/metrics")
    assert status == 200 and b'model="mnist"' in body


def test_predict_with_the_example(address, root):
    data = f"@{root}/examples/mnist/request.json"
    status, _, body = curl("-d", data, f"http://{address}/v1/models/mnist:predict")
    assert status == 200
    assert len(json.loads(body)["predictions"][0]) == 10


def test_infer_in_json(address):
    body = '{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[1,2,3,4]}]}'
    status, _, answer = curl("-d", body, f"http://{address}/v2/models/two_outputs/infer")
    outputs = {one["name"]: one["data"] for one in json.loads(answer)["outputs"]}
    assert status == 200 and outputs == {"double": [2, 4, 6, 8], "row_sum": [10]}


def test_row_and_column(address):
    url = f"http://{address}/v1/models/two_outputs:predict"
    row = json.loads(curl("-d", '{"instances":[[1,2,3,4]]}', url)[2])
    assert row == {"predictions": [{"double": [2.0, 4.0, 6.0, 8.0], "row_sum": 10.0}]}
    column = json.loads(curl("-d", '{"inputs":{"x":[[1,2,3,4]]}}', url)[2])
    assert column == {"outputs": {"double": [[2.0, 4.0, 6.0, 8.0]], "row_sum": [10.0]}}


def test_strings_and_bytes(address):
    url = f"http://{address}/v1/models/identity_string:predict"
    answer = json.loads(curl("-d", '{"instances":[["plain"],[{"b64":"Z3LDvMOf"}]]}', url)[2])
    assert answer == {"predictions": [["plain"], ["gr\u00fc\u00df"]]}


def test_integers_keep_every_digit(address):
    largest = 2**63 - 1
    body = json.dumps({"inputs": [{"name": "x", "shape": [1, 2], "datatype": "INT64", "data": [largest, -(2**53) - 1]}]})
    answer = json.loads(curl("-d", body, f"http://{address}/v2/models/identity_int64/infer")[2])
    assert answer["outputs"][0]["data"] == [largest, -(2**53) - 1]
    answer = json.loads(curl("-d", f'{{"instances":[[{largest}]]}}', f"http://{address}/v1/models/identity_int64:predict")[2])
    assert answer["predictions"] == [[largest]]


def test_cloud_event(address):
    event = ["-H", "ce-specversion: 1.0", "-H", "ce-id: 7", "-H", "ce-source: test", "-H", "ce-type: request"]
    status, headers, body = curl(*event, "-d", '{"instances":[[1,2,3,4]]}', f"http://{address}/v1/models/two_outputs:predict")
    assert status == 200 and headers["ce-specversion"] == "1.0" and "predictions" in json.loads(body)


def test_compressed(address, tmp_path):
    body = '{"instances":[[1,2,3,4]]}'
    packed = subprocess.run(["gzip", "-c"], input=body.encode(), capture_output=True, check=True).stdout
    (tmp_path / "body.gz").write_bytes(packed)
    url = f"http://{address}/v1/models/two_outputs:predict"
    data = ["--data-binary", f"@{tmp_path}/body.gz"]
    assert curl("-H", "Content-Encoding: gzip", *data, url)[0] == 200
    assert curl("-H", "Content-Encoding: br", *data, url)[0] == 415
    assert curl("-H", "Accept-Encoding: gzip", f"http://{address}/openapi.json")[0] == 200


@pytest.mark.parametrize(
    ("arguments", "path", "status", "part"),
    [
        ([], "/v2/models/nothing", 404, "nothing"),
        ([], "/v2/models/mnist/versions/9", 404, "9"),
        ([], "/v1/models/nothing", 404, "nothing"),
        ([], "/nowhere", 404, "nowhere"),
        (["-d", "{"], "/v2/models/mnist/infer", 400, ""),
        (["-d", '{"inputs":[]}'], "/v2/models/mnist/infer", 400, ""),
        (["-d", '{"instances":[]}'], "/v1/models/mnist:predict", 400, ""),
        (["-d", '{"instances":[["a"]]}'], "/v1/models/mnist:predict", 400, ""),
        (["-d", '{"instances":[[1]]}'], "/v1/models/mnist:classify", 400, ""),
        (["-X", "DELETE"], "/v2/models/mnist/infer", 405, ""),
        ([], "/v2/models/mnist/infer", 405, ""),
    ],
)
def test_errors(address, arguments, path, status, part):
    got, _, body = curl(*arguments, f"http://{address}{path}")
    assert got == status, body
    message = json.loads(body)["error"]
    assert message and part in message
