"""One system in a process of its own: ``benchmark`` talks to it by lines of JSON.

Prints what it is when it is ready; then, for each line read, steps and seconds.
"""

import importlib
import json
import os
import pathlib
import sys
import time
import traceback
from typing import Any

from experiments import workloads


def main(suite: str, name: str, system: str, folder: str) -> int:
    """Prepares a system for a workload and times it as often as it is told to."""
    (workload,) = (w for w in workloads.SUITES[suite] if w.name == name)
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not mix with the protocol

    def say(what: Any) -> None:
        print(json.dumps(what), file=out, flush=True)

    try:
        peer = importlib.import_module(f"experiments.peers.{system}")
    except ImportError as error:
        say({"error": f"not installed ({error.name})"})
        return 0
    try:
        repeat, facts = peer.prepare(workload, pathlib.Path(folder))
    except Exception as error:  # of a compiler that is missing, say: anything
        traceback.print_exc()
        say({"error": f"{type(error).__name__}: {str(error).strip()[:300]}"})
        return 1
    say(facts)
    for _ in sys.stdin:
        began = time.perf_counter()
        steps = repeat()
        say({"steps": steps, "seconds": time.perf_counter() - began})
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
