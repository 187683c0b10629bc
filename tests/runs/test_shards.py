"""P10: a run in shards is byte for byte the one that is trained whole."""

import json
import shutil

import jax
import numpy as np
import pytest

import aejax
from aejax import config as configs
from aejax.engines import cut, driver, engine, shard
from aejax.runs import directory, plan
from tests.runs import common
from tests.runs.common import (
    AXES,
    CONFIG,
    Inline,
    assert_same,
    in_shards,
    stop_after,
)

pytestmark = pytest.mark.usefixtures("one_device", "users_generator")
BASE = aejax.Config(**CONFIG)


def sweep(out, workers, **more):
    return in_shards(BASE, AXES, out, workers, **more)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, as_for_users):
    """The same in one process."""
    with as_for_users():
        return common.sweep(tmp_path_factory.mktemp("runs") / "whole")


@pytest.fixture(scope="module")
def sharded(tmp_path_factory, as_for_users):
    """A finished run of two workers."""
    with as_for_users():
        return sweep(tmp_path_factory.mktemp("runs") / "run", Inline(2))


def test_rows_and_parameters_are_those_of_the_whole(sharded, whole):
    assert sharded.info["finished"] and len(sharded.info["shards"]) > 2
    assert_same(sharded, whole)
    opened = aejax.open_run(sharded.dir)
    assert opened.problems == [] and opened.rows == whole.rows
    for ours, theirs in zip(opened.best(), whole.best(), strict=True):
        assert ours.config == theirs.config
        x = whole.dataset().test.x[:3] / 16
        np.testing.assert_array_equal(ours.encode(x), theirs.encode(x))


def test_lost_workers_and_stops_change_nothing(tmp_path, whole, often):
    out = tmp_path / "run"
    assert not sweep(out, Inline(2, lost=2), should_stop=stop_after(3)).info["finished"]
    assert list(out.glob("shards/*/checkpoints/*/*"))
    # With another number of workers the shards stay those of the first.
    assert_same(sweep(out, Inline(5, lost=1), resume=True), whole)
    assert not (out / shard.LEASE).exists() and not (out / shard.STOP).exists()


@pytest.mark.any_jax
def test_a_damaged_shard_is_trained_again(sharded, whole, tmp_path):
    shutil.copytree(sharded.dir, out := tmp_path / "run")
    rows = directory.shard_folder(out, 1) / "results.jsonl"
    rows.write_text(rows.read_text().replace("0.", "1.", 1))
    workers = Inline(1)
    assert_same(sweep(out, workers, resume=True), whole)
    assert workers.calls["train"] == 1


@pytest.mark.any_jax
def test_a_worker_that_always_ends_is_told(tmp_path):
    with pytest.raises(configs.InputError, match="has ended 4 workers.*enough memory"):
        sweep(tmp_path / "run", Inline(1, lost=9))


def test_shares_without_a_driver_are_merged(tmp_path, whole):
    out, planned = tmp_path / "run", plan.plan(BASE, AXES)
    quiet = (lambda event: None), (lambda: False)

    def share(number, resume=False, stop=quiet[1]):
        asked = driver.Settings(out, resume)
        return driver.share(
            BASE, AXES, planned, asked, (number, 2), jax.devices()[:1], quiet[0], stop
        )

    assert share(0)
    shards = directory.shards(directory.read_info(out))
    others = cut.share(planned.populations, shards, 1, 2)
    listed = ", ".join(map(str, others))
    assert len(others) == len(shards) // 2
    with pytest.raises(configs.InputError, match=f"shards .* not done: {listed};"):
        driver.merge(out)
    assert not share(1, stop=stop_after(1))
    with pytest.raises(configs.InputError, match="share 1/2 .* add --resume"):
        share(1)
    assert share(1, resume=True)
    assert_same(driver.merge(out), whole)
    assert_same(driver.merge(out), whole)


def test_what_differs_from_the_plan_is_refused(sharded, tmp_path):
    shutil.copytree(sharded.dir, out := tmp_path / "run")
    info = directory.read_info(out)
    ours = {"dir": str(out), "token": "1", "variables": {}, "claim": False}

    def answer(**changes):
        text = json.dumps(info | changes)
        (out / "run.json").write_text(text)
        shard.worker.cache_clear()
        return shard.train(shard.Settings(**ours), 0).get("error", "")

    assert answer() == ""
    assert "code of aejax" in answer(code="0")
    changed = {"version of jax": "0.1", "kind of device": "TPU v9"}
    text = answer(inputs=info["inputs"] | changed)
    assert "version of jax" in text and "add --allow-mixed" in text
    del changed["version of jax"]
    assert answer(inputs=info["inputs"] | changed, mixed=True) == ""
    assert "data digits is another" in answer(
        inputs=info["inputs"] | {"data digits": 1}
    )


def test_a_directory_that_workers_do_not_see(tmp_path):
    settings = shard.Settings(str(tmp_path), "token", {}, False)
    assert "all machines share" in shard.facts(settings)["error"]
    (tmp_path / shard.LEASE).write_text("token 1")
    assert shard.facts(settings)["devices"] == 1


def test_runs_begun_otherwise_are_left_alone(sharded, whole, tmp_path):
    with pytest.raises(configs.InputError, match="begun in shards"):
        aejax.sweep(BASE, AXES, out=sharded.dir, resume=True)
    with pytest.raises(configs.InputError, match="holds a run already"):
        sweep(sharded.dir, Inline(1))
    shutil.copytree(whole.dir, out := tmp_path / "run")
    with pytest.raises(configs.InputError, match="begun whole|another configuration"):
        sweep(out, Inline(1), resume=True)


@pytest.mark.any_jax
def test_a_second_driver_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "BEAT", 0.01)
    (lease := tmp_path / shard.LEASE).write_text("other 1")
    engine.Lease(tmp_path).__exit__()  # one that was killed: nobody renews it
    lease.write_text("other 1")
    beat = lambda seconds: lease.write_text("other 2")  # noqa: E731
    monkeypatch.setattr(engine.time, "sleep", beat)
    with pytest.raises(configs.InputError, match="another driver is at work"):
        engine.Lease(tmp_path)


@pytest.mark.any_jax
def test_a_worker_whose_driver_is_gone_stops(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(shard.time, "monotonic", lambda: now[0])
    (lease := tmp_path / shard.LEASE).write_text("driver 1")
    ours = shard.Progress(tmp_path, tmp_path, "driver")

    def stops(seconds):
        now[0] += seconds
        return ours.should_stop()

    assert not stops(50)
    lease.write_text("driver 2")
    assert not stops(50)
    assert stops(70), "silent for more than a minute"
    lease.write_text("driver 3")
    assert not stops(1)
    lease.write_text("another 1")
    assert stops(1), "it has given the shard to somebody else"
    (tmp_path / shard.STOP).touch()
    assert shard.Progress(tmp_path, tmp_path, "driver").should_stop()
    # A share has no driver: what one has left behind does not concern it.
    assert not shard.Progress(tmp_path, tmp_path, None).should_stop()


@pytest.mark.any_jax
@pytest.mark.parametrize("workers", [1, 2, 7])
@pytest.mark.parametrize("each", [1, 4])
def test_shards_hold_every_member_once(workers, each):
    planned = plan.plan(BASE, AXES | {"seed": list(range(9))}).populations
    shards = cut.cut(planned, workers, each)
    for population in planned:
        of = [s for s in shards if s.population == population.index]
        members = [i for s in of for i in range(s.low, s.high)]
        assert members == list(range(len(population.members)))
        sizes = [s.high - s.low for s in of]
        assert sizes == sorted(sizes, reverse=True), "what the first compiles serves"
        assert all(size % each == 0 for size in sizes[:-1])
    shares = [cut.share(planned, shards, i, workers) for i in range(workers)]
    assert sorted(sum(shares, [])) == list(range(len(shards)))
    loads = [sum(shards[i].high - shards[i].low for i in one) for one in shares]
    largest = max(s.high - s.low for s in shards)
    assert max(loads) - min(loads) <= largest


@pytest.mark.any_jax
def test_the_first_of_a_population_compiles_alone():
    """Thousands of shards, answered at once: the driver's own work."""
    todo = {i: directory.Shard(i % 3, i, i + 1) for i in range(2000)}
    answered, widths = set(), set()

    class Fake(Inline):
        def submit(self, function, settings, number):
            first = [n for n in todo if n % 3 == number % 3][0]
            assert number == first or first in answered
            return number

        def result(self, number):
            widths.add(self.most)
            answered.add(number)
            return {"finished": True}

    settings = shard.Settings("", "", {}, False)
    got = engine.answers(Fake(8), settings, todo, lambda running: False)
    assert sorted(n for n, _ in got) == list(todo) and max(widths) == 8


@pytest.mark.any_jax
def test_others_begin_when_the_first_has_compiled():
    """They need not wait until it is trained, which is a large part of all."""
    todo = {i: directory.Shard(0, i, i + 1) for i in range(5)}
    trains, widths = set(), []

    class Fake(Inline):
        def submit(self, function, settings, number):
            return number

        def wait(self, handles, seconds):
            widths.append(len(handles))
            return handles[:1] if len(widths) > 3 else []

        def result(self, number):
            return {"finished": True}

    def idle(running):
        if len(widths) == 2:
            trains.update(running)

    settings, asked = shard.Settings("", "", {}, False), (idle, lambda number: ())
    got = engine.answers(Fake(3), settings, todo, *asked, trains.__contains__)
    assert [n for n, _ in got] == list(todo)
    assert widths[:4] == [1, 1, 3, 3]


def claiming(workers):
    """An engine whose workers have a core each."""
    engine = Inline(workers)
    engine.claim = True
    return engine


@pytest.mark.parametrize(
    ("threads", "workers", "members", "devices"),
    [(2, 2, 35, 2), (2, 2, 9, 1), (64, 2, 70, 8), (1, 1, 70, 1), (64, 64, 70, 1)],
)
@pytest.mark.any_jax
def test_workers_devices_are_threads_of_the_pool(threads, workers, members, devices):
    one = plan.plan(BASE, {"seed": list(range(members))})
    known = driver._virtual(one, claiming(workers), {"PJRT_NPROC": str(threads)})
    assert known == {"PJRT_NPROC": str(threads), "JAX_NUM_CPU_DEVICES": str(devices)}
    given = {"JAX_NUM_CPU_DEVICES": "3"}
    assert driver._virtual(one, claiming(workers), given) == given, "the user's own"
    assert driver._virtual(one, Inline(workers), given) is given
