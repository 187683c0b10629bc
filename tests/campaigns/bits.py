"""Whether a change keeps every bit: rows of one checkout against those of another.

    python -m tests.campaigns.bits OLD [--out DIR] [--only NAME …]

OLD is another checkout of it (``git worktree add ../old main``). Both train
the same sweeps in the same environment; rows must be equal but for renamed columns.
What OLD gave stays in DIR for the next time. Minutes.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parents[2]
RENAMED = {"lane": "member"}
TOKENS = {"mse": "error_rate"}  # of a likelihood of tokens
SHARED = ("__init__", "annealing")  # no objectives
OBJECTIVES = sorted({f.stem for f in HERE.glob("aejax/objectives/*.py")} - {*SHARED})
NETWORKS = "linear linear_tied conv resnet_conv".split()
RUNS = {
    "default": [],
    "objectives": ["--preset", "smoke", "--objective", *OBJECTIVES],
    "networks": ["--preset", "smoke", "--objective", "vae", "--network", *NETWORKS],
    "sequences": "--preset smoke --dataset tunes --network recurrent --hidden 32"
    " --objective vae --epochs 2 --eval-every 1".split(),
    "options": "--preset smoke --select best --binarize dynamic --weight-decay 1e-4"
    " --optimizer adamw --clip-norm 1 --schedule cosine --precision bf16".split(),
    "flax_vae": ["--preset", "flax_vae"],
}


def train(checkout: pathlib.Path, name: str, out: pathlib.Path) -> list[dict]:
    """The rows of one of RUNS, trained by a checkout unless ``out`` has them."""
    rows = out / "results.jsonl"
    if not rows.is_file():
        command = [sys.executable, "-m", "experiments.sweep", *RUNS[name]]
        environment = os.environ | {"PYTHONPATH": str(checkout)}
        done = subprocess.run(
            [*command, "--out", str(out)],
            cwd=checkout,
            env=environment,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise SystemExit(f"{name} in {checkout} failed:\n{done.stderr[-2000:]}")
    return [json.loads(line) for line in rows.read_text().splitlines()]


def differences(old: list[dict], new: list[dict]) -> list[str]:
    """What differs, at most ten lines."""
    lines = [] if len(old) == len(new) else [f"{len(old)} rows, now {len(new)}"]
    for number, (before, after) in enumerate(zip(old, new, strict=False)):
        if before["likelihood"] == "symbols":
            names = RENAMED | TOKENS
            before = {**before, "likelihood": "tokens"}
            del before["psnr"]
        else:
            names = RENAMED
        before = {names.get(n, n): v for n, v in before.items()}
        if list(before) != list(after):
            lines.append(f"row {number}: columns {set(before) ^ set(after)}")
        lines += [
            f"row {number} {n}: {v!r}, now {after.get(n)!r}"
            for n, v in before.items()
            if v != after.get(n)
        ]
    return lines[:10]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--only", nargs="*", choices=RUNS, default=list(RUNS))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        kept = given.out or pathlib.Path(scratch) / "old"
        bad = 0
        for name in given.only:
            old = train(given.old.absolute(), name, kept.absolute() / name)
            new = train(HERE, name, pathlib.Path(scratch) / "new" / name)
            lines = differences(old, new)
            bad += bool(lines)
            print(f"{name}: {len(old)} rows", "differ" if lines else "are equal")
            for line in lines[:4]:
                print(f"  {line}")
    return bad


if __name__ == "__main__":
    sys.exit(main())
