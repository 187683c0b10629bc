"""What a sweep shows while it trains: a bar per group; lines where no terminal is."""

import contextlib
import datetime
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import rich.progress

from aejax import config

_EVERY = 2.0  # seconds between two lines that stay, at least


def labels(planned: Sequence[Any]) -> list[str]:
    """A short name of each group: number, objective, network and what else differs."""
    groups = [g.lanes[0].columns for g in planned]
    names = [
        n
        for n in config.STATIC
        if n in ("objective", "network") or len({g[n] for g in groups}) > 1
    ]
    kinds = [tuple(str(g[n]) for n in names) for g in groups]
    sizes = [[lane.config.latent_dim for lane in g.lanes] for g in planned]
    latents = [f"latent {min(s)} to {max(s)}" for s in sizes]
    return [
        " ".join([f"{i}/{len(groups)}", *kind, *[latent] * (kinds.count(kind) > 1)])
        for i, (kind, latent) in enumerate(zip(kinds, latents, strict=True), 1)
    ]


def count(number: int, what: str) -> str:
    """A number with its noun: 1 lane, 2 lanes."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


class Progress(contextlib.AbstractContextManager):
    """``on_event`` shows the events of ``aejax.sweep``."""

    def __init__(self, planned: Sequence[Any], title: str):
        self._title, self._last, self._tasks = title, -_EVERY, {}
        self._bars = rich.progress.Progress(
            "{task.description}", rich.progress.BarColumn(20), "{task.fields[facts]}"
        )
        self._names = [
            f"{label}, {count(len(group.lanes), 'lane')}"
            for label, group in zip(labels(planned), planned, strict=True)
        ]

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
            facts = f"{short(event['steps_per_s'])} steps/s, {left} left"
            facts += "" if best is None else f", best valid loss {best:.4g}"
            facts += f", {short(event['images_per_s'])} images/s"
            self._show(event["group"], event["step"], event["steps"], facts)

    def _show(self, group: int, step: int, steps: int, facts: str) -> None:
        if sys.stdout.isatty():
            if group not in self._tasks:
                self._bars.start()
                task = self._bars.add_task(self._names[group], total=steps, facts="")
                self._tasks[group] = task
            self._bars.update(self._tasks[group], completed=step, facts=facts)
        elif step >= steps or time.monotonic() - self._last >= _EVERY:
            self._last = time.monotonic()
            name = self._names[group]
            print(f"{name}: step {step:,} of {steps:,}, {facts}", flush=True)


def short(number: float) -> str:
    """Three digits and a unit: 1.36k, 2M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.3g}"
