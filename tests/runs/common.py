"""A small sweep of two programs, its comparison, and how it is stopped and damaged."""

import collections
import functools
import json

import jax
import numpy as np

import aejax
from aejax.engines import driver, engine, shard
from aejax.runs import checkpoint, plan

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


class Inline:
    """An engine of this process: a call is made when it is waited for.

    The first ``lost`` calls of ``train`` end without an answer, as does a worker that
    is killed when it has saved ``after`` times.
    """

    claim = False

    def __init__(self, workers, lost=0):
        self.workers, self.lost, self.most, self.closed = workers, lost, 0, False
        self.calls = collections.Counter()

    def submit(self, function, *arguments):
        self.calls[function.__name__] += 1
        return functools.partial(function, *arguments)

    def wait(self, handles, seconds):
        self.most = max(self.most, len(handles))
        return handles[:1]

    def result(self, handle):
        if handle.func is shard.train and self.lost:
            self.lost -= 1
            settings, number, epoch, stopped = handle.args
            worker = shard.worker(settings.dir, settings.token)
            stopped = {int(member): end for member, end in stopped.items()}
            worker.train(number, epoch, stopped, should_stop=stop_after(3))
            raise engine.Lost("killed")
        # JSON alone may travel.
        return json.loads(json.dumps(handle()))

    def close(self):
        self.closed = True


def in_shards(
    config, axes, out, workers, resume=False, should_stop=lambda: False, **more
):
    """``aejax.sweep`` by the workers of an engine."""
    asked = driver.Settings(out, resume, **more)
    calls = {"on_event": lambda event: None, "should_stop": should_stop}
    planned = plan.plan(config, axes)
    run = driver.sweep(config, axes, planned, asked, workers, {}, **calls)
    assert workers.closed
    return run
