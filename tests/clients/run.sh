#!/usr/bin/env bash
# Runs the published clients of every protocol against a real server: tests/clients/run.sh [SERVER] [PYTEST ARGUMENTS...]
# SERVER is the binary (default: $MODELYARD_SERVER, or target/debug/modelyard-server). The clients live in a venv in the user's
# cache folder, which is made when requirements.txt changes.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
server=${1:-${MODELYARD_SERVER:-$root/target/debug/modelyard-server}}
shift || true
[ -x "$server" ] || { echo "no server at $server: build it (cargo build --workspace), or give its path" >&2; exit 2; }

venv=$("$root/tests/venv" clients "$here/requirements.txt")

work=$(mktemp -d)
server_pid=
# shellcheck disable=SC2317 # the trap calls it
finish() {
    if [ -n "$server_pid" ]; then kill -KILL "$server_pid" 2>/dev/null || true; fi
    rm -rf "$work"
}
trap finish EXIT

# Stubs of TensorFlow Serving from our own proto files: the package tensorflow-serving-api imports all of TensorFlow (600 MB) for
# its tensors. That our files agree with the published ones field by field was checked when they were written.
mkdir "$work/stubs"
(cd "$root/crates/wire/proto" && "$venv/bin/python" -m grpc_tools.protoc -I. --python_out="$work/stubs" --grpc_python_out="$work/stubs" \
    tensorflow/*.proto tensorflow_serving/*.proto)

python=$venv/bin/python
"$python" - "$root" "$work/config.json" <<'PYTHON'
import json, pathlib, sys
root = pathlib.Path(sys.argv[1])
digits = [str(digit) for digit in range(10)]
models = [{"name": name, "uri": f"file:{root}/examples/{name}/model", "classes": digits} for name in ("mnist", "mnist-cnn")]
singles = [path for path in sorted(root.glob("tests/models/identity_*.onnx")) if "bf16" not in path.name] + [root / f"tests/models/{name}.onnx" for name in ("add", "two_outputs", "slow", "gather", "no_batch", "scalar")]
models += [{"name": path.stem, "uri": f"file:{path}"} for path in singles]
pathlib.Path(sys.argv[2]).write_text(json.dumps({"models": models, "serving": {"drainDelay": "100ms"}}))
PYTHON

echo "starting $server on free ports"
"$server" --config "@$work/config.json" --host 127.0.0.1 --port 0 --admin-port 0 --ports-file "$work/ports.json" \
    --allow-control --termination-log "$work/termination" --log-level warn 2>"$work/log" &
server_pid=$!
for _ in $(seq 600); do
    if [ -f "$work/ports.json" ]; then
        read -r port admin < <("$python" -c 'import json,sys; p=json.load(open(sys.argv[1])); print(p["port"],p["adminPort"])' "$work/ports.json")
        if curl -sf -o "$work/ready" "http://127.0.0.1:$admin/readyz"; then break; fi
    fi
    kill -0 "$server_pid" 2>/dev/null || { echo "the server ended:" >&2; cat "$work/log" >&2; exit 1; }
    sleep 0.1
done
[ -s "$work/ready" ] || { echo "the server did not become ready:" >&2; cat "$work/log" >&2; exit 1; }

export MODELYARD_ADDRESS=127.0.0.1:$port MODELYARD_ADMIN=127.0.0.1:$admin MODELYARD_STUBS=$work/stubs MODELYARD_ROOT=$root
# One process per file: two clients each register their own copy of the protocol's messages, which one process cannot hold.
failed=0
for file in "$here"/test_*.py; do
    echo "== $(basename "$file" .py)"
    "$python" -m pytest -q --no-header -p no:cacheprovider "$@" "$file" || failed=1
done

kill -TERM "$server_pid"
code=0
wait "$server_pid" || code=$?
server_pid=
[ "$code" -eq 0 ] || { echo "the server exited with $code after SIGTERM, expected 0" >&2; failed=1; }
if grep -E "panicked|ERROR" "$work/log" >&2; then
    echo "the server's log holds the errors above" >&2
    failed=1
fi
if [ "$failed" -eq 0 ]; then
    echo
    echo "passed with:"
    "$python" "$here/versions.py"
else
    tail -n 40 "$work/log" >&2
fi
exit "$failed"
