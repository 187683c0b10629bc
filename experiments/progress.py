"""What a sweep shows while it trains: a bar per population, or lines."""

import contextlib
import datetime
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

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


def count(number: int, what: str) -> str:
    """A number with its noun: 1 member, 2 members."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


class Progress(contextlib.AbstractContextManager):
    """``on_event`` shows the events of ``aejax.sweep``; populations have ``names``."""

    def __init__(self, names: Sequence[str], title: str):
        self._names, self._title = names, title
        self._last, self._tasks = -_EVERY, {}
        self._bars = rich.progress.Progress(
            "{task.description}", rich.progress.BarColumn(20), "{task.fields[facts]}"
        )

    def __exit__(self, *_: Any) -> None:
        self._bars.stop()

    def on_event(self, event: Mapping[str, Any]) -> None:
        """Shows one event."""
        if event["kind"] == "warn":
            print(f"warning: {event['text']}", file=sys.stderr)
        elif event["kind"] == "compile":
            compiling = f"\ncompiling {count(event['programs'], 'program')}"
            print(self._title + compiling * bool(event["programs"]), flush=True)
        elif event["kind"] == "train":
            best = event["best_valid"]
            left = datetime.timedelta(seconds=round(event["seconds_left"]))
            metric = humanize.metric  # 1.36 k
            facts = f"{metric(event['steps_per_s'])} steps/s, {left} left"
            facts += "" if best is None else f", best valid loss {best:.4g}"
            facts += f", {metric(event['images_per_s'])} images/s"
            self._show(event["population"], event["step"], event["steps"], facts)

    def _show(self, index: int, step: int, steps: int, facts: str) -> None:
        if sys.stdout.isatty():
            if index not in self._tasks:
                self._bars.start()
                task = self._bars.add_task(self._names[index], total=steps, facts="")
                self._tasks[index] = task
            self._bars.update(self._tasks[index], completed=step, facts=facts)
        elif step >= steps or time.monotonic() - self._last >= _EVERY:
            self._last = time.monotonic()
            name = self._names[index]
            print(f"{name}: step {step:,} of {steps:,}, {facts}", flush=True)
