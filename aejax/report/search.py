"""A search on the page: its trials in their order, and against what was drawn."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aejax.report import canvas, page, trials, words
from aejax.report import table as tables

_COLOR, _OTHER = "#225EA8", "#8A939C"


def sentences(table: tables.Table) -> list[str]:
    """Of each search how many trials there were, and the best."""
    lines = []
    for run in table.runs:
        if "search" not in run.info:
            continue
        all_trials, by = trials.read(run), run.info["search"]["minimize"]
        counts = {
            s: sum(t.state == s for t in all_trials) for s in ("stopped", "diverged")
        }
        also = [f"{n:,} {state}" for state, n in counts.items() if n]
        text = f"The search has trained {_count(len(all_trials))}"
        text += f" ({', '.join(also)})" if also else ""
        some = trials.best(all_trials, len(all_trials))
        if some and len(by) == 1:
            first = some[0]
            test = trials.short((first.test or [None])[0])
            drawn = {
                n: trials.short(v) for n, v in first.drawn.items() if v is not None
            }
            where = ", ".join(words.describe(n, drawn) for n in drawn)
            text += (
                f"; trial {first.number} is best, valid {by[0]} "
                f"{first.values[0]:.4g}, test {words.text(test)}: {where}"
            )
        elif some:
            text += (
                f"; the best compromises of {' and '.join(by)} are {len(some):,} of "
                "them: no other is better in all"
            )
        lines.append(text + ".")
    return lines


def _count(number: int) -> str:
    return f"{number:,} trial" + "s" * (number != 1)


def section(table: tables.Table) -> page.Section | None:
    """The trials of each search."""
    figures, cells = [], []
    for index, (run, name) in enumerate(zip(table.runs, table.names, strict=True)):
        if "search" not in run.info or not (some := trials.read(run)):
            continue
        by = run.info["search"]["minimize"]
        draw = _history if len(by) == 1 else _compromises
        mark = f"-{index}" * (len(table.runs) > 1)
        figures.append(page.Figure(f"trials{mark}", draw(some, by), True))
        slices = _slices(some, by[0], run.info["search"]["space"])
        figures.append(page.Figure(f"drawn{mark}", slices, True))
        title = "The best trials" if len(by) == 1 else "The best compromises"
        title += f" of {name}" * (len(table.runs) > 1)
        if chosen := trials.best(some, 10 if len(by) == 1 else 40):
            cells.append(page.Cells(*trials.cells(run, chosen), title))
    if not figures:
        return None
    text = (
        "Each trial is a setting that the search has drawn, trained with every seed; "
        "its value is the mean over them, on the validation split. The line is the "
        "best so far; crosses diverged, and open circles were stopped at a rung. "
        "Below, the same values, but for the worst tenth, against what was drawn. The "
        "sections after this one show the best trials alone."
    )
    return page.Section("search", "The search", figures, cells, text)


def _history(some: Sequence[trials.Trial], by: Sequence[str]) -> Any:
    """Values by number, and the best so far."""
    fig, (ax,) = canvas.panels([3.4])
    done = [t for t in some if t.values]
    values = [t.values[0] for t in done]
    ax.plot([t.number for t in done], values, "o", color=_OTHER, ms=4)
    if done:
        steps = np.minimum.accumulate(values)
        ax.step([t.number for t in done], steps, where="post", color=_COLOR)
        low, high = min(values), float(np.quantile(values, 0.9))
        room = (high - low) * 0.1 or abs(low) * 0.1 or 1.0
        ax.set_ylim(low - room, high + room)
    for state, marker in (("diverged", "x"), ("stopped", "o")):
        numbers = [t.number for t in some if t.state == state]
        style = {"color": _OTHER, "mfc": "white", "ms": 4, "clip_on": False}
        style["transform"] = ax.get_xaxis_transform()
        ax.plot(numbers, [1.0] * len(numbers), marker, **style)
    ax.set_title(f"valid {by[0]}")
    ax.set_xlabel("trial")
    return fig


def _compromises(some: Sequence[trials.Trial], by: Sequence[str]) -> Any:
    """The first two values against each other, and the front."""
    fig, (ax,) = canvas.panels([4.2])
    points = np.array([t.values[:2] for t in some if t.values])
    ax.plot(*points.T, "o", color=_OTHER, ms=4)
    ends = np.array([t.values[:2] for t in trials.front(some)])
    ax.plot(*ends.T, "o-", color=_COLOR, ms=5)
    ax.set(xlabel=f"valid {by[0]}", ylabel=f"valid {by[1]}")
    return fig


def _slices(drawn: Sequence[trials.Trial], by: str, space: Mapping[str, Any]) -> Any:
    """Values against each name that was drawn."""
    done = [t for t in drawn if t.values]
    count = min(3, len(space))
    fig, axes = canvas.panels([2.5] * -(-len(space) // count), count)
    high = np.quantile([t.values[0] for t in done], 0.9) if done else math.inf
    for i, ax in enumerate(axes):
        if i >= len(space):
            ax.remove()
            continue
        name, entry = list(space.items())[i]
        some = [t for t in done if t.drawn[name] is not None and t.values[0] <= high]
        xs = [t.drawn[name] for t in some]
        if isinstance(entry, Mapping):
            canvas.scale(ax, "x", [entry["low"], entry["high"]], entry["log"])
        else:  # a choice
            # As rows name them: a file by its label, 1 as 1.0 where that is meant.
            kinds = list(dict.fromkeys(map(str, sorted(xs, key=str))))
            xs = [kinds.index(str(x)) for x in xs]
            ax.set_xticks(range(len(kinds)), map(canvas.short, kinds))
            ax.set_xlim(-0.5, len(kinds) - 0.5)
        ax.plot(xs, [t.values[0] for t in some], "o", color=_COLOR, ms=4, alpha=0.6)
        ax.set_xlabel(words.title(name))
        ax.set_ylabel(f"valid {by}" if i % count == 0 else "")
    return fig
