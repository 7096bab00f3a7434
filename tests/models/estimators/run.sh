#!/usr/bin/env bash
# scikit-learn's tree models through skl2onnx, and XGBoost's, LightGBM's and CatBoost's own files, served by a real server, beside ONNX
# Runtime and the libraries: tests/models/estimators/run.sh [SERVER]. SERVER is the binary (default: $MODELYARD_SERVER, or target/debug/modelyard-server).
# What it needs of Python is kept in a venv in the user's cache folder, which is made when requirements.txt changes.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
server=${1:-${MODELYARD_SERVER:-$root/target/debug/modelyard-server}}
[ -x "$server" ] || { echo "no server at $server: build it (cargo build --workspace), or give its path" >&2; exit 2; }

venv=$("$root/tests/venv" engines "$here/requirements.txt")
exec "$venv/bin/python" "$here/check.py" "$server"
