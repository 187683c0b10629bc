"""Runs the parts: ``python -m experiments.accelerator --help``. Imports no jax."""

import argparse
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from typing import Any

from aejax.runs import directory
from experiments import readings
from experiments.accelerator import parts, summary


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line.

    Returns:
      0 when no part that the file has failed or was stopped.
    """
    flags = _flags(argv)
    out = pathlib.Path(flags.out)
    out.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {"tiny": flags.tiny, "parts": {}}
    path, named = out / "accelerator-unknown.json", False
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        env = environment(pathlib.Path(folder), flags.tiny)
        for part in parts.PARTS:
            # Devices are always looked at: the file is named after them.
            if flags.only and part.name not in ("devices", *flags.only):
                continue
            left = flags.deadline - (time.monotonic() - began)
            if left < parts.LEAST:
                why = f"not begun: {max(left, 0):.0f} s were left"
                blank = {"status": "skipped", "why": why, "rows": []}
                report["parts"].setdefault(part.name, blank)  # an earlier call's stays
                continue
            print(f"{part.name}: {part.about}", end=" … ", flush=True)
            result = report["parts"][part.name] = {"status": "running", "rows": []}
            limit = min(part.seconds, left)
            for row in run(part.name, pathlib.Path(folder), flags.tiny, limit, env):
                result |= row.pop("end", {})
                result["rows"] += [row] * bool(row)
                if not named and "kind" in row:
                    named = True
                    path, report = _begin(out, report, row, bool(flags.only))
                _write(path, report)
            print(_ended(result), flush=True)
            if result["rows"] and result["rows"][0].get("platform") == "cpu":
                if not flags.tiny:  # nine minutes for nothing
                    print("jax sees no accelerator here; --tiny is a trial without one")
                    return 1
    report["seconds"] = round(time.monotonic() - began, 1)
    _write(path, report)
    print(f"\n{summary.text(report)}\n\n{report['seconds']:.0f} s in all; {path}")
    return int(
        any(p["status"] in ("failed", "stopped") for p in report["parts"].values())
    )


def _flags(argv: Sequence[str] | None) -> argparse.Namespace:
    names = [p.name for p in parts.PARTS]
    parser = argparse.ArgumentParser("experiments.accelerator", description=__doc__)
    parser.add_argument("out", nargs="?", default=os.environ.get("OUT"), help="folder")
    parser.add_argument("--out", dest="named", metavar="DIR", help="the same")
    parser.add_argument("--tiny", action="store_true", help="a trial, on any machine")
    text = "of these, added to what the file has"
    parser.add_argument("--only", nargs="+", choices=names, default=[], help=text)
    parser.add_argument(
        "--deadline", type=float, default=parts.DEADLINE, help="seconds"
    )
    flags = parser.parse_args(argv)
    flags.out = flags.named or flags.out or "experiments/results"
    flags.tiny |= os.environ.get("AEJAX_TINY") == "1"
    return flags


def environment(folder: pathlib.Path, tiny: bool) -> dict[str, str]:
    """Of all parts: a compilation cache that they share and that starts empty."""
    env = os.environ | {"AEJAX_CACHE_DIR": str(folder / "cache")}
    env.pop("JAX_COMPILATION_CACHE_DIR", None)
    if (kinds := env.get("JAX_PLATFORMS")) and "cpu" not in kinds:
        env["JAX_PLATFORMS"] = f"{kinds},cpu"  # gradients are compared with its
    # Others, PyTorch among them, hold the same device.
    env["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    if tiny:  # most of a trial is compiling for the CPU
        flags = f"{env.get('XLA_FLAGS', '')} --xla_backend_optimization_level=0"
        env["XLA_FLAGS"] = flags.strip()
    return env


def run(part: str, folder: pathlib.Path, tiny: bool, limit: float, env: dict[str, str]):
    """Yields the rows of a part as they come, and {"end": how it ended} last."""
    command = [sys.executable, "-m", "experiments.accelerator.worker"]
    command += [part, str(folder), str(int(tiny))]
    began, late = time.monotonic(), []
    pipes = {"stdout": subprocess.PIPE, "text": True, "start_new_session": True}
    with (
        open(folder / f"{part}.log", "w+") as log,
        subprocess.Popen(command, env=env, stderr=log, **pipes) as process,
    ):

        def stop() -> None:
            late.append(True)
            os.killpg(process.pid, signal.SIGKILL)  # and what it has started

        timer = threading.Timer(limit, stop)
        timer.start()
        try:
            for line in process.stdout:
                if line.endswith("\n"):  # not cut short by ``stop``
                    yield json.loads(line)
            code = process.wait()
        finally:
            timer.cancel()
            if process.poll() is None:
                stop()
        log.seek(0)
        tail = log.read()[-2000:]
    end: dict[str, Any] = {"seconds": round(time.monotonic() - began, 1)}
    if late:
        end |= {"status": "stopped", "why": f"longer than its {limit:.0f} s"}
    elif code:
        end |= {"status": "failed", "why": f"exit code {code}: {tail}"}
    else:
        end |= {"status": "done"}
    yield {"end": end}


def _begin(out, report, row, more: bool):
    """Path of the file of this device, and what it holds so far."""
    name = re.sub(r"[^a-z0-9]+", "-", row["kind"].lower()).strip("-")
    path = out / f"accelerator-{name}{'-tiny' * report['tiny']}.json"
    report = readings.where([{"system": "aejax", "device": row["device"]}]) | report
    if more and path.is_file():  # the other parts of an earlier call
        report["parts"] = json.loads(path.read_text())["parts"] | report["parts"]
    return path, report


def _write(path: pathlib.Path, report: dict[str, Any]) -> None:
    report["summary"] = summary.rows(report["parts"], report["tiny"])
    directory.write_atomically(path, json.dumps(report, indent=1) + "\n")


def _ended(result: dict[str, Any]) -> str:
    text = f"{result['status']}, {result['seconds']:.0f} s"
    why = result.get("why", "").strip()
    return text + (f": {why.splitlines()[-1]}" if why else "")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and end the part
    sys.exit(main())
