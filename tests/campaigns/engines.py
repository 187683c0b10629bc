"""P10 on real processes and a real cluster: bytes, kills of workers, nodes and drivers.

    python -m tests.campaigns.engines [--only NAME …] [--out DIR] [-- SWEEP FLAGS]

Each case is the sweep of the flags (the default one without any) by one engine, in a
process of its own; good are rows and summary byte for byte those of ``--engine local``.
The cases "ray …" need Ray: a cluster of a head without CPUs and two nodes of one each.
Minutes; it prints seconds of each, Ray's start apart.
"""

import argparse
import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).parents[2]
CASES = (
    "processes",
    "processes, workers killed",
    "processes, driver killed",
    "processes, Ctrl-C",
    "shares",
    "ray",
    "ray, node killed",
    "ray, driver killed",
)


def start(out, flags, *more):
    command = [sys.executable, "-m", "experiments.sweep", *flags, "--out", str(out)]
    log = open(out.with_suffix(".log"), "a")
    return subprocess.Popen(
        [*command, *more],
        cwd=ROOT,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # as a terminal's: Ctrl-C reaches all of it
    )


def finish(process):
    if process.wait():
        raise SystemExit(f"{process.args} ended with {process.returncode}")


def same(out, whole):
    names = "results.jsonl", "summary.csv"
    return all((out / n).read_bytes() == (whole / n).read_bytes() for n in names)


def began(out, count=1):
    """Waits until so many shards have a checkpoint."""
    while len(list(out.glob("shards/*/checkpoints/*/*/_CHECKPOINT_METADATA"))) < count:
        time.sleep(0.2)


def children(pid):
    with contextlib.suppress(subprocess.CalledProcessError):
        text = subprocess.check_output(["pgrep", "-P", str(pid), "-f", "spawn_main"])
        return [int(word) for word in text.split()]
    return []


def processes(case, out, flags):
    engine = ("--engine", "processes", "--workers", "2")
    driver = start(out, flags, *engine)
    if "workers" in case:
        for count in (1, 2, 3):
            began(out, count)
            for pid in children(driver.pid)[:1]:
                os.kill(pid, signal.SIGKILL)
                print(f"  killed worker {pid}", flush=True)
    if "driver" in case:
        began(out)
        workers = children(driver.pid)
        driver.kill()
        driver.wait()
        time.sleep(3)
        left = [pid for pid in workers if pathlib.Path(f"/proc/{pid}").exists()]
        print(f"  killed the driver; of {len(workers)} workers {len(left)} are left")
        driver = start(out, flags, "--resume", *engine)
    if "Ctrl-C" in case:
        began(out)
        os.killpg(driver.pid, signal.SIGINT)
        code, text = driver.wait(), out.with_suffix(".log").read_text()
        print(f"  ended with {code}; told how to go on: {'--resume' in text}")
        driver = start(out, flags, "--resume", *engine)
    finish(driver)


def shares(case, out, flags):
    for pair in ((0, 3), (1, 2)):
        some = [start(out, flags, "--shard", f"{i}/4") for i in pair]
        for one in some:
            finish(one)
    subprocess.run(
        [sys.executable, "-m", "experiments.merge", str(out)],
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
    )


@contextlib.contextmanager
def cluster():
    os.environ |= {"RAY_worker_niceness": "0", "RAY_USAGE_STATS_ENABLED": "0"}
    os.environ["RAY_AUTH_MODE"] = "disabled"  # of this machine's own cluster
    from ray import cluster_utils

    began = time.monotonic()
    for last in (False, True):
        try:
            made = cluster_utils.Cluster(True, head_node_args={"num_cpus": 0})
            nodes = [made.add_node(num_cpus=1) for _ in range(2)]
            break
        except Exception:
            if last:
                raise
    print(f"  cluster started in {time.monotonic() - began:.0f} s", flush=True)
    try:
        yield made, nodes
    finally:
        made.shutdown()


def ray(case, out, flags):
    with cluster() as (made, nodes):
        began_at = time.monotonic()
        engine = ("--engine", "ray", "--address", made.address)
        driver = start(out, flags, *engine)
        if "node" in case:
            began(out)
            made.remove_node(nodes[0], allow_graceful=False)
            print("  killed a node", flush=True)
        if "driver" in case:
            began(out)
            driver.kill()
            driver.wait()
            driver = start(out, flags, "--resume", *engine)
        finish(driver)
        print(f"  sweep alone: {time.monotonic() - began_at:.0f} s", flush=True)


def main():
    parser = argparse.ArgumentParser("engines")
    parser.add_argument("--only", nargs="*", default=CASES, choices=CASES)
    parser.add_argument("--out", type=pathlib.Path)
    own, flags = parser.parse_known_args()
    flags = [flag for flag in flags if flag != "--"]
    folder = own.out or pathlib.Path(tempfile.mkdtemp(prefix="engines-"))
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("AEJAX_CACHE_DIR", str(folder / "cache"))
    os.environ.setdefault("PJRT_NPROC", "2")
    for name in ("warm", "local"):  # the second finds its programs in the cache
        began_at = time.monotonic()
        finish(start(folder / name, flags))
        print(f"{name}: {time.monotonic() - began_at:.0f} s", flush=True)
    bad = 0
    for case in own.only:
        out = folder / case.replace(", ", "-").replace(" ", "-")
        began_at = time.monotonic()
        {"p": processes, "s": shares, "r": ray}[case[0]](case, out, flags)
        good = same(out, folder / "local")
        bad += not good
        seconds = time.monotonic() - began_at
        print(f"{case}: {seconds:.0f} s, {'same bytes' if good else 'OTHER BYTES'}")
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
