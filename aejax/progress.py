"""What a sweep shows while it trains: a bar per population, or lines."""

import contextlib
import datetime
import html
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import humanize
import rich.progress

from aejax import config

_EVERY = 2.0  # seconds between two lines that stay, at least


def labels(planned: Any) -> list[str]:
    """A short name of each population: number, objective, network, what differs."""
    firsts = [p.members[0].columns for p in planned.populations]
    names = [
        n
        for n in config.STATIC
        if n in ("objective", "network") or len({columns[n] for columns in firsts}) > 1
    ]
    kinds = [tuple(str(columns[n]) for n in names) for columns in firsts]
    sizes = [[m.config.latent_dim for m in p.members] for p in planned.populations]
    latents = [f"latent {min(s)} to {max(s)}" for s in sizes]
    return [
        " ".join([f"{i}/{len(firsts)}", *kind, *[latent] * (kinds.count(kind) > 1)])
        for i, (kind, latent) in enumerate(zip(kinds, latents, strict=True), 1)
    ]


def names(planned: Any) -> list[str]:
    """Of each population, with how many members it has."""
    pairs = zip(labels(planned), planned.populations, strict=True)
    return [f"{label}, {count(len(p.members), 'member')}" for label, p in pairs]


def title(planned: Any) -> str:
    """How much it is."""
    members = count(planned.count, "autoencoder")
    return f"{members} in {count(len(planned.populations), 'program')}"


def count(number: int, what: str) -> str:
    """A number with its noun: 1 member, 2 members."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


class Progress(contextlib.AbstractContextManager):
    """What a sweep does, as ``on_event`` of ``aejax.sweep``.

    ``aejax.sweep(config, axes, on_event=aejax.Progress())`` shows one bar in a
    notebook, a bar per population in a terminal, and elsewhere a line every other
    second. As a context manager it takes a terminal's bars down whatever happens.

    Args:
      names: of the populations; by default what they are.
      title: what is printed first; by default how much is trained.
    """

    def __init__(self, names: Sequence[str] = (), title: str | None = None):
        self._given = names, title
        self._names, self._title = names, title
        self._last, self._tasks = -_EVERY, {}
        self._planned: Any = None
        self._steps: dict[int, int] = {}  # of each population, as far as it is
        self._cell: Any = None  # of a notebook, if we are in one
        self._bars = rich.progress.Progress(
            "{task.description}", rich.progress.BarColumn(20), "{task.fields[facts]}"
        )

    def __exit__(self, *_: Any) -> None:
        self._bars.stop()

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Shows one event."""
        self.on_event(event)

    def on_event(self, event: Mapping[str, Any]) -> None:
        """Shows one event."""
        if event["kind"] == "warn":
            print(f"warning: {event['text']}", file=sys.stderr)
        elif event["kind"] == "compile":
            self._begin(event)
        elif event["kind"] == "train":
            best = event["best_valid"]
            left = datetime.timedelta(seconds=round(event["seconds_left"]))
            metric = humanize.metric  # 1.36 k
            facts = f"{metric(event['steps_per_s'])} steps/s, {left} left"
            facts += "" if best is None else f", best valid loss {best:.4g}"
            facts += f", {metric(event['images_per_s'])} images/s"
            self._show(event["population"], event["step"], event["steps"], facts)

    def _begin(self, event: Mapping[str, Any]) -> None:
        self._planned, programs = event["planned"], event["programs"]
        self._names = self._given[0] or names(self._planned)
        self._title = self._given[1]
        if self._title is None:
            self._title = title(self._planned)
        for task in self._tasks.values():  # of a sweep before
            self._bars.remove_task(task)
        self._tasks, self._steps = {}, {}
        compiling = f"compiling {count(programs, 'program')}" * bool(programs)
        self._cell = _cell(Bar(self._title, compiling))
        if not self._cell:
            print("\n".join(filter(None, (self._title, compiling))), flush=True)

    def _show(self, index: int, step: int, steps: int, facts: str) -> None:
        if self._cell:
            self._steps[index] = step
            self._cell.update(self._bar(index, facts))
        elif sys.stdout.isatty():
            if index not in self._tasks:
                self._bars.start()
                task = self._bars.add_task(self._names[index], total=steps, facts="")
                self._tasks[index] = task
            self._bars.update(self._tasks[index], completed=step, facts=facts)
            if all(task.finished for task in self._bars.tasks):
                self._bars.stop()  # until the next begins
        elif step >= steps or time.monotonic() - self._last >= _EVERY:
            self._last = time.monotonic()
            name = self._names[index]
            print(f"{name}: step {step:,} of {steps:,}, {facts}", flush=True)

    def _bar(self, index: int, facts: str) -> "Bar":
        """Of all populations; before the first that we have heard of, all are done."""
        done, whole, first = 0, 0, min(self._steps)
        for population in self._planned.populations:
            count, steps = len(population.members), population.spec.steps
            before = steps * (population.index < first)
            done += count * self._steps.get(population.index, before)
            whole += count * steps
        text = f"{self._names[index]}: {facts}" if done < whole else "trained"
        return Bar(self._title, text, done / whole)


class Bar(NamedTuple):
    """A bar in a notebook's cell: what it is, how far, from 0 to 1."""

    title: str
    text: str
    share: float = 0.0

    def __repr__(self) -> str:
        return f"{self.title}: {self.share:.0%} {self.text}".strip()

    def _repr_html_(self) -> str:
        bar = f'<progress value="{self.share:.3f}" style="width: 16em"></progress>'
        return f"<div>{html.escape(self.title)}<br>{bar} {html.escape(self.text)}</div>"


def _cell(first: Bar) -> Any:
    """A handle to replace what is displayed; None outside of a notebook's kernel.

    IPython's own: bars of rich and tqdm need ipywidgets there, and say so each time.
    """
    if "IPython" not in sys.modules:
        return None
    import IPython
    from IPython import display

    if not hasattr(IPython.get_ipython(), "kernel"):
        return None
    return display.display(first, display_id=True)
