"""What a sweep shows while it trains: bars on a terminal, else plain lines."""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import rich.console
import rich.progress

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


def display(
    console: rich.console.Console, planned: Sequence[Any], title: str
) -> "Lines | Bars":
    """A context manager whose ``on_event`` shows the events of ``aejax.sweep``."""
    names = [
        f"{label}, {count(len(group.lanes), 'lane')}"
        for label, group in zip(labels(planned), planned, strict=True)
    ]
    return Bars(names, title, console) if console.is_terminal else Lines(names, title)


class Lines:
    """One line per group every other second, and one at its end."""

    def __init__(self, names: list[str], title: str):
        self._names, self._title = names, title
        self._last: dict[int, float] = {}

    def __enter__(self) -> "Lines":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left to do."""

    def leave(self) -> None:
        """Called before the process ends at once."""

    def say(self, text: str) -> None:
        """Shows one line."""
        print(text, flush=True)

    def on_event(self, event: Mapping[str, Any]) -> None:
        """Shows one event of ``aejax.sweep``."""
        if event["kind"] == "warn":
            print(f"warning: {event['text']}", file=sys.stderr)
        elif event["kind"] == "compile":
            self.say(self._title)
            if event["programs"]:
                self._compile(f"compiling {count(event['programs'], 'program')}")
        elif event["kind"] == "train":
            self._train(event, event["step"] >= event["steps"])

    def _compile(self, text: str) -> None:
        self.say(text)

    def _train(self, event: Mapping[str, Any], done: bool) -> None:
        group, now, best = event["group"], time.monotonic(), event["best_valid"]
        if done or now - self._last.get(group, -_EVERY) >= _EVERY:
            self._last[group] = now
            self.say(
                f"{self._names[group]}: step {event['step']:,} of {event['steps']:,}, "
                f"{event['steps_per_s']:,.0f} lane-steps/s, "
                f"{event['images_per_s']:,.0f} images/s, "
                f"{_clock(event['seconds_left'])} left"
                + ("" if best is None else f", best valid loss {best:.4g}")
            )


class Bars(Lines):
    """One bar per group; those of the last few groups."""

    def __init__(self, names: list[str], title: str, console: rich.console.Console):
        super().__init__(names, title)
        self._console, self._roomy = console, console.width >= 100
        columns = [
            rich.progress.TextColumn(
                f"{{task.{name}}}", table_column=rich.table.Column(no_wrap=True)
            )
            for name in ("description", *(f"fields[{n}]" for n in _BLANK))
        ]
        bar = rich.progress.BarColumn(None if self._roomy else 10)
        self._progress = rich.progress.Progress(
            columns[0], bar, *columns[1:], console=console, expand=self._roomy
        )
        self._tasks: dict[int | None, Any] = {}

    def __enter__(self) -> "Bars":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._compiled()
        self._progress.stop()

    def leave(self) -> None:
        """Gives the terminal its cursor back, without waiting for any lock."""
        os.write(sys.stdout.fileno(), b"\x1b[?25h\n")

    def say(self, text: str) -> None:
        """Shows one line above the bars."""
        self._console.print(text, highlight=False, markup=False)

    def _compile(self, text: str) -> None:
        self._tasks[None] = self._progress.add_task(text, total=None, **_BLANK)

    def _compiled(self) -> None:
        if None in self._tasks:
            self._progress.remove_task(self._tasks.pop(None))

    def _train(self, event: Mapping[str, Any], done: bool) -> None:
        self._compiled()
        group, best = event["group"], event["best_valid"]
        if group not in self._tasks:
            name, steps = self._names[group], event["steps"]
            self._last[group] = time.monotonic()
            self._tasks[group] = self._progress.add_task(name, total=steps, **_BLANK)
            for old in list(self._tasks)[:-_KEPT]:
                self._progress.update(self._tasks[old], visible=False)
        roomy = self._roomy
        spent = _clock(time.monotonic() - self._last[group])
        self._progress.update(
            self._tasks[group],
            completed=event["step"],
            rate=f"{short(event['steps_per_s'])}{' lane-' if roomy else ' '}steps/s",
            images=f"{short(event['images_per_s'])}{' images' if roomy else ' img'}/s",
            left=f"in {spent}" if done else f"{_clock(event['seconds_left'])} left",
            best="" if best is None else f"best {'valid ' * roomy}{best:.4g}",
        )


_BLANK = {"rate": "", "images": "", "left": "", "best": ""}


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
    )


def short(number: float) -> str:
    """Three digits and a unit: 1.36k, 2M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.3g}"
