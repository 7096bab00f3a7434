#!/usr/bin/env python3
"""Turn files into a request to the Magika model: what each of them is, in the order given.

The model sees the first and the last bytes of a file, without the white space around it, as whole
numbers; a token above every byte fills what a short file leaves empty. How many bytes, and which
token, is read from the model's own config.json, which fetch.py puts into model/.
"""

import argparse
import json
import os
import sys
from pathlib import Path

HERE = Path(__file__).parent


def tokens(path: Path, config: dict) -> list[int]:
    """The row of the model's input for one file."""
    block, fill = config["block_size"], config["padding_token"]
    with path.open("rb") as file:
        head = file.read(block)
        file.seek(max(0, file.seek(0, os.SEEK_END) - block))
        tail = file.read(block)
    first = list(head.lstrip()[: config["beg_size"]])
    last = list(tail.rstrip()[-config["end_size"] :])
    if len(first) < config["min_file_size_for_dl"]:
        raise ValueError(
            f"has fewer than {config['min_file_size_for_dl']} bytes to look at; Magika does not ask its model then"
        )
    return first + [fill] * (config["beg_size"] - len(first)) + [fill] * (config["end_size"] - len(last)) + last


def request(paths: list[Path], config: dict, top: int) -> dict:
    rows = []
    for path in paths:
        try:
            rows.append(tokens(path, config))
        except (OSError, ValueError) as failure:
            sys.exit(f"error: {path}: {failure}")
    data = [token for row in rows for token in row]
    body = {"inputs": [{"name": "bytes", "shape": [len(rows), len(rows[0])], "datatype": "INT32", "data": data}]}
    if top:
        body["outputs"] = [{"name": "target_label", "parameters": {"classification": top}}]
    return body


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a file to ask about")
    parser.add_argument(
        "--top",
        type=int,
        default=3,
        help="how many kinds to name for each file; 0 asks for all scores as numbers (default 3)",
    )
    parser.add_argument(
        "--output", type=Path, default=HERE / "request.json", help="file to write (default: request.json)"
    )
    arguments = parser.parse_args()

    try:
        config = json.loads((HERE / "model" / "config.json").read_text())
    except FileNotFoundError:
        sys.exit("error: there is no model/config.json; run fetch.py first")
    body = request(arguments.files, config, arguments.top)
    arguments.output.write_text(json.dumps(body, separators=(",", ":")) + "\n")
    print(f"wrote {arguments.output}: {len(arguments.files)} file(s)")


if __name__ == "__main__":
    main()
