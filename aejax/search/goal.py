"""What is searched for, checked before anything is written: programs and values."""

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from aejax import config as configs
from aejax.runs import directory as directories
from aejax.runs import halving as halvings
from aejax.runs import plan as plans
from aejax.runs import results
from aejax.runs import sources as run_sources
from aejax.search import space as spaces
from aejax.search import study as studies
from aejax.training import population as populations


class Settings(NamedTuple):
    """How a search goes about it.

    Attributes:
      trials: of this run in all.
      population: trials of a generation, at most.
      minimize: metrics of the validation split, or sums of several, "nll+kl"; by
        default that where all objectives have both, else the error of reconstruction.
      sampler: one of ``study.SAMPLERS``.
      sampler_seed: of what it draws.
      storage: URL of the study's database; a file in the run's directory by default.
      study: its name there.
      halving: stops trials that are behind others of their generation and program.
    """

    trials: int = 64
    population: int = 32
    minimize: tuple[str, ...] = ()
    sampler: str = "tpe"
    sampler_seed: int = 0
    storage: str = ""
    study: str = "aejax"
    halving: halvings.Halving | None = None


class Goal:
    """What is searched for, checked: the space, its programs, what is minimised.

    Attributes:
      frames: a population for each program, of as many members as a generation.
    """

    def __init__(
        self, space: spaces.Space, settings: Settings, data: run_sources.Sources
    ):
        for name in ("trials", "population"):
            if getattr(settings, name) < 1:
                raise configs.InputError(f"--{name} must be at least 1")
        if settings.sampler not in studies.SAMPLERS:
            raise configs.unknown("sampler", settings.sampler, studies.SAMPLERS)
        self.space, self.settings, self.sources = space, settings, data
        plan = space.frames(settings.population * len(space.seeds), data)
        self.frames = plan.populations
        self.columns = tuple(results.metric_columns(self.frames))
        if any(not p.spec.data.sizes[1] for p in self.frames):
            raise configs.InputError("a search needs a validation split")
        given = settings.minimize
        by = (given,) if isinstance(given, str) and given else given
        by = by or (halvings.default_by(self.frames),)
        self.minimize = tuple("+".join(w.strip() for w in b.split("+")) for b in by)
        self._check_comparable()
        for one in self.minimize:
            if not all(one.split("+")):
                raise configs.InputError(f"--minimize {one!r} names no metric")
            halvings.check_terms(f"--minimize {one}", one, space.entries, self.frames)
        self.rule = None
        if rule := settings.halving:
            if len(self.minimize) > 1:
                raise configs.InputError(
                    "--halving compares trials by one value; give one --minimize"
                )
            # A trial's members, its seeds, stand side by side and go on together.
            rule = rule._replace(by=self.minimize[0], repeats=len(space.seeds))
            halvings.check(rule, space.base, space.entries, self.frames)
            self.rule = rule
        first = self.frames[0].members[0].columns
        fixed = (*configs.AXES, "likelihood")
        self._hparams = [n for n in first if n not in fixed]

    def _check_comparable(self) -> None:
        """Refuses to choose among what gives one metric several meanings."""
        shared = ["dataset", "binarize"]
        if {w for one in self.minimize for w in one.split("+")} - {"mse", "error_rate"}:
            shared.append("likelihood")
        for name in shared:
            if len(self.space.entries.get(name, ())) > 1:
                raise configs.InputError(
                    f"values of {name} give {', '.join(self.minimize)} several "
                    "meanings, so that no search can choose among them; search with "
                    "each"
                )

    def about(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """What all who share the study must say the same of, in JSON's types."""
        rule = self.rule and self.rule.to_json(self.space.base)
        about = {
            "configuration": self.space.base.to_json(),
            "space": self.space.to_json(),
            "seeds": self.space.seeds,
            "minimize": self.minimize,
            "halving": rule,
            "sampler": [self.settings.sampler, self.settings.sampler_seed],
            "data": {n: v for n, v in inputs.items() if n.startswith(("data", "file"))},
        }
        return json.loads(json.dumps(about))

    def frame(self, config: configs.Config) -> populations.Population:
        """The one whose program trains this member."""
        return next(
            f
            for f in self.frames
            if spaces.program(f, f.spec.config) == spaces.program(f, config)
        )

    def population(
        self, index: int, first: int, members: Sequence[configs.Config]
    ) -> populations.Population:
        """Members of one frame, numbered from ``first``."""
        frame = self.frame(members[0])
        spec = frame.spec._replace(config=members[0])  # as a planned one has it
        params = frame.state_shapes.params
        some = plans.numbered(spec, members, params, first, self._hparams)
        return populations.Population(index, some, spec, whole=frame)

    def generation(
        self,
        trials: Sequence[studies.Trial],
        before: Sequence[populations.Population],
    ) -> tuple[list[populations.Population], list[list[int]]]:
        """Populations of new trials, one for each program that they need.

        A setting that was trained ``before``, or is twice among them, is trained once.

        Returns:
          The populations, and [number of a trial, its first member] of all trials.
        """
        size = len(self.space.seeds)
        first = {
            _key(m.config): m.index for p in before for m in p.members[::size]
        }  # of each setting
        members = [self.space.configs(t.values) for t in trials]
        keys = [_key(same[0]) for same in members]
        new = {k: m for k, m in zip(keys, members, strict=True) if k not in first}
        planned, count = [], sum(len(p.members) for p in before)
        for frame in self.frames:
            some = [k for k in new if self.frame(new[k][0]) is frame]
            if not some:
                continue
            all_seeds = [one for key in some for one in new[key]]
            index = len(before) + len(planned)
            planned.append(self.population(index, count, all_seeds))
            first |= {key: count + place * size for place, key in enumerate(some)}
            count += len(all_seeds)
        numbers = (t.number for t in trials)
        return planned, [[n, first[k]] for n, k in zip(numbers, keys, strict=True)]


def outcome(
    minimize: Sequence[str],
    config: configs.Config,
    rungs: Sequence[int],
    rows: Mapping[int, Sequence[Mapping[str, Any]]],
) -> studies.Outcome:
    """What the validations of a trial's members {number: rows} say of it."""
    steps: dict[int, float] = {}
    each = list(rows.values())
    lost = any(some[-1]["diverged"] for some in each)
    stopped = any(some[-1].get(directories.STOPPED) is not None for some in each)
    if not lost:
        for epoch in rungs:
            some = [r for rows in each for r in rows if r["epoch"] == epoch]
            steps |= {epoch: mean(minimize[0], some)} if some else {}
    values = None
    if not lost and not stopped:
        best = config.select == "best"  # that was kept
        last = [min(some, key=_loss) if best else some[-1] for some in each]
        values = [mean(one, last) for one in minimize]
    return studies.Outcome(values, steps, list(rows))


def _key(config: configs.Config) -> str:
    """A setting, whatever its seed."""
    return json.dumps(config.replace(seed=0).to_json(), sort_keys=True)


def _loss(row: Mapping[str, Any]) -> float:
    return math.inf if row["loss"] is None else row["loss"]


def mean(by: str, rows: Sequence[Mapping[str, Any]]) -> float:
    """Of a metric, or of a sum of several, over rows of members that are sound."""
    return statistics.fmean(halvings.score(by.split("+"), row) for row in rows)
