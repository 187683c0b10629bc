"""A small sweep of two programs, its comparison, and how it is stopped and damaged."""

import jax
import numpy as np

import aejax
from aejax.runs import checkpoint

CONFIG = dict(hidden=(16,), batch_size=64, epochs=12, eval_every=2)
AXES = {"objective": ["ae", "vae"], "latent_dim": [2, 5], "seed": [0, 1]}


def sweep(out, **more):
    config = aejax.Config(**CONFIG)
    devices = jax.devices()[:2]
    return aejax.sweep(config, AXES, out=out, devices=devices, **more)


def assert_same(run, whole):
    ours = (run.dir / "results.jsonl").read_bytes()
    assert ours == (whole.dir / "results.jsonl").read_bytes()
    models, wanted = (aejax.open_run(r.dir).models() for r in (run, whole))
    for a, b in zip(models, wanted, strict=True):
        jax.tree.map(np.testing.assert_array_equal, a.params, b.params)
    assert run.summary == whole.summary
    summary = (run.dir / "summary.csv").read_text()
    assert summary == (whole.dir / "summary.csv").read_text()


def newest(out, population):
    steps = checkpoint.folder(out, population).iterdir()
    return max((p for p in steps if p.name.isdigit()), key=lambda p: int(p.name))


def flip(folder):
    """One bit of its largest file."""
    path = max(
        (p for p in folder.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size
    )
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def stop_after(events):
    """A ``should_stop`` that says yes from its n-th call on."""
    calls = iter(range(10**9))
    return lambda: next(calls) >= events
