"""Trackers: the rows of a sweep, as they come, in TensorBoard, W&B, MLflow or trackio.

One run of the tool for a sweep, a curve per setting, never one per member. What has
been logged is in ``tracking.json`` of the run's directory: a resumed sweep goes on with
the same run of the tool, and doubles no point.
"""

import contextlib
import importlib
import importlib.util
import json
import os
import pathlib
import secrets
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from aejax import config as configs
from aejax import registry
from aejax.report import words
from aejax.runs import directory
from aejax.tracking import series

SETTINGS = 100  # that are tracked, at most: more curves can be read in no chart
STATE = "tracking.json"

# The modules that a tracker needs, of the extra of its name.
TOOLS = {
    "tensorboard": ("tensorboardX",),
    "wandb": ("wandb",),
    "mlflow": ("mlflow", "sqlalchemy", "alembic"),
    "trackio": ("trackio",),
}


class About(NamedTuple):
    """What a tracker's run is opened with.

    Attributes:
      dir: of the sweep; a tracker writes below it.
      name: of its run.
      facts: {name: value} of the configuration, and the values of each axis.
      run: the id of its run, if it is gone on with.
      again: whether it is.
    """

    dir: pathlib.Path
    name: str
    facts: Mapping[str, Any]
    run: str | None = None
    again: bool = False


class Tool(Protocol):
    """What ``open_run(about)`` of the module of its name gives; it may fail anywhere.

    Attributes:
      run: the id of its run, to go on with; None if it needs none.
    """

    run: str | None

    def log(self, points: Sequence[series.Point]) -> None:
        """Points of several settings, those of each in the order of steps."""

    def table(self, lines: Sequence[series.Line]) -> None:
        """The settings and their final test metrics."""

    def files(self, paths: Sequence[pathlib.Path]) -> None:
        """The report and its figures."""

    def close(self, finished: bool) -> None:
        """Ends; ``finished`` is False of a sweep that was stopped or has failed."""


class Tracker(contextlib.AbstractContextManager):
    """Passes the rows of one sweep to some tools; a context manager.

    ``with Tracker("tensorboard", config, axes, out="runs/a") as tracker: run =
    aejax.sweep(config, axes, out="runs/a", on_rows=tracker.on_rows);
    tracker.finish(run)``. Nothing is opened before the first rows. A tool that fails
    is dropped with a warning, and the sweep goes on.

    Args:
      tools: names of ``TOOLS``, or one.
      config, axes: as of ``aejax.sweep``.
      out: the run's directory, in which the tools' files go.
      seeds: how many members a setting has, if their rows do not come in one call: of
        a sweep on an engine's workers.

    Raises:
      InputError: an unknown tool, or one that is not installed.
    """

    def __init__(
        self,
        tools: str | Sequence[str],
        config: configs.Config,
        axes: Mapping[str, Sequence[Any]] | None = None,
        *,
        out: Any,
        seeds: int | None = None,
    ):
        self._names = list(dict.fromkeys([tools] if type(tools) is str else tools))
        for name in self._names:
            check(name)
        self._dir, axes = pathlib.Path(out).expanduser(), dict(axes or {})
        self._facts = facts(config, axes)
        self._series = series.Series([*axes], SETTINGS, seeds)
        self._tools: dict[str, Tool] | None = None  # opened at the first rows
        self._state: dict[str, dict[str, Any]] = {}
        self._finished = False

    def on_rows(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Logs new rows; as of ``aejax.sweep``."""
        if self._open():
            self._log(self._series.add(rows))

    def finish(self, run: Any) -> None:
        """Logs the table of settings of a finished Run, its report and its figures."""
        if not self._open():
            return
        self._log(self._series.rest())
        lines = self._series.table(run.summary)
        paths = [self._dir / "report.html", *sorted(self._dir.glob("figures/*.svg"))]
        paths = [path for path in paths if path.is_file()]

        def end(name: str, tool: Tool) -> None:
            known = json.loads(json.dumps(lines))
            if self._state[name].get("table") != known:
                tool.table(lines)
                self._state[name]["table"] = known
            tool.files(paths)

        self._each(end)
        self._save()
        self._finished = True

    def __exit__(self, *_: Any) -> None:
        self._each(lambda name, tool: tool.close(self._finished))
        self._tools = {}

    def _open(self) -> bool:
        """Opens the tools; what the run has of before is logged, if it was not.

        Whether any is left.
        """
        if self._tools is not None:
            return bool(self._tools)
        self._tools, path = {}, self._dir / STATE
        again = (self._dir / "run.json").is_file()  # else it is of another run
        known = {}
        if again and path.is_file():
            with contextlib.suppress(ValueError, OSError):
                known = json.loads(path.read_text("utf-8"))
        # Damaged, it is of nothing: points may be doubled, and the sweep goes on.
        known = known if isinstance(known, dict) else {}
        known = {n: s for n, s in known.items() if _is_state(s)}
        for name in self._names:
            state = known.get(name, {"run": None, "steps": {}})
            about = About(self._dir, self._dir.resolve().name, self._facts)
            about = about._replace(run=state["run"], again=name in known)
            with self._spared(name):
                module = importlib.import_module(f"aejax.tracking.{name}")
                self._tools[name] = module.open_run(about)
                self._state[name] = state | {"run": self._tools[name].run}
        self._state = known | self._state
        if again and self._tools:
            self._log(self._series.add(directory.read_rows(self._dir)))
        return bool(self._tools)

    def _log(self, points: Sequence[series.Point]) -> None:
        """Points that a tool does not have yet."""
        if self._series.left_out():
            warnings.warn(
                f"the first {SETTINGS} settings of this sweep are tracked, the others "
                "are in summary.csv alone",
                stacklevel=3,
            )

        def log(name: str, tool: Tool) -> None:
            steps = self._state[name]["steps"]
            new = [p for p in points if p.step > steps.get(p.curve, -1)]
            if new:
                tool.log(new)
                steps.update({p.curve: p.step for p in new})

        self._each(log)
        if points:
            self._save()

    def _each(self, act: Callable[[str, Tool], None]) -> None:
        for name, tool in list((self._tools or {}).items()):
            with self._spared(name):
                act(name, tool)

    @contextlib.contextmanager
    def _spared(self, name: str) -> Iterator[None]:
        """The sweep, of whatever goes wrong in a tool, which is dropped."""
        try:
            yield
        except Exception as error:
            (self._tools or {}).pop(name, None)
            why = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            text = f"the tracker '{name}' fails and is left out from here on ({why})"
            warnings.warn(text, stacklevel=2)

    def _save(self) -> None:
        """After the tools have written: a kill between repeats a point, loses none."""
        with self._spared(STATE):
            self._dir.mkdir(parents=True, exist_ok=True)
            part = self._dir / f"{STATE}.tmp"
            part.write_text(json.dumps(self._state), "utf-8")
            os.replace(part, self._dir / STATE)


def _is_state(entry: Any) -> bool:
    steps = entry.get("steps") if isinstance(entry, dict) else None
    whole = isinstance(steps, dict) and all(type(v) is int for v in steps.values())
    return whole and isinstance(entry.get("run"), str | None)


def check(name: str) -> None:
    """Refuses a tracker that is unknown or not installed. Imports nothing.

    Raises:
      InputError: it is; the message says what installs it.
    """
    if name not in TOOLS:
        raise configs.unknown("tracker", name, TOOLS)
    needed = TOOLS[name]
    if name == "mlflow" and "MLFLOW_TRACKING_URI" in os.environ:
        needed = needed[:1]  # the store is a server's
    if missing := [m for m in needed if importlib.util.find_spec(m) is None]:
        raise configs.InputError(
            f"the tracker '{name}' needs {configs.listed(missing)}, not installed "
            f'here; this installs it: pip install "aejax[{name}]"'
        )


def facts(
    config: configs.Config, axes: Mapping[str, Sequence[Any]]
) -> dict[str, str | int | float]:
    """What a sweep is of, files by their names: fields of Config, lists of values."""
    known = {n: registry.column(n, v) for n, v in config.to_json().items() if v != {}}
    plain = int, float, str
    known = {n: v if isinstance(v, plain) else words.text(v) for n, v in known.items()}
    return known | {
        name: words.text([registry.column(name, v) for v in values])[:250]
        for name, values in axes.items()
    }


def place(path: pathlib.Path) -> str:
    """Where a file of the run's directory stands in an artifact."""
    return f"figures/{path.name}" if path.suffix == ".svg" else path.name


def token() -> str:
    """Of a new run, no two alike."""
    return secrets.token_hex(4)


@contextlib.contextmanager
def variables(**values: str | None) -> Iterator[None]:
    """Environment variables for what is imported or started here; None: without it."""
    before = {name: os.environ.get(name) for name in values}

    def put(some: Mapping[str, str | None]) -> None:
        for name, value in some.items():
            os.environ.pop(name, None) if value is None else os.environ.update(
                {name: value}
            )

    put(values)
    try:
        yield
    finally:
        put(before)
