"""P7: whatever stops a run, running it again gives the rows it would have given."""

import errno
import importlib.metadata
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

import aejax
from aejax.runs import checkpoint, directory
from tests.runs.common import CONFIG, assert_same, flip, newest, stop_after, sweep

ROOT = pathlib.Path(__file__).parents[2]
CACHED = (
    "jax_compilation_cache_dir",
    "jax_persistent_cache_min_compile_time_secs",
    "jax_persistent_cache_min_entry_size_bytes",
)


# What a user's process does, with checkpoints and dispatches as often as can be.
CHILD = """
import sys, time
from experiments import environment
environment.prepare_xla_flags()
import jax
jax.config.update("jax_num_cpu_devices", 2)
import aejax
from aejax.runs import dispatch, writer
from tests.runs import common as t
writer.SAVE_EVERY, dispatch.SECONDS = 0.0, 1e-6
print("ready", flush=True)
aejax.sweep(aejax.Config(**t.CONFIG), t.AXES, out=sys.argv[1], resume=True,
            on_event=lambda event: time.sleep(0.02))
"""


@pytest.mark.any_jax
def test_three_kills_lose_and_double_nothing(tmp_path, whole):
    rng, out = random.Random(seed := time.time_ns()), tmp_path / "run"
    print(seed)  # shown where it fails
    # What the first of them compiles, the others read.
    cache = {n.upper(): str(getattr(jax.config, n)) for n in CACHED}
    env = dict(os.environ, PYTHONPATH=str(ROOT)) | cache
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", CHILD, str(out)],
            cwd=ROOT,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as child:
            child.stdout.readline()
            rows = out / "results.jsonl"
            # From the first row on, or while it compiles: any moment will do.
            began, size = time.monotonic(), rows.stat().st_size if rows.exists() else 0
            while time.monotonic() - began < 30 and child.poll() is None:
                if rows.exists() and rows.stat().st_size != size:
                    break
                time.sleep(0.01)
            time.sleep(rng.uniform(0, 0.6))
            child.send_signal(signal.SIGKILL)
    assert_same(sweep(out, resume=True), whole)


def test_stopping_at_each_dispatch_and_going_on(tmp_path, whole, often):
    out = tmp_path / "run"
    run = sweep(out, should_stop=stop_after(2))
    assert not run.info["finished"]
    for _ in range(2):
        run = sweep(out, resume=True, should_stop=stop_after(4))
        assert not run.info["finished"]
    run = sweep(out, resume=True)
    assert run.info["finished"]
    assert_same(run, whole)


@pytest.mark.usefixtures("users_generator")
def test_going_on_with_another_number_of_devices(tmp_path, often):
    """Members are trained one by one."""
    config, axes = aejax.Config(**CONFIG), {"latent_dim": [2, 5], "seed": [0, 1]}

    def part(out, count, **more):
        devices = jax.devices()[:count]
        return aejax.sweep(
            config, axes, out=tmp_path / out, devices=devices, vmap=1, **more
        )

    whole, run = part("whole", 2), part("run", 2, should_stop=stop_after(4))
    assert not run.info["finished"]
    run = part("run", 4, resume=True)
    assert run.info["finished"]
    assert_same(run, whole)


def test_resuming_a_finished_run_changes_nothing(copy, whole):
    before = {p: p.read_bytes() for p in copy.iterdir() if p.is_file()}
    again = sweep(copy, resume=True)
    assert again.rows == whole.rows
    for path, content in before.items():
        if path.name != "run.json":  # it has the time at which it was begun
            assert path.read_bytes() == content
    assert again.info["steps_per_s"] == pytest.approx(whole.info["steps_per_s"], 1e-3)


def test_the_checkpoint_before_a_damaged_one_is_used(tmp_path, whole, often):
    """orbax restores one flipped byte without a word."""
    out = tmp_path / "run"
    sweep(out, should_stop=stop_after(5))
    flip(newest(out, 0))
    said = []
    run = sweep(out, resume=True, on_event=said.append)
    assert any("cannot be used" in e.get("text", "") for e in said)
    assert_same(run, whole)


@pytest.mark.any_jax
@pytest.mark.parametrize("what", ["data", "objective", "blocks"])
def test_no_run_goes_on_with_changed_files(tmp_path, monkeypatch, what):
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).random((200, 12), np.float32)
    np.save("mine.npy", x)
    text = (ROOT / "aejax" / "objectives" / "ae.py").read_text()
    pathlib.Path("mine.py").write_text(text)
    config = aejax.Config(
        dataset="mine.npy", objective="mine.py", hidden=(8,), batch_size=4, epochs=1
    )
    aejax.sweep(config, out="run")
    more = {}
    if what == "data":
        np.save("mine.npy", x[::-1])
    elif what == "objective":
        pathlib.Path("mine.py").write_text(text + "\n")
    else:
        more = {"resident_bytes": 4000}
    with pytest.raises(
        aejax.InputError, match="another configuration: (data|file|blocks)"
    ):
        aejax.sweep(config, out="run", resume=True, **more)


@pytest.mark.parametrize("what", ["threads", "XLA_FLAGS", "jax", "x64", "threefry"])
def test_no_run_goes_on_where_digits_would_differ(tmp_path, monkeypatch, what):
    config, flags = aejax.Config(hidden=(8,), epochs=1), os.environ["XLA_FLAGS"]
    aejax.sweep(config, out=tmp_path / "run")
    message = {"threads": "threads: 2 there, 1 here"}.get(what, what)
    if what == "threads":
        monkeypatch.setenv("PJRT_NPROC", "1")
    elif what == "XLA_FLAGS":
        monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    elif what == "jax":
        real = importlib.metadata.version
        other = lambda n: "9.9" if n == "jax" else real(n)  # noqa: E731
        monkeypatch.setattr(importlib.metadata, "version", other)
        message = "version of jax: .* there, 9.9 here"
    else:
        name = {"x64": "jax_enable_x64", "threefry": "jax_threefry_partitionable"}[what]
        jax.config.update(name, not getattr(jax.config, name))
    try:
        with pytest.raises(aejax.InputError, match=message):
            aejax.sweep(config, out=tmp_path / "run", resume=True)
    finally:
        if what in ("x64", "threefry"):
            jax.config.update(name, not getattr(jax.config, name))
    if what == "XLA_FLAGS":  # where members lie is part of no digit
        flag = "--xla_force_host_platform_device_count=7"
        monkeypatch.setenv("XLA_FLAGS", f"{flags} {flag}")
        aejax.sweep(config, out=tmp_path / "run", resume=True)


@pytest.mark.any_jax
def test_a_full_disk_keeps_what_was_there(tmp_path, whole, often, monkeypatch):
    out, writes, real = tmp_path / "run", iter(range(10**9)), os.fsync

    def full_after_a_while(file):
        if next(writes) >= 6:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(file)

    monkeypatch.setattr(os, "fsync", full_after_a_while)
    with pytest.raises(aejax.InputError, match="No space left.*--resume"):
        sweep(out)
    monkeypatch.setattr(os, "fsync", real)
    assert_same(sweep(out, resume=True), whole)


def test_an_unwritable_checkpoint_is_one_clear_error(tmp_path):
    store = checkpoint.Store(tmp_path / "population", print)
    state = {"w": np.arange(3.0)}
    store.save(1, state, final=False)
    shutil.rmtree(tmp_path / "population")
    (tmp_path / "population").write_text("in the way")
    with pytest.raises(aejax.InputError, match="cannot be written"):
        store.save(2, state, final=False)
    store.close()


def test_checkpoints_of_other_shapes_are_refused(tmp_path):
    """And good results of another program are not deleted as if they were damaged."""
    store = checkpoint.Store(tmp_path / "population", print)
    state = {"w": np.arange(3.0)}
    store.save(1, state, final=False)
    for like in ({"w": np.zeros(4)}, {"v": np.zeros(3)}):
        with pytest.raises(aejax.InputError, match="other names or shapes"):
            store.restore(lambda meta, like=like: like)
    restored, _ = store.restore(lambda meta: state)
    np.testing.assert_array_equal(restored["w"], state["w"])
    store.close()


@pytest.mark.any_jax
def test_a_second_writer_is_refused(tmp_path):
    with (
        directory.Directory(tmp_path / "run"),
        pytest.raises(aejax.InputError, match="another process"),
    ):
        directory.Directory(tmp_path / "run")
    with directory.Directory(tmp_path / "run"):
        pass
