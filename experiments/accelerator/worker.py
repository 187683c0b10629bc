"""One part in a process of its own: prints each of its rows as a line of JSON."""

import importlib
import json
import os
import pathlib
import sys


def main(part: str, folder: str, tiny: str) -> int:
    """``tiny`` is "1" for a trial."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not mix with the rows
    module = importlib.import_module(f"experiments.accelerator.{part}")
    for row in module.measure(pathlib.Path(folder), tiny == "1"):
        print(json.dumps(row), file=out, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
