"""A run to read: its rows, its summary, its models; in memory or in a directory."""

import dataclasses
import functools
import math
import pathlib
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from aejax import autoencoder, registry
from aejax import config as configs
from aejax import data as datasets
from aejax.exports import origin
from aejax.runs import checkpoint, directory, halving, provenance, record
from aejax.runs import sources as sources_lib
from aejax.training import population as population_lib


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Run:
    """What a sweep leaves behind; ``open_run`` gives the same from a directory.

    What was written does not change; models and data sets are read when they are first
    asked for, and what is wrong with them is added to ``problems``.

    Attributes:
      config, axes: what was asked for.
      info: as in run.json.
      rows: list of dicts, as in results.jsonl.
      summary: list of dicts, as in summary.csv.
      dir: the run's directory, or None.
      finals: {population: (parameters and diverged, their step)} in memory.
      sources: where data sets are loaded from.
      plan: the populations, if they are at hand; else run.json has them.
    """

    config: configs.Config
    axes: Mapping[str, Sequence[Any]]
    info: Mapping[str, Any]
    rows: list[dict[str, Any]]
    summary: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    dir: pathlib.Path | None = None
    finals: Mapping[int, tuple[Any, int]] = dataclasses.field(default_factory=dict)
    sources: sources_lib.Sources = dataclasses.field(
        default_factory=sources_lib.Sources
    )
    plan: tuple[population_lib.Population, ...] | None = None
    _functions: dict[int, dict] = dataclasses.field(default_factory=dict, init=False)
    _read: dict[int, tuple] = dataclasses.field(default_factory=dict, init=False)

    @functools.cached_property
    def populations(self) -> tuple[population_lib.Population, ...]:
        """How it was cut into programs, from run.json: by whatever planner that was."""
        return self.plan or record.read(self.info, self.dir)

    @property
    def swept(self) -> list[str]:
        """Names that members differ in: axes, or what a search has drawn."""
        return [*self.axes, *self.info.get("search", {}).get("space", ())]

    @functools.cached_property
    def stopped(self) -> dict[int, int]:
        """{member: epoch} of those that successive halving has stopped."""
        if not (rule := halving.of_info(self.info)):
            return {}
        return halving.Race(rule, self.populations, lambda: self.rows).stopped()

    @functools.cached_property
    def problems(self) -> list[str]:
        """What of its files is not as it was written, a sentence each, so far."""
        if self.dir is None:
            return []
        tables = directory.problems(self.dir, self.info, self.rows)
        files = provenance.changed_files(self.info)
        return tables + record.problems(self.info, self.dir) + files

    def dataset(self, name: str | None = None) -> datasets.Dataset:
        """The data set of the run, or the one of this name if it has several."""
        known: dict[str, Any] = {}
        for spec in (p.spec for p in self.populations):
            first = known.setdefault(label := registry.label(spec.config.dataset), spec)
            # Series (N, T), which any network takes, rather than sequences of them.
            known[label] = min(first, spec, key=lambda s: len(s.data.shape))
        if name is not None and name not in known:
            raise configs.unknown("data set of this run", name, known)
        config = known[name or next(iter(known))].config
        return self.sources.dataset(config.dataset, sources_lib.in_sequences(config))

    def model(self, **choice: Any) -> autoencoder.Autoencoder:
        """The trained model of the one member that has these axis values.

        Raises:
          InputError: no member or several have them; the message lists what there is.
        """
        return self._model(*self._find(choice, one=True)[0])

    def models(self, **choice: Any) -> list[autoencoder.Autoencoder]:
        """The trained models of all members that have these axis values, in order.

        A set stands for any of its values.

        Raises:
          InputError: no member has them; the message lists what there is.
        """
        return [self._model(*place) for place in self._find(choice)]

    def best(self, **choice: Any) -> list[autoencoder.Autoencoder]:
        """The model of lowest validation error among those that fit, of each kind.

        A kind is everything that is not traced: objective, network, data set, … The
        error is the mse (of tokens the error_rate), of a denoising model that of what
        it restores. The first that fits where there is no validation split.

        Raises:
          InputError: as ``models``.
        """
        last = {r["member"]: r for r in self.rows if r["split"] == "valid"}
        scores: dict[tuple, tuple] = {}
        for population, place in self._find(choice):
            member = population.members[place]
            row = last.get(member.index, {})  # None in it of one that diverged
            errors = (row.get(n) for n in ("mse_restored", "mse", "error_rate"))
            error = next((e for e in errors if e is not None), math.inf)
            behind = member.index in self.stopped  # its error is of fewer steps
            score = behind, error, member.index, place, population
            traced = population.spec.hparams(member.config)
            kind = tuple(v for n, v in member.columns.items() if n not in traced)
            scores[kind] = min(scores.get(kind, score), score)
        return [self._model(owner, place) for *_, place, owner in scores.values()]

    def export(self, folder: Any, format: str = "npz", **choice: Any) -> pathlib.Path:
        """Writes one member as files; see ``exports.write``."""
        return self.model(**choice).export(folder, format)

    def frame(self) -> Any:
        """The rows as a pandas DataFrame; NaN where one has no number."""
        import pandas as pd

        return pd.DataFrame(self.rows)

    def plot(self, name: str) -> Any:
        """A figure of the report, a matplotlib Figure; see ``report.notebook.plot``."""
        from aejax.report import notebook

        return notebook.plot(self, name)

    def __repr__(self) -> str:
        return f"<Run of {self.info['members']:,} members>"

    def _repr_html_(self) -> str:
        from aejax.report import notebook

        return notebook.html(self)

    def _model(
        self, population: population_lib.Population, place: int
    ) -> autoencoder.Autoencoder:
        part, where, start = population, self.dir, 0
        for number, (index, low, high) in enumerate(directory.shards(self.info)):
            if index == population.index and low <= place < high:
                part, start = population.part(range(low, high)), low
                where = directory.shard_folder(self.dir, number)
        final, step = self._finals(part, where)
        params = jax.tree.map(lambda a: a[place - start], final["params"])
        if population.index not in self._functions:
            shared = autoencoder.functions(population.spec)
            self._functions[population.index] = shared
        member = population.members[place]
        return autoencoder.Autoencoder(
            population.spec,
            member.config,
            params,
            self._functions[population.index],
            min(step, self._last.get(member.index, step)),
            lambda: self.sources.source(population.spec),
            functools.partial(origin.of_run, self, member),
        )

    @functools.cached_property
    def _last(self) -> dict[int, int]:
        """{member: the step of its last row} of those that were stopped."""
        return {
            r["member"]: r["step"] for r in self.rows if r["member"] in self.stopped
        }

    def _finals(
        self, population: population_lib.Population, dir: pathlib.Path | None
    ) -> tuple[Any, int]:
        """A population's newest parameters, and the step that they are from.

        Of a part of one, which a shard has trained into a directory of its own.
        """
        known, first = self.finals.get(population.index), population.numbers.start
        if known is None and (known := self._read.get(first)) is None:
            known = self._read[first] = self._restored(population, dir)
        return known

    def _restored(
        self, population: population_lib.Population, dir: pathlib.Path | None
    ) -> tuple[Any, int]:
        read = dir and checkpoint.restore(dir, population, self._warn)
        state, meta = read or (None, {})
        if not state:
            raise configs.InputError(
                f"population {population.index} of this run has no checkpoint that can "
                "be used; finish it with --resume"
            )
        if not meta["final"]:
            state = {"params": state.best or state.params}
            self._warn(
                f"the models of population {population.index} are of step "
                f"{meta['step']:,} of {population.spec.steps:,}, from its newest "
                "checkpoint that can be used; --resume trains them to the end"
            )
        return state, meta["step"]

    def _warn(self, text: str) -> None:
        self.problems.append(text)
        warnings.warn(text, stacklevel=3)

    def _find(
        self, choice: Mapping[str, Any], one: bool = False
    ) -> list[tuple[population_lib.Population, int]]:
        places = [(p, i) for p in self.populations for i in range(len(p.members))]
        columns = [p.members[i].columns for p, i in places]
        several = {n: v if isinstance(v, set) else {v} for n, v in choice.items()}
        choice = {n: [registry.column(n, v) for v in vs] for n, vs in several.items()}
        for name in choice:
            if name not in columns[0]:
                raise configs.unknown("axis", name, columns[0])
        fit = [all(c[n] in v for n, v in choice.items()) for c in columns]
        if any(fit) and (sum(fit) == 1 or not one):
            return [place for place, good in zip(places, fit, strict=True) if good]
        left = [c for c, good in zip(columns, fit, strict=True) if good] or columns
        values = {n: list(dict.fromkeys(c[n] for c in left)) for n in columns[0]}
        free = {n: v for n, v in values.items() if len(v) > 1} or values
        listed = "; ".join(f"{n}: {configs.listed(v)}" for n, v in free.items())
        given = "; ".join(f"{n}={configs.listed(v)}" for n, v in choice.items())
        raise configs.InputError(
            f"{sum(fit)} models have {given or 'nothing'}; say also which of {listed}"
            if any(fit)
            else f"no model has {given}; this run has {listed}"
        )


def open_run(dir: Any) -> Run:
    """The run in a directory, finished or not; its ``problems`` are warnings too.

    Neither the planner nor the data set is needed.

    Raises:
      InputError: there is no run in it.
    """
    dir = pathlib.Path(dir).expanduser()
    info = directory.read_info(dir)
    config, axes = directory.read_configuration(info)
    whole = directory.has_summary(dir, info)  # else damaged, or of before a damage
    summary = directory.read_summary(dir) if whole else []
    run = Run(config, axes, info, directory.read_rows(dir), summary, dir)
    for problem in run.problems:
        warnings.warn(problem, stacklevel=2)
    return run
