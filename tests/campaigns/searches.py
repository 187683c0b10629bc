"""Searches killed at any moment, sharing a PostgreSQL, and beside plain Optuna.

    python -m tests.campaigns.searches [--only NAME …]

Good are no trial lost or doubled and, with one searcher, rows byte for byte those of a
search that nothing stopped. The PostgreSQL is one of this machine's programs (initdb
and pg_ctl on PATH or below /usr/lib/postgresql), started here and ended again. Minutes.
"""

import argparse
import collections
import contextlib
import functools
import glob
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).parents[2]
SMALL = "--epochs 8 --eval-every 4 --hidden 32 --population 8 --seed 0 1".split()
CASES = ("kills", "two searchers, sqlite", "two searchers, postgresql", "speeds")


def start(out, *flags):
    command = [sys.executable, "-m", "experiments.search", "--out", str(out), *flags]
    log = open(out.with_suffix(".log"), "a")
    return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)


def finish(process):
    if process.wait():
        raise SystemExit(f"{process.args} ended with {process.returncode}")


def rows(out):
    return [json.loads(line) for line in open(out / "results.jsonl")]


def trials(storage, *outs, size=2):
    """A fault of the study's trials against the rows of these runs, or None."""
    import optuna

    from aejax import runs  # noqa: F401
    from aejax.search import study as studies

    study = optuna.load_study(study_name="aejax", storage=storage)
    states = collections.Counter(t.state.name for t in study.trials)
    print(f"  {dict(states)}", flush=True)
    if left := set(states) - {"COMPLETE", "PRUNED", "FAIL"}:
        return f"trials are {left}"
    known = {t.number: t for t in study.trials if t.state.name == "COMPLETE"}
    seen = []
    for out in outs:
        info, values = json.load(open(out / "run.json")), {}
        for row in rows(out):
            if row["split"] == "valid":
                values[row["member"]] = row["nll"] + row["kl"]
        for number, first in info["search"]["trials"]:
            seen.append(number)
            mean = sum(values[first + i] for i in range(size)) / size
            if abs(known[number].value - mean) > 1e-9:
                return f"trial {number} is {known[number].value}, its rows say {mean}"
            if known[number].user_attrs[studies.OWNER] != info["search"]["run"]:
                return f"trial {number} is another run's"
    if sorted(seen) != sorted(known):
        return f"trials lost or doubled: {sorted(seen)}, {sorted(known)}"


def kills(folder):
    """One search killed again and again, at moments drawn over all of its length."""
    flags, rng = (*SMALL, "--trials", "24"), random.Random(0)
    whole, out = folder / "whole", folder / "killed"
    finish(start(whole, *flags))
    count, began = 0, time.monotonic()
    while True:
        process = start(out, *flags, "--resume")
        with contextlib.suppress(subprocess.TimeoutExpired):
            # The end of a search takes longer than its middle: it has to get there.
            finish_by = rng.uniform(1, 12 + count)
            code = process.wait(finish_by)
            if code:
                return f"ended with {code}"
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        count += 1
    print(f"  {count} kills, {time.monotonic() - began:.0f} s", flush=True)
    for name in ("results.jsonl", "summary.csv"):
        if (out / name).read_bytes() != (whole / name).read_bytes():
            return f"{name} is another than without kills"
    return trials(f"sqlite:///{out}/study.db", out)


def two_searchers(folder, storage):
    """Two at once on one study; one is killed midway and goes on."""
    flags = (*SMALL, "--trials", "24", "--storage", storage)
    outs = folder / "one", folder / "two"
    first, second = (start(out, *flags) for out in outs)
    while not list(outs[0].glob("shards/00001/run.json")):
        time.sleep(0.1)
        if first.poll() is not None:
            return f"ended early with {first.returncode}"
    first.send_signal(signal.SIGKILL)
    first.wait()
    first = start(outs[0], *flags, "--resume")
    finish(first), finish(second)
    return trials(storage, *outs)


@contextlib.contextmanager
def postgresql(folder):
    """The URL of an empty database of a server of our own."""
    programs = shutil.which("initdb") or max(
        glob.glob("/usr/lib/postgresql/*/bin/initdb")
    )
    bin, root = pathlib.Path(programs).resolve().parent, os.geteuid() == 0
    home = folder / "postgresql"
    home.mkdir()
    if root:  # which the server refuses to be
        shutil.chown(home, "postgres", "postgres")
        for parent in (folder, *folder.parents[:1]):
            parent.chmod(parent.stat().st_mode | 0o055)
    user = ["runuser", "-u", "postgres", "--"] if root else []
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    call = functools.partial(
        subprocess.run, check=True, stdout=subprocess.DEVNULL, cwd="/"
    )
    data, log = home / "data", home / "log"
    call([*user, bin / "initdb", "-D", data, "-A", "trust", "-U", "aejax"])
    options = f"-h 127.0.0.1 -p {port} -k {home}"
    serve = [*user, bin / "pg_ctl", "-D", data, "-l", log, "-w", "-o", options]
    call([*serve, "start"])
    try:
        yield f"postgresql+psycopg://aejax@127.0.0.1:{port}/postgres"
    finally:
        call([*user, bin / "pg_ctl", "-D", data, "-m", "fast", "stop"])


def best_by(times, limit):
    """(trials, the least value) of {seconds: value} up to a limit."""
    some = [value for second, value in times if second <= limit]
    return len(some), min(some, default=float("nan"))


def told(storage):
    """(seconds since the first was asked, value) of all trials of a study."""
    import optuna

    done = optuna.load_study(study_name="aejax", storage=storage).trials
    first = min(t.datetime_start for t in done)
    return sorted(
        ((t.datetime_complete - first).total_seconds(), t.value)
        for t in done
        if t.value is not None
    )


def plain(folder, trials, cached):
    """Optuna as its users write it: a model a trial, by ``aejax.sweep``."""
    code = f"""
import warnings; warnings.simplefilter("ignore")
from aejax import backend
backend.start(1, None, "2")
import jax
{"" if cached else 'jax.config.update("jax_compilation_cache_dir", None)'}
import optuna, aejax
optuna.logging.set_verbosity(optuna.logging.WARNING)
base = aejax.Config(objective="beta_vae", epochs=40, eval_every=10)

def value(trial):
    config = base.replace(
        learning_rate=trial.suggest_float("learning_rate", 1e-4, 0.1, log=True),
        latent_dim=trial.suggest_int("latent_dim", 2, 16),
        hparams={{"beta": trial.suggest_float("beta", 0.1, 8, log=True)}},
    )
    last = [r for r in aejax.sweep(config).rows if r["split"] == "valid"][-1]
    return float("nan") if last["diverged"] else last["nll"] + last["kl"]

study = optuna.create_study(
    storage="sqlite:///{folder}/plain-{cached}.db", study_name="aejax",
    sampler=optuna.samplers.TPESampler(seed=0),
)
study.optimize(value, n_trials={trials})
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    return told(f"sqlite:///{folder}/plain-{cached}.db")


def speeds(folder):
    """Trials per minute and the best after equal time: ours, random, plain Optuna."""
    lines = {}
    for name in ("tpe", "random"):
        out = folder / name
        finish(start(out, "--trials", "160", "--sampler", name))
        lines[f"aejax, {name}"] = told(f"sqlite:///{out}/study.db")
    lines["Optuna, a model a trial"] = plain(folder, 12, False)
    lines["the same, compilation cache warm"] = plain(folder, 12, True)
    limit = min(times[-1][0] for times in lines.values())
    for name, times in lines.items():
        rate = 60 * len(times) / times[-1][0]
        count, best = best_by(times, limit)
        text = (
            f"{rate:.1f} trials a minute; after {limit:.0f} s {count}, best {best:.3f}"
        )
        print(f"  {name}: {text}; all {len(times)}, {min(v for _, v in times):.3f}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="*", default=CASES, choices=CASES)
    flags, bad = parser.parse_args(), 0
    for case in flags.only:
        with tempfile.TemporaryDirectory(prefix="searches-") as name:
            folder, began = pathlib.Path(name), time.monotonic()
            print(case, flush=True)
            if case == "two searchers, postgresql":
                with postgresql(folder) as url:
                    fault = two_searchers(folder, url)
            elif case == "two searchers, sqlite":
                fault = two_searchers(folder, f"sqlite:///{folder}/study.db")
            else:
                fault = globals()[case](folder)
            seconds = time.monotonic() - began
            print(
                f"  {'BAD: ' + fault if fault else 'good'}, {seconds:.0f} s", flush=True
            )
            bad += bool(fault)
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
