"""Share of device time in matrix products, by a profile of 64 dense members.

The rule: of the trace that jax.profiler writes for viewers, the durations of kernels on
the device's streams are summed by their names, and a kernel counts as a matrix product
if its name or its HLO operation's matches ``PRODUCT``. On a CPU there are no streams:
events that name an HLO operation are summed over all threads, without control flow,
which contains others; fusions of the name ynn hold most of its products.
"""

import collections
import gzip
import json
import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from experiments import environment, workloads
from experiments.peers import aejax as ours

PRODUCT = re.compile(r"gemm|dot|cutlass|cublas|nvjet|xmma|matmul|splitk|ynn", re.I)
CONTROL = re.compile(r"^(while|call|conditional|tuple)\b")


def measure(folder: pathlib.Path, tiny: bool) -> Iterator[dict[str, Any]]:
    """One row: the share, and the kernels that take longest."""
    devices = environment.start(1, 1)
    import jax

    from aejax.training import program

    suite = {w.name: w for w in workloads.SUITES["tiny" if tiny else "accelerator"]}
    workload = suite["dense_members_64"]
    planned = ours.planned(workload, folder)
    one = program.Program(planned.populations[0], devices)
    data, chunk = ours.placed(one, planned), one.population.spec.chunk
    for start in (-1, 0):
        one.advance(data, start, chunk, 0, range(one.batches))
    with jax.profiler.trace(folder / "trace"):
        one.advance(data, 0, chunk, 0, range(one.batches))
    (path,) = (folder / "trace").rglob("*.trace.json.gz")
    events = json.loads(gzip.decompress(path.read_bytes()))["traceEvents"]
    facts = {"members": len(workload.latent), "steps": chunk, "events": len(events)}
    yield facts | shares(events)


def shares(events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of a trace's events: seconds on the device, the products' share, the longest.

    ``span_s`` is from the first kernel to the end of the last: what of it is no kernel
    is launching and waiting.
    """
    names: dict[tuple, str] = {}
    for e in events:
        if e.get("ph") == "M" and e["name"] in ("process_name", "thread_name"):
            names[e["pid"], e.get("tid")] = e["args"]["name"]
    timed = [e for e in events if e.get("ph") == "X" and "dur" in e]
    kernels, rule = _kernels(timed, names)
    spent: dict[str, float] = collections.defaultdict(float)
    products = 0.0
    for e in kernels:
        operation = e.get("args", {}).get("hlo_op", "")
        spent[e["name"]] += e["dur"] / 1e6
        if PRODUCT.search(e["name"]) or PRODUCT.search(operation):
            products += e["dur"] / 1e6
    total = sum(spent.values())
    ends = [(e["ts"], e["ts"] + e["dur"]) for e in kernels] or [(0, 0)]
    longest = sorted(spent, key=spent.get, reverse=True)[:15]
    return {
        "rule": rule,
        "kernels": len(kernels),
        "kernel_s": total,
        "span_s": (max(b for _, b in ends) - min(a for a, _ in ends)) / 1e6,
        "product_share": products / total if total else None,
        "longest": {n[:120]: spent[n] / total for n in longest},
    }


def _kernels(timed: Sequence[Mapping], names: Mapping[tuple, str]) -> tuple[list, str]:
    """What has run on the device, once each, and where that was read."""
    # Of a GPU the lines of other names are derived from its streams' again.
    for line, rule in ("Stream", "the GPU's streams"), ("XLA Ops", "the TPU's XLA Ops"):
        operations = [
            e
            for e in timed
            if names.get((e["pid"], None), "").startswith("/device:")
            and names.get((e["pid"], e["tid"]), "").startswith(line)
        ]
        if operations:
            return operations, rule
    operations = [e for e in timed if "hlo_op" in e.get("args", {})]
    operations = [e for e in operations if not CONTROL.match(e["args"]["hlo_op"])]
    return operations, "HLO operations on the host's threads"
