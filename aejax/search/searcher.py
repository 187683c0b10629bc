"""``search``: generations of trials, each trained as members of compiled programs.

A generation is asked of a study as a whole, trained, and told. Its trials lie in
populations of the search's few programs, which were compiled for the extremes of the
space: nothing is compiled after the first generation. A population is a shard, a run
directory of its own with exact resume; the run of the search has the rows of all.
"""

import pathlib
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax

from aejax import config as configs
from aejax import settings
from aejax.engines import gather
from aejax.engines import part as parts
from aejax.runs import admission, faults, halving, provenance, record
from aejax.runs import directory as directories
from aejax.runs import plan as plans
from aejax.runs import run as runs
from aejax.runs import sources as run_sources
from aejax.search import goal as goals
from aejax.search import space as spaces
from aejax.search import study as studies
from aejax.training import population as populations
from aejax.training import program as programs

DATABASE = "study.db"  # in the run's directory


@settings.usual()
def search(
    config: configs.Config,
    entries: Mapping[str, spaces.Entry],
    seeds: Sequence[int] = (0,),
    settings: goals.Settings = goals.Settings(),  # noqa: B008  (immutable)
    *,
    out: Any,
    resume: bool = False,
    devices: Sequence[jax.Device] | None = None,
    vmap: int | None = None,
    on_event: Callable[[dict[str, Any]], None] = lambda event: None,
    should_stop: Callable[[], bool] = lambda: False,
    command: str | None = None,
) -> runs.Run:
    """Searches for the settings of lowest validation error.

    Args:
      config: everything that is not searched.
      entries: {field of Config or hyperparameter: a Range, or values to choose from}.
      seeds: with which each trial is trained; its value is their mean.
      settings: how.
      out: directory of the run.
      resume: go on where the run in ``out`` stopped; a fresh one if there is none.
      devices, vmap, on_event, should_stop, command: as of ``aejax.sweep``. Events of
        kind "generation" tell how many trials are done, and the best.

    Returns:
      A Run, whose ``info["search"]`` says which members are which trial;
      ``info["finished"]`` is False if it was stopped.

    Raises:
      InputError: bad input, a directory that holds another run, another's study.
    """
    out, devices = pathlib.Path(out).expanduser().resolve(), devices or jax.devices()
    space = spaces.Space(config, entries, seeds)
    goal = goals.Goal(space, settings, run_sources.Sources())
    admission.place(out, resume)
    with faults.explained(out), directories.Directory(out) as locked:
        one = Search(goal, locked, devices, vmap, command)
        one.run(on_event, should_stop)
    return one.log.run(config, {})


class Search:
    """One run of a search, in a locked directory.

    Attributes:
      log: the run's files.
    """

    def __init__(
        self,
        goal: goals.Goal,
        directory: directories.Directory,
        devices: Sequence[jax.Device],
        vmap: int | None,
        command: str | None,
    ):
        self.goal, self.dir, self._devices = goal, directory.dir, list(devices)
        frames = plans.Plan(goal.frames, goal.sources)
        faults.check_memory(goal.frames, devices)
        if goal.rule:
            vmap = vmap or halving.batch(goal.rule, goal.frames, devices)
        inputs = provenance.inputs(frames, devices, vmap)
        # As many of a program's members are computed with at once in all generations.
        self._vmap = dict(zip(goal.frames, inputs["vmap"], strict=True))
        about = goal.about(inputs)
        old = self._before(inputs, about)
        facts = old.get("search", {"run": uuid.uuid4().hex, "trials": []})
        self.study = self._open_study(facts, about)
        info = provenance.describe(
            goal.space.base, {}, frames, devices, inputs, command
        )
        planned = self._populations(old)
        info |= {"columns": goal.columns, "search": self._asked(about) | facts}
        info |= gather.growing(planned)
        if goal.rule:
            info["halving"] = goal.rule.to_json(goal.space.base)
        self._programs: dict[int, programs.Program] = {}
        self._valid: dict[int, list] = {}  # rows by member
        whole = plans.Plan(planned, goal.sources, goal.columns)
        self.log = gather.Gathered(whole, info, directory, None)
        self._keep(self.log.rows)
        rungs = goal.rule.epochs(goal.space.base) if goal.rule else ()
        self._measure = goal.minimize, goal.space.base, rungs

    def _open_study(self, facts: Mapping[str, Any], about: Any) -> studies.Study:
        given, numbers = self.goal.settings, [n for n, _ in facts["trials"]]
        url = given.storage or f"sqlite:///{self.dir / DATABASE}"
        sampler = given.sampler, given.sampler_seed
        who = given.study, facts["run"], sampler
        return studies.Study(url, *who, about, numbers, bool(given.storage))

    @property
    def _trials(self) -> list[list[int]]:
        """[number of a trial, its first member] of all that have members."""
        return self.log.info["search"]["trials"]

    def _asked(self, about: Mapping[str, Any]) -> dict[str, Any]:
        """What this run has to say the same of when it goes on."""
        return {**about, "population": self.goal.settings.population}

    def _before(
        self, inputs: Mapping[str, Any], about: Mapping[str, Any]
    ) -> dict[str, Any]:
        """run.json of an earlier part of the search, if it may be gone on with."""
        if not (self.dir / "run.json").is_file():
            return {}
        asked = self._asked(about)
        info = directories.read_info(self.dir)
        known = info.get("search", {})
        if known and not _is_whole(known, info["members"], len(self.goal.space.seeds)):
            raise configs.InputError(
                f"'{self.dir}/run.json' is damaged: it does not say which members are "
                "which trial"
            )
        old = {n: v for n, v in known.items() if n in asked}
        if known and (changed := studies.differences(old, asked)):
            raise configs.InputError(
                f"--resume: the search in '{self.dir}' is another: "
                f"{'; '.join(changed)}; repeat its settings, or give another --out"
            )
        what = self.goal.space.base, {}, True, inputs, about["halving"]
        admission.check(self.dir, *what, "as a search")
        return info

    def _populations(
        self, info: Mapping[str, Any]
    ) -> tuple[populations.Population, ...]:
        """Those of an earlier part, as this one makes them."""
        make, known = self.goal.population, record.read(info, self.dir) if info else ()
        return tuple(
            make(p.index, p.numbers.start, [m.config for m in p.members]) for p in known
        )

    def run(
        self,
        on_event: Callable[[dict[str, Any]], None],
        should_stop: Callable[[], bool],
    ) -> None:
        """Asks, trains and tells until all trials are done, or it should stop."""
        while True:
            for number in self.log.todo():
                if not self._train(number, on_event, should_stop):
                    self.log.end(False)
                    return
            self._tell(on_event)
            if should_stop() or not self._ask():
                break
        self.log.end(len(self._trials) >= self.goal.settings.trials)

    def _ask(self) -> bool:
        """A generation: its trials become members of new populations, if any."""
        given, numbers = self.goal.settings, {n for n, _ in self._trials}
        wanted = min(given.population, given.trials - len(numbers))
        if wanted < 1:
            return False
        waiting = self.study.waiting(self.goal.space)  # asked before a kill
        trials = [t for t in waiting if t.number not in numbers][:wanted]
        while len(trials) < wanted:
            trials.append(self.study.ask(self.goal.space))
        planned, places = self.goal.generation(trials, self.log.planned)
        self._trials.extend(places)
        self.log.extend(planned)
        return True

    def _train(
        self,
        number: int,
        on_event: Callable[[dict[str, Any]], None],
        should_stop: Callable[[], bool],
    ) -> bool:
        """A population of a generation, into a directory of its own; whether done."""
        goal, population = self.goal, self.log.planned[number]
        frame, where = population.whole, directories.shard_folder(self.dir, number)
        planned = plans.Plan((population,), goal.sources, goal.columns)
        inputs = provenance.inputs(planned, self._devices, self._vmap[frame])
        warned: list[str] = []

        def say(event: dict[str, Any]) -> None:
            if event["kind"] == "warn":
                warned.append(event["text"])
            else:
                on_event(event)

        asked, made = (population.spec.config, {}), (self._devices, inputs)
        how = self._build, say, should_stop
        log = parts.train(where, planned, asked, made, *how, rule=goal.rule)
        done = bool(log.info["finished"])
        self.log.take(number, parts.answer(log, done, warned))
        if done:
            self._keep(log.rows)
        return done

    def _build(self, population: populations.Population) -> programs.Program:
        frame = population.whole
        if frame.index not in self._programs:
            self._programs[frame.index] = programs.Program(
                frame, self._devices, self._vmap[frame]
            )
        return self._programs[frame.index]

    def _keep(self, rows: Sequence[Mapping[str, Any]]) -> None:
        for row in rows:
            if row["split"] == "valid":
                self._valid.setdefault(row["member"], []).append(row)

    def _tell(self, on_event: Callable[[dict[str, Any]], None]) -> None:
        """The outcomes of all trials that the study does not know yet."""
        step, best = len(self.goal.space.seeds), []
        waiting = {t.number for t in self.study.waiting(self.goal.space)}
        for number, first in self._trials:
            rows = {m: self._valid[m] for m in range(first, first + step)}
            outcome = goals.outcome(*self._measure, rows)
            if number in waiting:
                self.study.tell(number, outcome)
            if outcome.values and len(outcome.values) == 1:
                best.append((outcome.values[0], number))
        on_event(
            {
                "kind": "generation",
                "trials": len(self._trials),
                "of": self.goal.settings.trials,
                "best": min(best, default=None),
            }
        )


def _is_whole(known: Any, members: int, size: int) -> bool:
    """Whether the entry of run.json is as it was written."""
    if not isinstance(known, Mapping) or not isinstance(known.get("run"), str):
        return False
    firsts = range(0, members, max(size, 1))
    return isinstance(known.get("trials"), list) and all(
        isinstance(one, list)
        and [type(v) for v in one] == [int, int]
        and one[1] in firsts
        for one in known["trials"]
    )
