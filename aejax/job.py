"""A sweep from its first program to its last row: compile, train, evaluate, save."""

import concurrent.futures
import time
from collections.abc import Mapping
from typing import Any

import jax

from aejax import checkpoint, evaluate, outside, pace, population, provenance, results
from aejax import directory as directories
from aejax import feed as feeds
from aejax import group as groups
from aejax import lane as lanes

SAVE_EVERY = 10.0  # seconds between two checkpoints of a group, at least


class Job:
    """One call of ``sweep``: the counters and the place that rows go to."""

    def __init__(self, run, on_rows, on_event, should_stop):
        self.run, self.directory = run, None
        self.on_rows, self.on_event, self.should_stop = on_rows, on_event, should_stop
        self.stopped = False
        self.spent = provenance.Spent()
        self.seals: dict[int, list[int]] = {}  # of each group's rows
        self.saved: dict[int, list[int]] = {}  # the same, as its checkpoint has it
        self.metrics = results.metric_columns(run.planned)

    def run_all(self, devices: list[jax.Device], lane_batch: int | None) -> None:
        run = self.run
        restored, rows = self.committed()
        if self.directory:
            self.spent = provenance.spent_before(self.directory.dir)
        run.info |= provenance.describe(run, devices)
        self.write_info()  # before the rows: rows without it are no run
        run.rows = rows
        if self.directory:
            self.directory.rewrite(rows)
        todo = [g for g in run.planned if not restored[g.index][1].get("final")]
        before = provenance.cache_entries()
        self.say("compile", programs=len(todo))
        finished = True
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            built = {}
            for g in todo:
                make = population.Population, g, devices, lane_batch
                built[g.index] = pool.submit(*make)
                # The first has the machine to itself: it trains while the others
                # compile, and tracing holds Python's lock.
                concurrent.futures.wait(list(built.values())[:1])
            try:
                for group in run.planned:
                    state, meta = restored.pop(group.index)
                    if meta.get("final"):
                        run.keep(group, state)
                        continue
                    one = built.pop(group.index).result()
                    self.spent.add_compilation(*one.compiled)
                    self.spent.trace_s += one.trace_s
                    self.stopped = self.stopped or self.should_stop()
                    finished = not self.stopped and self.train_group(one, state, meta)
                    if not finished:
                        break
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
        run.info["cache"] = provenance.cache_state(before, bool(todo))
        if finished:
            self.finish()
        self.write_info()

    def warn(self, text: str) -> None:
        self.say("warn", text=text)

    def committed(self) -> tuple[dict[int, tuple[Any, dict]], list[dict[str, Any]]]:
        """{group: newest usable checkpoint, its facts} and the rows these commit.

        What a kill left beyond is done again; so is what was damaged since.
        """
        restored, kept = {}, []
        saved = directories.read_rows(self.run.dir) if self.directory else []
        for group in self.run.planned:
            mine = directories.of_lanes(saved, group.numbers)

            def until(meta: Mapping[str, Any], mine=mine) -> list[dict[str, Any]]:
                splits = lanes.SPLITS if meta.get("final") else lanes.SPLITS[:2]
                step = meta.get("step", -1)
                return [r for r in mine if r["step"] <= step and r["split"] in splits]

            def reason(meta: Mapping[str, Any], until=until) -> str | None:
                whole = directories.seal(until(meta)) == meta["rows"]
                told = "its rows in results.jsonl are missing, doubled or changed"
                return None if whole else told

            found = self.run.restore(group, self.warn, reason)
            restored[group.index] = found
            kept += (rows := until(found[1]))
            self.seals[group.index] = directories.seal(rows)
            if found[1]:
                self.saved[group.index] = self.seals[group.index]
        return restored, kept

    def train_group(
        self, lanes_on: population.Population, state: Any, meta: Mapping[str, Any]
    ) -> bool:
        """Trains one population to its last step, unless stopped before; saves it."""
        group = lanes_on.group
        recipe = group.recipe
        lanes_on.place(state)
        feed = feeds.Feed(lanes_on)
        timer = pace.Pace(recipe.unit, recipe.pass_steps, lanes_on.rounds)
        store = self.directory and checkpoint.Store(
            directories.checkpoints(self.run.dir, group.index), self.warn
        )
        saved = time.monotonic()
        step = meta.get("step", -1)
        every = self.run.config.eval_every * recipe.epoch_steps
        losses: list[float] = []
        try:
            while step < recipe.steps and not self.stopped:
                at = max(step, 0)
                goal = min(recipe.steps, (at // every + 1) * every)
                visit = at // recipe.pass_steps
                streams = group.source.blocks > 1
                bound = min(goal, (visit + 1) * recipe.pass_steps) if streams else goal
                stop = timer.next_stop(at, bound)
                which = int(stop == goal)
                out = self.advance(lanes_on, timer, feed(visit), step, stop, which)
                if out is None:
                    break
                step = stop
                if which:
                    losses += self.add_rows(lanes_on, out, step, ("train", "valid"))
                self.progress(group, step, min(losses, default=None))
                self.stopped = self.should_stop()
                due = time.monotonic() - saved > SAVE_EVERY or self.stopped
                if store and due and step < recipe.steps:
                    self.save(store, group, step, lanes_on.host_state(), False)
                    self.write_info()
                    saved = time.monotonic()
            if step < recipe.steps:
                return False
            out = self.advance(lanes_on, timer, feed.last, step, step, 2, force=True)
            self.add_rows(lanes_on, out, step, ("test",))
            state = lanes_on.host_state()
            final = {"params": state.best or state.params, "diverged": state.diverged}
            self.run.keep(group, final)
            if store:
                self.save(store, group, step, final, True)
            return True
        finally:
            feed.close()
            if store:
                store.close()

    def save(self, store, group: groups.Group, step: int, state: Any, final: bool):
        """Commits a group's state, and the rows that it has so far."""
        rows = self.seals[group.index]
        store.save(step, state, final=final, rows=rows)
        self.saved[group.index] = rows

    def advance(self, lanes_on, timer, data, start, stop, which, force=False):
        """All rounds from start to stop, in as many dispatches as are due."""
        group = lanes_on.group
        # An evaluation costs about a third of a training step per example.
        size = group.recipe.config.batch_size
        files = {n: getattr(group.recipe.config, n) for n in ("objective", "network")}
        rows = sum(group.source.lengths[:2]) if which == 1 else group.source.lengths[2]
        work = stop - max(start, 0) + (rows / size / 3 if which else 0)
        metrics, diverged, low = 0.0, None, 0
        while low < lanes_on.rounds:
            rounds = timer.next_rounds(low, work)
            began = time.perf_counter()
            with outside.blamed("its program fails", **files):
                some, diverged = lanes_on.advance(data, start, stop, which, rounds)
            spent = time.perf_counter() - began
            timer.learn(spent, len(rounds), work)
            self.spent.train_s += spent
            metrics, low = metrics + some, rounds.stop
            if low < lanes_on.rounds and not force and self.should_stop():
                # Lanes are at different steps: the last checkpoint is what counts.
                self.stopped = True
                return None
        steps = (stop - max(start, 0)) * len(group.lanes)
        self.spent.lane_steps += steps
        self.spent.images += steps * size
        return metrics, diverged

    def add_rows(self, lanes_on, out, step: int, splits) -> list[float]:
        """Rows of one evaluation; returns the validation losses of the lanes."""
        where = {"step": step, "splits": splits, "every": self.metrics}
        rows = results.rows(lanes_on.group, lanes_on.group.metrics, *out, **where)
        self.run.rows += rows
        if self.directory:
            self.directory.append(rows)
            index = lanes_on.group.index
            self.seals[index] = directories.seal(rows, self.seals[index])
        if self.on_rows:
            self.on_rows(rows)
        losses = [r["loss"] for r in rows if r["split"] == "valid"]
        return [v for v in losses if v is not None]

    def progress(self, group: groups.Group, step: int, best: float | None) -> None:
        done = self.spent.lane_steps / max(self.spent.train_s, 1e-9)
        left = (group.recipe.steps - step) * len(group.lanes)
        self.say(
            "train",
            group=group.index,
            step=step,
            steps=group.recipe.steps,
            lanes=len(group.lanes),
            steps_per_s=done,
            images_per_s=self.spent.images / max(self.spent.train_s, 1e-9),
            seconds_left=left / max(done, 1e-9),
            best_valid=best,
        )

    def say(self, kind: str, **facts: Any) -> None:
        self.on_event({"kind": kind} | facts)

    def finish(self) -> None:
        """The table over seeds, with PCA beside it."""
        run = self.run
        # As if no group had had to be trained again after a later one.
        place = {i: g.index for g in run.planned for i in g.numbers}
        ordered = sorted(run.rows, key=lambda row: place[row["lane"]])
        if self.directory and ordered != run.rows:
            self.directory.rewrite(ordered)
        run.rows = ordered
        columns = list(run.planned[0].lanes[0].columns)
        parameters = {m.index: m.parameters for g in run.planned for m in g.lanes}
        run.summary = results.summary(run.rows, columns, self.metrics, parameters)
        run.summary += evaluate.baseline(run.planned, list(run.summary[0]))
        if self.directory:
            run.info["summary"] = self.directory.write_summary(run.summary)
        run.info["finished"] = True

    def write_info(self) -> None:
        self.run.info |= provenance.speeds(self.spent)
        self.run.info["sealed"] = [
            [group.numbers.start, len(group.lanes), *self.saved[group.index]]
            for group in self.run.planned
            if group.index in self.saved
        ]
        if self.directory:
            self.directory.write_info(self.run.info)
