"""What is written of a job's events: rows, checkpoints, run.json; and progress."""

import contextlib
import time
from collections.abc import Callable, Generator, Mapping
from typing import Any

from aejax import config as configs
from aejax.runs import checkpoint, halving, job, provenance, results
from aejax.runs import directory as directories
from aejax.runs import plan as plans
from aejax.runs import run as runs
from aejax.training import population as populations
from aejax.training.loop import Phase

# Seconds between two checkpoints of a population, at least: a save takes some tenths.
SAVE_EVERY = 10.0


class Writer:
    """Takes the events of one sweep.

    Attributes:
      info: as in run.json.
      rows: as in results.jsonl, up to now.
      summary: as in summary.csv, when all is done.
      finals: {population: (parameters and diverged, their step)}.
      race: who is stopped, if members are.
    """

    def __init__(
        self,
        planned: plans.Plan,
        info: dict[str, Any],
        on_rows: Callable | None,
        on_event: Callable | None,
        rule: halving.Halving | None = None,
        leg: halving.Leg | None = None,
    ):
        self.info, self.rows, self.summary, self.finals = info, [], [], {}
        self._plan, self._directory = planned, None
        self.race = leg
        if rule:
            known = rule, planned.populations, lambda: self.rows
            self.race = leg or halving.Race(*known)
            self.info["halving"] = rule.to_json(planned.populations[0].spec.config)
        self._on_rows = on_rows or (lambda rows: None)
        self._on_event = on_event or (lambda event: None)
        known = planned.columns or results.metric_columns(planned.populations)
        self._columns, self._began = known, time.perf_counter()
        self._compiled: set[int] = set()
        self._spent = provenance.Spent()
        self._seals: dict[int, list[int]] = {}  # of each population's rows
        self._saved: dict[int, list[int]] = {}  # the same, as its checkpoint has it
        self._store: checkpoint.Store | None = None
        self._save_at, self._saved_step = 0.0, None
        self._best: float | None = None

    def begin(
        self, directory: directories.Directory | None
    ) -> dict[int, tuple[Any, int]]:
        """{population: its committed state and step} of those to train."""
        self._directory = directory
        states, rows, saved = {}, [], []
        if self._directory:
            saved = directories.read_rows(self._directory.dir)
            self._spent = provenance.spent_before(self._directory.dir)
        for population in self._plan.populations:
            state, meta, kept = self._committed(population, saved)
            rows += kept
            if meta.get("final"):
                self.finals[population.index] = state, population.spec.steps
            else:
                states[population.index] = state, meta.get("step", -1)
        self._write_info()  # before the rows: rows without it are no run
        self.rows = rows
        if self._directory:
            self._directory.rewrite(rows)
        self._cache = provenance.cache_entries()
        self._compiles = bool(states)
        self._say("compile", programs=len(states), planned=self._plan)
        return states

    def _committed(
        self, population: populations.Population, saved: list[dict[str, Any]]
    ) -> tuple[Any, dict[str, Any], list[dict[str, Any]]]:
        """A population's newest usable checkpoint, its facts, and the rows it commits.

        What a kill left beyond is done again; so is what was damaged since.
        """
        index, (state, meta) = population.index, (None, {})
        some = directories.of_members(saved, population.numbers)

        def until(meta: Mapping[str, Any]) -> list[dict[str, Any]]:
            phases = [Phase.EVALUATE] + [Phase.TEST] * bool(meta.get("final"))
            splits = [split for phase in phases for split in phase.splits]
            step = meta.get("step", -1)
            return [r for r in some if r["step"] <= step and r["split"] in splits]

        def reason(meta: Mapping[str, Any]) -> str | None:
            whole = directories.seal(until(meta)) == meta["rows"]
            why = "its rows in results.jsonl are missing, doubled or changed"
            return None if whole else why

        if self._directory:
            state, meta = checkpoint.restore(
                self._directory.dir, population, self._warn, reason, read_only=False
            )
        rows = until(meta)
        self._seals[index] = directories.seal(rows)
        if meta:
            self._saved[index] = self._seals[index]
        return state, meta, rows

    def write(
        self, events: Generator[job.Event], should_stop: Callable[[], bool]
    ) -> None:
        """Writes down what happens, to the end or until it should stop and can."""
        stopping = False
        with contextlib.closing(events), contextlib.closing(self):
            for event in events:
                self.take(event)
                stopping = stopping or should_stop()
                if stopping and self.stop(event):
                    break
        self.end()

    def take(self, event: job.Event) -> None:
        """Writes down what has happened."""
        population = event.program.population
        if isinstance(event, job.Compiled):
            # Not for a shard before, nor again after a rung.
            new = population.index not in self._compiled
            self._compiled.add(population.index)
            if new and event.program.compiled[0] > self._began:
                self._spent.add_compilation(*event.program.compiled)
                self._spent.trace_s += event.program.trace_s
            self._save_at, self._best = time.monotonic() + SAVE_EVERY, None
            self._saved_step = None
            self._open(population)
        elif isinstance(event, job.Evaluated):
            self._add_rows(event)
        elif isinstance(event, job.Advanced):
            self._spent.train_s += event.seconds
            self._spent.member_steps += event.steps
            self._spent.images += event.steps * population.spec.config.batch_size
            if event.steps:
                self._progress(event)
                if time.monotonic() > self._save_at:
                    self._save(event)
        elif isinstance(event, job.Paused):
            self._commit(population, event.step, event.state, False)
            self.close()
            self._write_info()
        else:
            steps = population.spec.steps
            self.finals[population.index] = event.final, steps
            self._commit(population, steps, event.final, True)
            self.close()

    def stop(self, event: job.Event) -> bool:
        """Saves, if it can be gone on with from here; whether to end here.

        What lacks only its test is not worth a checkpoint: it is finished.
        """
        if isinstance(event, job.Evaluated):  # its call's Advanced follows
            return False
        if isinstance(event, job.Advanced):
            ended = event.step == event.program.population.spec.steps
            if ended or event.phase == Phase.TEST:
                return False
            self._save(event)
        return True

    def close(self) -> None:
        """Stops what writes checkpoints."""
        if self._store:
            self._store.close()
            self._store = None

    def end(self) -> None:
        """The table over seeds, with PCA beside it, if all is done; run.json."""
        self.info["cache"] = provenance.cache_state(self._cache, self._compiles)
        if self.race:
            self._mark()
        if len(self.finals) == len(self._plan.populations):
            self._finish()
        self._write_info()

    def run(self, config: configs.Config, axes: Any, out: Any) -> runs.Run:
        """What is left behind, to read."""
        written = self.info, self.rows, self.summary, out, self.finals
        plan = self._plan.sources, self._plan.populations
        return runs.Run(config, axes, *written, *plan)

    def _add_rows(self, event: job.Evaluated) -> None:
        population = event.program.population
        rows = results.rows(
            population,
            event.metrics,
            event.diverged,
            step=event.step,
            splits=event.phase.splits,
            columns=self._columns,
        )
        if self.race:  # marked when it ends
            rows = halving.mark(rows, {})
        self.rows += rows
        if self._directory:
            self._directory.append(rows)
            index = population.index
            self._seals[index] = directories.seal(rows, self._seals[index])
        self._on_rows(rows)
        losses = [r["loss"] for r in rows if r["split"] == "valid"]
        losses = [v for v in (*losses, self._best) if v is not None]
        self._best = min(losses, default=None)

    def _save(self, event: job.Advanced) -> None:
        population = event.program.population
        steps = None, population.spec.steps, self._saved_step
        if not self._store or event.step in steps:
            return
        self._commit(population, event.step, event.state(), False)
        self._write_info()
        self._save_at = time.monotonic() + SAVE_EVERY
        self._saved_step = event.step

    def _commit(self, population, step: int, state: Any, final: bool) -> None:
        """Saves a population's state, and the rows that it has so far."""
        if not self._store:  # nobody of it was left to be trained
            self._open(population)
        if self._store:
            rows = self._seals[population.index]
            self._store.save(step, state, final=final, rows=rows)
            self._saved[population.index] = rows

    def _open(self, population: populations.Population) -> None:
        if self._directory:
            self.close()
            path = checkpoint.folder(self._directory.dir, population.index)
            self._store = checkpoint.Store(path, self._warn)

    def _progress(self, event: job.Advanced) -> None:
        population, spent = event.program.population, self._spent
        rate = spent.member_steps / max(spent.train_s, 1e-9)
        left = (population.spec.steps - event.step) * len(population.members)
        self._say(
            "train",
            population=population.index,
            step=event.step,
            steps=population.spec.steps,
            members=len(population.members),
            steps_per_s=rate,
            images_per_s=spent.images / max(spent.train_s, 1e-9),
            seconds_left=left / max(rate, 1e-9),
            best_valid=self._best,
        )

    def _mark(self) -> None:
        """Says in the rows who was stopped, and when."""
        stopped = self.race.stopped()
        self.rows = halving.mark(self.rows, stopped)
        if self._directory:
            self._directory.rewrite(self.rows)

    def _finish(self) -> None:
        ordered = results.ordered(self.rows, self._plan.populations)
        if self._directory and ordered != self.rows:
            self._directory.rewrite(ordered)
        self.rows = ordered
        if not self._plan.columns:  # a shard's rows are a part of the table
            self.summary = results.tables(self.rows, self._columns, self._plan)
            if self._directory:
                self.info["summary"] = self._directory.write_summary(self.summary)
        self.info["finished"] = True

    def _write_info(self) -> None:
        self.info |= provenance.speeds(self._spent)
        self.info["sealed"] = [
            [p.numbers.start, len(p.members), *self._saved[p.index]]
            for p in self._plan.populations
            if p.index in self._saved
        ]
        if self._directory:
            self._directory.write_info(self.info)

    def _warn(self, text: str) -> None:
        self._say("warn", text=text)

    def _say(self, kind: str, **facts: Any) -> None:
        self._on_event({"kind": kind} | facts)
