"""/openapi.json is valid, and the server does what it says: schemathesis sends what it allows and what it forbids."""

import json
import pathlib
import re
import subprocess
import sys
import urllib.request

from openapi_spec_validator import validate


def test_the_document_is_valid(address):
    document = json.load(urllib.request.urlopen(f"http://{address}/openapi.json", timeout=30))
    validate(document)
    assert "/v2/models/mnist/infer" in document["paths"]


#: A fault of CPython 3.11's own compiler that deep schemas meet now and then: nothing was found, so another seed is tried.
INTERPRETER = "SystemError: AST constructor recursion depth mismatch"


def schemathesis(address, seed, folder):
    call = [
        pathlib.Path(sys.executable).with_name("schemathesis"), "run", f"http://{address}/openapi.json",
        # Every model has the same operations; unloading would take the others' models away.
        "--include-path-regex", "^/(v[12](/health/.*|/models)?/?|v[12]/models/(mnist|add|identity_int64)(:predict|/.*)?|openapi.json|)$",
        "--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
        "--phases", "examples,coverage,fuzzing", "--max-examples", "10", "--seed", str(seed), "--workers", "1",
        "--suppress-health-check", "all", "--request-timeout", "20", "--no-color",
    ]
    return subprocess.run(call, capture_output=True, text=True, timeout=90, cwd=folder)


def test_schemathesis_finds_no_server_error(address, tmp_path):
    for seed in range(3):
        done = schemathesis(address, seed, tmp_path)
        if INTERPRETER not in done.stdout or "FAILURES" in done.stdout:
            break
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    print(re.findall(r"\d+ generated, \d+ passed", done.stdout))
