"""A sweep that is stopped and resumed against one that is not, bit for bit.

Each call of ``sweep`` is in a process of its own. They share a compilation cache; a
last one compiles anew, which tells whether bits depend on what the compiler tries out.
"""

import json
import os
import pathlib
import subprocess
import sys
import zlib
from collections.abc import Iterator, Mapping
from concurrent import futures
from typing import Any

from experiments import environment
from experiments.accelerator import examples

DISPATCHES = 3  # after which it is stopped


def measure(folder: pathlib.Path, tiny: bool) -> Iterator[dict[str, Any]]:
    """A row per run that is compared with the uninterrupted one."""
    place = folder / "resume"
    whole = _run(folder, tiny, place / "whole")
    # Nothing is timed here: the others run side by side.
    with futures.ThreadPoolExecutor(3) as pool:
        others = {}
        if not tiny:
            variables = {"AEJAX_CACHE_DIR": str(place / "cache")}
            others = {
                "again": pool.submit(_run, folder, tiny, place / "again"),
                "compiled anew": pool.submit(
                    _run, folder, tiny, place / "anew", variables=variables
                ),
            }
        stopped = _run(folder, tiny, place / "cut", stop=True)
        yield _compared("resumed", whole, _run(folder, tiny, place / "cut"), stopped)
        for name, other in others.items():
            yield _compared(name, whole, other.result())


def _compared(name: str, whole: dict, other: dict, stopped: dict | None = None):
    rows = list(zip(whole["rows"], other["rows"], strict=False))
    apart = [
        abs(a[n] - b[n]) / max(abs(a[n]), 1e-30)
        for a, b in rows
        for n in a
        if isinstance(a[n], float) and isinstance(b[n], float)
    ]
    facts = {"stopped_at": stopped["step"], "of": whole["step"]} if stopped else {}
    return facts | {
        "run": name,
        "rows": len(whole["rows"]),
        "rows_equal": whole["rows"] == other["rows"],
        "parameters_equal": whole["crc32"] == other["crc32"],
        "deviation": max(apart, default=None),
        "members": whole["members"],
        "finished": other["finished"],
    }


def _run(
    folder: pathlib.Path,
    tiny: bool,
    out: pathlib.Path,
    stop: bool = False,
    variables: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    command = [sys.executable, "-m", "experiments.accelerator.resume"]
    command += [str(folder), str(int(tiny)), str(out), str(int(stop))]
    # What it prints goes to this part's log, but for the last line.
    env = os.environ | dict(variables or {})
    done = subprocess.run(
        command, env=env, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def main(folder: str, tiny: str, out: str, stop: str) -> int:
    """One call of ``sweep``; prints its rows and what its parameters are."""
    environment.start(8, 1)
    import jax
    import numpy as np

    from aejax import config
    from aejax.runs import sweep

    small = tiny == "1"
    base = config.Config(
        dataset=examples.digits(pathlib.Path(folder), 8 if small else 28),
        objective="vae",
        hidden=(16,) if small else (400,),
        epochs=8 if small else 60,
        eval_every=2 if small else 15,
    )
    axes = {"latent_dim": [2, 5], "seed": [0] if small else [0, 1, 2, 3]}
    steps: list[int] = []

    def on_event(event):
        if event["kind"] == "train":
            steps.append(event["step"])

    run = sweep.sweep(
        base,
        axes,
        out=out,
        resume=True,  # a fresh one if there is none
        devices=jax.devices()[:1],
        should_stop=lambda: stop == "1" and len(steps) >= DISPATCHES,
        on_event=on_event,
    )
    answer = {"rows": run.rows, "step": max(steps, default=0), "crc32": None}
    answer |= {"members": len(axes["latent_dim"]) * len(axes["seed"])}
    answer |= {"finished": run.info["finished"]}
    if answer["finished"]:
        leaves = jax.tree.leaves([m.params for m in run.models()])
        answer["crc32"] = [zlib.crc32(np.ascontiguousarray(a).data) for a in leaves]
    print(json.dumps(answer), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
