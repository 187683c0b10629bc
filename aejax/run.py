"""A run: its rows, its summary, its models; in memory or in a directory."""

import contextlib
import math
import pathlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax

from aejax import checkpoint, directory, plan, registry, trained
from aejax import config as configs
from aejax import data as datasets
from aejax import group as groups


class Run:
    """What a sweep leaves behind; ``open_run`` gives the same from a directory.

    Attributes:
      config, axes: what was asked for.
      rows: list of dicts, as in results.jsonl.
      summary: list of dicts, as in summary.csv.
      info: as in run.json.
      problems: what of its files is not as it was written, a sentence each.
      dir: the run's directory, or None.
    """

    def __init__(
        self,
        config: configs.Config,
        axes: Mapping[str, Sequence[Any]],
        dir: pathlib.Path | None = None,
        planned: list[groups.Group] | None = None,
    ):
        self.config, self.axes, self.dir = config, dict(axes), dir
        self.rows: list[dict[str, Any]] = []
        self.summary: list[dict[str, Any]] = []
        self.info: dict[str, Any] = {}
        self.problems: list[str] = []
        self._planned = planned
        self._finals: dict[int, tuple[Any, int]] = {}  # and their step
        self._functions: dict[int, dict] = {}

    @property
    def planned(self) -> list[groups.Group]:
        """The plan, made again from configuration and axes where it is not at hand."""
        if self._planned is None:
            planned = plan.plan(self.config, self.axes)
            if (then := self.info.get("programs", len(planned))) != len(planned):
                raise configs.InputError(
                    f"the run in {self.dir} was cut into {then} programs by rules that "
                    f"now make {len(planned)}; open it with the aejax that made it"
                )
            self._planned = planned
        return self._planned

    def dataset(self, name: str | None = None) -> datasets.Dataset:
        """The data set of the run, or the one of this name if it has several."""
        found = {registry.label(g.recipe.config.dataset): g for g in self.planned}
        if name is not None and name not in found:
            raise configs.unknown("data set of this run", name, found)
        return (found[name] if name else self.planned[0]).dataset

    def model(self, **choice: Any) -> trained.Trained:
        """The trained model of the one lane that has these axis values.

        Raises:
          InputError: no lane or several have them; the message lists what there is.
        """
        return self._trained(*self._find(choice, one=True)[0])

    def _trained(self, group: groups.Group, position: int) -> trained.Trained:
        lane = group.lanes[position]
        final, step = self._final(group)
        params = jax.tree.map(lambda a: a[position], final["params"])
        shared = self._functions.setdefault(group.index, trained.functions(group))
        return trained.Trained(group, lane, params, shared, step)

    def models(self, **choice: Any) -> list[trained.Trained]:
        """The trained models of all lanes that have these axis values, in their order.

        A set stands for any of its values.

        Raises:
          InputError: no lane has them; the message lists what there is.
        """
        return [self._trained(*place) for place in self._find(choice)]

    def best(self, **choice: Any) -> list[trained.Trained]:
        """The model of lowest validation error among those that fit, of each kind.

        A kind is everything that is not a lane: objective, network, data set, … The
        error is the mse, of a denoising model that of what it restores. The first that
        fits where there is no validation split.

        Raises:
          InputError: as ``models``.
        """
        last = {r["lane"]: r for r in self.rows if r["split"] == "valid"}
        groups = {group.index: group for group in self.planned}
        scores: dict[tuple, tuple] = {}
        for group, position in self._find(choice):
            lane = group.lanes[position]
            row = last.get(lane.index, {})  # None in it of a lane that diverged
            mse = row.get("mse_restored")
            mse = row.get("mse") if mse is None else mse
            score = (math.inf if mse is None else mse, group.index, position)
            moving = group.traced(lane.config)
            kind = tuple(v for n, v in lane.columns.items() if n not in moving)
            scores[kind] = min(scores.get(kind, score), score)
        return [self._trained(groups[i], at) for _, i, at in scores.values()]

    def export(self, folder: Any, **choice: Any) -> pathlib.Path:
        """Writes params.npz and config.json of one lane; see ``Trained.export``."""
        return self.model(**choice).export(folder)

    def keep(self, group: groups.Group, final: Any) -> None:
        """Takes a group's final parameters, as a checkpoint holds them."""
        self._finals[group.index] = final, group.recipe.steps

    def restore(
        self,
        group: groups.Group,
        say: Callable[[str], None] | None = None,
        reason: Callable[[dict[str, Any]], str | None] = lambda meta: None,
    ) -> tuple[Any, dict[str, Any]]:
        """The newest usable checkpoint of a group and its facts, or (None, {}).

        ``say`` is told of those of no use, for the ``reason`` of ``Store.restore`` too.
        Without it the directory is only read, and they are warnings.
        """
        folder = directory.checkpoints(self.dir, group.index) if self.dir else None
        if folder is None or not folder.is_dir():
            return None, {}
        store = checkpoint.Store(folder, say or self._warn, read_only=say is None)
        with contextlib.closing(store):
            return store.restore(lambda meta: saved_shapes(group, meta), reason)

    def _find(
        self, choice: Mapping[str, Any], one: bool = False
    ) -> list[tuple[groups.Group, int]]:
        every = [(g, i) for g in self.planned for i in range(len(g.lanes))]
        columns = [g.lanes[i].columns for g, i in every]
        several = {n: v if isinstance(v, set) else {v} for n, v in choice.items()}
        choice = {n: [registry.column(n, v) for v in vs] for n, vs in several.items()}
        for name in choice:
            if name not in columns[0]:
                raise configs.unknown("axis", name, columns[0])
        fit = [all(c[n] in v for n, v in choice.items()) for c in columns]
        if any(fit) and (sum(fit) == 1 or not one):
            return [place for place, good in zip(every, fit, strict=True) if good]
        lanes = [c for c, good in zip(columns, fit, strict=True) if good] or columns
        values = {n: list(dict.fromkeys(c[n] for c in lanes)) for n in columns[0]}
        free = {n: v for n, v in values.items() if len(v) > 1} or values
        listed = "; ".join(f"{n}: {configs.listed(v)}" for n, v in free.items())
        given = "; ".join(f"{n}={configs.listed(v)}" for n, v in choice.items())
        given = given or "nothing"
        raise configs.InputError(
            f"{sum(fit)} models have {given}; say also which of {listed}"
            if any(fit)
            else f"no model has {given}; this run has {listed}"
        )

    def _warn(self, text: str) -> None:
        self.problems.append(text)
        warnings.warn(text, stacklevel=3)

    def _final(self, group: groups.Group) -> tuple[Any, int]:
        """A group's newest parameters, and the step that they are from."""
        if group.index in self._finals:
            return self._finals[group.index]
        state, meta = self.restore(group)
        if not state:
            raise configs.InputError(
                f"group {group.index} of this run has no checkpoint that can be used; "
                "finish it with --resume"
            )
        if not meta["final"]:
            state = {"params": state.best or state.params}
            self._warn(
                f"the models of group {group.index} are of step {meta['step']:,} of "
                f"{group.recipe.steps:,}, from its newest checkpoint that can be used; "
                "--resume trains them to the end"
            )
        self._finals[group.index] = state, meta["step"]
        return self._finals[group.index]


def saved_shapes(group: groups.Group, meta: Mapping[str, Any]) -> Any:
    """Shapes of a group's checkpoint: the whole state, or at the end parameters."""
    shapes = group.state_shapes()
    if meta["final"]:
        shapes = {"params": shapes.params, "diverged": shapes.diverged}
    count = len(group.lanes)
    return jax.tree.map(
        lambda s: jax.ShapeDtypeStruct((count, *s.shape), s.dtype), shapes
    )


def open_run(dir: Any) -> Run:
    """The run in a directory, finished or not; its ``problems`` are warnings too.

    Raises:
      InputError: there is no run in it.
    """
    dir = pathlib.Path(dir).expanduser()
    info = directory.read_info(dir)
    run = Run(*directory.read_configuration(info), dir=dir)
    run.info = info
    run.rows = directory.read_rows(dir)
    if directory.has_summary(dir, info):  # else it is damaged, or of before a damage
        run.summary = directory.read_summary(dir)
    for problem in directory.problems(dir, info, run.rows):
        run._warn(problem)
    return run
