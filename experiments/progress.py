"""What a sweep shows while it trains: bars on a terminal, else plain lines."""

import datetime
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import rich.console
import rich.progress
import rich.table

from aejax import config

_EVERY = 2.0  # seconds between two plain lines of one group, at least
_KEPT = 8  # bars on the screen


def labels(planned: Sequence[Any]) -> list[str]:
    """A short name of each group: number, objective, network and what else differs."""
    groups = [g.lanes[0].columns for g in planned]
    names = [
        n
        for n in config.STATIC
        if n in ("objective", "network") or len({g[n] for g in groups}) > 1
    ]
    return [
        " ".join([f"{i}/{len(groups)}", *(str(g[n]) for n in names)])
        for i, g in enumerate(groups, 1)
    ]


def count(number: int, what: str) -> str:
    """A number with its noun: 1 lane, 2 lanes."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


class Progress:
    """A context in which ``on_event`` shows the events of ``aejax.sweep``."""

    def __init__(
        self, console: rich.console.Console, planned: Sequence[Any], title: str
    ):
        self._console, self._title = console, title
        self._names = [
            f"{label}, {count(len(group.lanes), 'lane')}"
            for label, group in zip(labels(planned), planned, strict=True)
        ]
        unbroken = rich.table.Column(no_wrap=True)
        self._bars = rich.progress.Progress(
            rich.progress.TextColumn("{task.description}", table_column=unbroken),
            rich.progress.BarColumn(None),
            rich.progress.TextColumn("{task.fields[facts]}", table_column=unbroken),
            console=console,
            expand=True,
            disable=not console.is_terminal,
        )
        self._tasks: dict[int, Any] = {}
        self._last: dict[int, float] = {}

    def __enter__(self) -> "Progress":
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def say(self, text: str) -> None:
        """Shows one line, above the bars if there are any."""
        self._console.print(text)

    def on_event(self, event: Mapping[str, Any]) -> None:
        """Shows one event."""
        if event["kind"] == "warn":
            print(f"warning: {event['text']}", file=sys.stderr)
        elif event["kind"] == "compile":
            self.say(self._title)
            if event["programs"]:
                self.say(f"compiling {count(event['programs'], 'program')}")
        elif event["kind"] == "train":
            best = event["best_valid"]
            left = datetime.timedelta(seconds=round(event["seconds_left"]))
            facts = f"{short(event['steps_per_s'])} steps/s, {left} left"
            facts += "" if best is None else f", best valid loss {best:.4g}"
            bars = self._console.is_terminal  # with 80 columns, and a bar to see
            facts += "" if bars else f", {short(event['images_per_s'])} images/s"
            show = self._bar if bars else self._line
            show(event["group"], event["step"], event["steps"], facts)

    def _line(self, group: int, step: int, steps: int, facts: str) -> None:
        now = time.monotonic()
        if step >= steps or now - self._last.get(group, -_EVERY) >= _EVERY:
            self._last[group] = now
            self.say(f"{self._names[group]}: step {step:,} of {steps:,}, {facts}")

    def _bar(self, group: int, step: int, steps: int, facts: str) -> None:
        if group not in self._tasks:
            task = self._bars.add_task(self._names[group], total=steps, facts="")
            self._tasks[group] = task
            for old in list(self._tasks.values())[:-_KEPT]:
                self._bars.update(old, visible=False)
        self._bars.update(self._tasks[group], completed=step, facts=facts)


def short(number: float) -> str:
    """Three digits and a unit: 1.36k, 2M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.3g}"
