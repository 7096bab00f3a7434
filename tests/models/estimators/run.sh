#!/usr/bin/env bash
# scikit-learn's tree models through skl2onnx, and XGBoost's, LightGBM's and CatBoost's own files, served by a real server, beside ONNX
# Runtime and the libraries: tests/models/estimators/run.sh [SERVER]. SERVER is the binary (default: $MODELYARD_SERVER, or target/debug/modelyard-server).
# What it needs of Python is kept in a venv in the user's cache folder, which is made when requirements.txt changes.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
server=${1:-${MODELYARD_SERVER:-$root/target/debug/modelyard-server}}
[ -x "$server" ] || { echo "no server at $server: build it (cargo build --workspace), or give its path" >&2; exit 2; }

sum=$(sha256sum "$here/requirements.txt" | cut -c1-12)
venv=${XDG_CACHE_HOME:-$HOME/.cache}/modelyard/venv-engines-$sum
if [ ! -f "$venv/complete" ]; then
    echo "installing tests/models/estimators/requirements.txt into $venv (about 400 MB, once)"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
    touch "$venv/complete"
fi
exec "$venv/bin/python" "$here/check.py" "$server"
