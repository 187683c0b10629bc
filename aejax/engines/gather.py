"""The rows of shards, gathered into the files of one run."""

import contextlib
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from aejax import config as configs
from aejax.engines import shard as shards
from aejax.runs import directory as directories
from aejax.runs import halving, provenance, record, results
from aejax.runs import plan as plans
from aejax.runs import run as runs
from aejax.training import population as populations

SAVE_EVERY = 10.0  # seconds between two writes of run.json, at least
EVERY = 2.0  # seconds between two looks at how far workers are


def growing(planned: Sequence[populations.Population]) -> dict[str, Any]:
    """Entries of run.json of these populations, each a shard."""
    shards = [[p.index, 0, len(p.members)] for p in planned]
    count = sum(len(p.members) for p in planned)
    return record.write(planned) | {"shards": shards, "members": count}


class Gathered:
    """Rows of shards, as they end, and the run's files that are made of them."""

    def __init__(
        self,
        planned: plans.Plan,
        info: dict[str, Any],
        directory: directories.Directory,
        on_event: Callable[[dict[str, Any]], None] | None,
        on_rows: Callable[[list[dict[str, Any]]], None] = lambda rows: None,
    ):
        self.info, self._plan, self._directory = info, planned, directory
        self._shards = directories.shards(info)
        self._on_event, self._best = on_event or (lambda event: None), None
        self._on_rows = on_rows
        self._rows: dict[int, list[dict[str, Any]]] = {}
        self._done: set[int] = set()  # shards that are trained to the end
        self._trained: dict[int, int] = {}  # member-steps of each
        self._race: halving.Race | None = None
        self._times: dict[int, Mapping[str, Any]] = {}  # what each has taken so far
        self._driven = on_event is not None
        self._train_s = 0.0
        if self._driven:  # by the clock: workers train beside each other
            self._train_s = provenance.spent_before(directory.dir).train_s
        self.summary: list[dict[str, Any]] = []
        for number in range(len(self._shards)):
            if (rows := self._finished(number)) is not None:
                self._keep(number, rows)
                self._done.add(number)
        self._began = self._started = self._reported = time.monotonic()
        self._before = sum(self._steps(n, ()) for n in self._rows)
        self._write_info()
        directory.rewrite(self.rows)
        self._saved = time.monotonic()
        programs = len(planned.populations)
        said = {"kind": "compile", "programs": programs, "planned": planned}
        self._on_event(said)

    def _keep(self, number: int, rows: list[dict[str, Any]]) -> None:
        self._rows[number] = rows
        last = {row["member"]: row["step"] for row in rows}
        self._trained[number] = sum(last.values())

    @property
    def planned(self) -> tuple[populations.Population, ...]:
        """All so far."""
        return self._plan.populations

    def extend(self, planned: Sequence[populations.Population]) -> None:
        """Further populations, a shard each, of a run that grows."""
        self._plan = self._plan._replace(populations=(*self.planned, *planned))
        self.info |= growing(self.planned) | {"finished": False}
        self._shards = directories.shards(self.info)
        self._write_info()  # before any of them can have a directory

    @property
    def rows(self) -> list[dict[str, Any]]:
        """All so far, in the order of a run that is trained whole."""
        rows = [row for number in sorted(self._rows) for row in self._rows[number]]
        return results.ordered(rows, self._plan.populations)

    def todo(self) -> dict[int, directories.Shard]:
        """Shards that are not done."""
        known = enumerate(self._shards)
        return {n: shard for n, shard in known if n not in self._done}

    def legs(self) -> Iterator[int | None]:
        """The rungs of successive halving, if there is any, and None: the end."""
        if rule := halving.of_info(self.info):
            self._race = halving.Race(rule, self.planned, lambda: self.rows)
            yield from self._race.epochs
        yield None

    def stopped(self) -> dict[int, dict[str, int]]:
        """{shard: {member: the epoch at which it was stopped}} of the rows so far."""
        epochs = self._race.stopped() if self._race else {}
        known: dict[int, dict[str, int]] = {}
        for number, (_, low, high) in enumerate(self._shards):
            first = self._first(number)
            numbers = range(first, first + high - low)
            known[number] = {str(m): epochs[m] for m in numbers if m in epochs}
        return known

    def _finished(self, number: int) -> list[dict[str, Any]] | None:
        """The rows of a shard that its directory says is finished, and sound."""
        where = directories.shard_folder(self._directory.dir, number)
        if not (where / "run.json").is_file():
            return None
        try:
            info = directories.read_info(where)
        except configs.InputError:  # its worker will say so
            return None
        rows = directories.read_rows(where)
        if not info["finished"] or directories.problems(where, info, rows):
            return None
        self._times[number] = info
        return rows

    def take(
        self, number: int, answer: Mapping[str, Any], epoch: int | None = None
    ) -> None:
        """Writes down what a worker has answered, of a rung or of the end."""
        for text in answer["warnings"]:
            self._on_event({"kind": "warn", "text": f"shard {number}: {text}"})
        if not answer["finished"]:
            return
        self._times[number] = answer
        if epoch is None:
            self._done.add(number)
        before, rows = len(self._rows.get(number, ())), answer["rows"]
        self._keep(number, rows)
        self._directory.append(rows[before:])
        self._on_rows(rows[before:])
        losses = [r["loss"] for r in rows if r["split"] == "valid"]
        losses = [v for v in (*losses, self._best) if v is not None]
        self._best = min(losses, default=None)
        if time.monotonic() > self._saved + SAVE_EVERY:
            self._saved = time.monotonic()
            self._write_info()

    def begun(self, number: int) -> bool:
        """Whether a shard's worker has compiled, and trains."""
        return self._progress(number).is_file()

    def _progress(self, number: int) -> pathlib.Path:
        return directories.shard_folder(self._directory.dir, number) / shards.PROGRESS

    def progress(self, running: Sequence[int]) -> None:
        """Tells how far all workers are, every other second."""
        if time.monotonic() < self._reported + EVERY:
            return
        self._reported = time.monotonic()
        counts = [self._steps(n, running) for n in range(len(self._shards))]
        rate = (sum(counts) - self._before) / (time.monotonic() - self._started)
        if rate <= 0:  # all compile
            return
        for population in {self._shards[n].population for n in running}:
            whole = self._plan.populations[population]
            done = sum(counts[n] for n in self._of(population))
            count, steps = len(whole.members), whole.spec.steps
            self._on_event(
                {
                    "kind": "train",
                    "population": population,
                    "step": done // count,
                    "steps": steps,
                    "members": count,
                    "steps_per_s": rate,
                    "images_per_s": rate * whole.spec.config.batch_size,
                    "seconds_left": (count * steps - done) / max(rate, 1e-9),
                    "best_valid": self._best,
                }
            )

    def _of(self, population: int) -> list[int]:
        known = enumerate(self._shards)
        return [n for n, shard in known if shard.population == population]

    def _steps(self, number: int, running: Sequence[int]) -> int:
        """Member-steps of a shard so far."""
        _, low, high = self._shards[number]
        step = 0
        if number in self._rows and number not in running:
            return self._trained[number]
        if number in running:
            with contextlib.suppress(OSError, ValueError):
                step = int(self._progress(number).read_text())
        return step * (high - low)

    def end(self, finished: bool = True) -> None:
        """The tables, if all shards are done and no more will come; run.json."""
        rows = self.rows
        self._directory.rewrite(rows)
        if finished and not self.todo():
            self.summary = results.tables(rows, self.info["columns"], self._plan)
            self.info["summary"] = self._directory.write_summary(self.summary)
            self.info["finished"] = True
        self._write_info()

    def run(self, config: configs.Config, axes: Any) -> runs.Run:
        """What is left behind, to read."""
        written = self.info, self.rows, self.summary, self._directory.dir
        plan = {"sources": self._plan.sources, "plan": self._plan.populations}
        return runs.Run(config, axes, *written, **plan)

    def _write_info(self) -> None:
        now = time.monotonic()
        self._train_s += (now - self._began) * self._driven
        self._began = now
        self.info |= provenance.speeds(self._spent())
        self.info["sealed"] = [
            [self._first(number), high - low, *directories.seal(self._rows[number])]
            for number, (_, low, high) in enumerate(self._shards)
            if number in self._done
        ]
        self._directory.write_info(self.info)

    def _spent(self) -> provenance.Spent:
        """What all shards have taken, in all their parts."""
        times = self._times.values()
        spent = provenance.Spent(
            compile_s=sum(t["compile_s"] for t in times),
            trace_s=sum(t["trace_s"] for t in times),
            train_s=self._train_s
            + sum(t["train_s"] for t in times if not self._driven),
        )
        for number, taken in self._times.items():
            self.info["cache"] = taken["cache"]
            config = self.planned[self._shards[number].population].spec.config
            steps = self._trained[number]
            spent.member_steps += steps
            spent.images += steps * config.batch_size
        return spent

    def _first(self, number: int) -> int:
        population, low, _ = self._shards[number]
        return self._plan.populations[population].members[low].index
