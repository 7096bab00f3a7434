"""Serves models from real servers of each store's API, and prints a table of what was tested against what."""

import argparse
import sys
import tempfile
import traceback
from pathlib import Path

import az
import exchange
import gs
import hf
import https
import oci
import s3
from serving import Refused

STORES = [https, s3, gs, az, hf, oci, exchange]


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("server", type=Path)
    arguments.add_argument("--only", help="the cases whose store has this in its name")
    chosen = arguments.parse_args()
    rows, failed = [], 0
    for store in STORES:
        if chosen.only and chosen.only not in store.__name__:
            continue
        with tempfile.TemporaryDirectory() as work, store.started(Path(work)) as running:
            for case in store.CASES:
                outcome = "pass"
                try:
                    case(running, chosen.server.resolve())
                except (AssertionError, Refused, OSError, KeyError, ValueError):
                    traceback.print_exc()
                    outcome, failed = "FAIL", failed + 1
                rows.append((store.SCHEME, running.against, case.__doc__, outcome))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    print("| " + " | ".join(name.ljust(width) for name, width in zip(("scheme", "against", "case", "outcome"), widths)) + " |")
    print("|" + "|".join("-" * (width + 2) for width in widths) + "|")
    for row in rows:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |")
    print(f"{len(rows) - failed} of {len(rows)} cases pass")
    return 1 if failed or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
