"""What a sweep shows while it trains: one changing line, many where no terminal is."""

import datetime
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

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
    return [
        " ".join([f"{i}/{len(groups)}", *(str(g[n]) for n in names)])
        for i, g in enumerate(groups, 1)
    ]


def count(number: int, what: str) -> str:
    """A number with its noun: 1 lane, 2 lanes."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


class Progress:
    """``on_event`` shows the events of ``aejax.sweep``."""

    def __init__(self, planned: Sequence[Any], title: str):
        self._title, self._last = title, -_EVERY
        self._names = [
            f"{label}, {count(len(group.lanes), 'lane')}"
            for label, group in zip(labels(planned), planned, strict=True)
        ]

    def on_event(self, event: Mapping[str, Any]) -> None:
        """Shows one event."""
        if event["kind"] == "warn":
            print(f"warning: {event['text']}", file=sys.stderr)
        elif event["kind"] == "compile":
            compiling = f"\ncompiling {count(event['programs'], 'program')}"
            print(self._title + compiling * bool(event["programs"]), flush=True)
        elif event["kind"] == "train":
            best = event["best_valid"]
            text = f"{self._names[event['group']]}: step {event['step']:,} of "
            text += f"{event['steps']:,}, {short(event['steps_per_s'])} steps/s, "
            text += f"{datetime.timedelta(seconds=round(event['seconds_left']))} left"
            text += "" if best is None else f", best valid loss {best:.4g}"
            text += f", {short(event['images_per_s'])} images/s"
            self._line(text, event["step"] >= event["steps"])

    def _line(self, text: str, stays: bool) -> None:
        if sys.stdout.isatty():
            width = shutil.get_terminal_size().columns - 1
            print(f"\r{text[:width]:<{width}}", end="\n" * stays, flush=True)
        elif stays or time.monotonic() - self._last >= _EVERY:
            self._last = time.monotonic()
            print(text, flush=True)


def short(number: float) -> str:
    """Three digits and a unit: 1.36k, 2M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.3g}"
