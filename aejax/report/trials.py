"""Trials of a search, read from its rows: what was drawn, and what came of it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from aejax.report import words
from aejax.runs import halving
from aejax.search import goal

_COLOR, _OTHER = "#225EA8", "#B0B8C0"


class Trial(NamedTuple):
    """What is known of a trial.

    Attributes:
      number: in the study.
      members: that it has been trained as, one for each seed.
      drawn: {name: value} of what was searched.
      values: of validation, that are minimised, mean over seeds; None if it was stopped
        or has diverged.
      test: the same metrics of the test split, if it was trained to the end.
      state: "done", "stopped" or "diverged".
    """

    number: int
    members: range
    drawn: Mapping[str, Any]
    values: list[float] | None
    test: list[float] | None
    state: str


def read(run: Any) -> list[Trial]:
    """The trials of a search that have been trained, by their number."""
    about, columns = run.info["search"], {}
    for population in run.populations:
        columns |= {m.index: m.columns for m in population.members}
    rows: dict[str, dict[int, list]] = {"valid": {}, "test": {}}
    for row in run.rows:
        if row["split"] in rows:
            rows[row["split"]].setdefault(row["member"], []).append(row)
    rule, minimize = halving.of_info(run.info), about["minimize"]
    rungs = rule.epochs(run.config) if rule else ()
    size, trials = len(about["seeds"]), []
    for number, first in sorted(about["trials"]):
        members = range(first, first + size)
        if not all(m in rows["valid"] for m in members):
            continue  # in training
        valid = {m: rows["valid"][m] for m in members}
        values = goal.outcome(minimize, run.config, rungs, valid).values
        tests = [r for m in members for r in rows["test"].get(m, ())]
        test = None if values is None else [goal.mean(one, tests) for one in minimize]
        lost = any(some[-1]["diverged"] for some in valid.values())
        state = "done" if values else "diverged" if lost else "stopped"
        drawn = {n: columns[first].get(n) for n in about["space"]}
        trials.append(Trial(number, members, drawn, values, test, state))
    return trials


def front(trials: Sequence[Trial]) -> list[Trial]:
    """Those that no other is better than in all values, by their first value."""
    some = [t for t in trials if t.values]

    def dominated(one: Trial) -> bool:
        return any(
            other.values != one.values
            and all(a <= b for a, b in zip(other.values, one.values, strict=True))
            for other in some
        )

    return sorted((t for t in some if not dominated(t)), key=lambda t: t.values)


def best(trials: Sequence[Trial], limit: int = 10) -> list[Trial]:
    """The best of one value, or the best compromises of several."""
    some = [t for t in trials if t.values]
    several = any(len(t.values) > 1 for t in some)
    # Two of the same setting are one.
    once = {t.members.start: t for t in sorted(some, key=lambda t: -t.number)}
    by_value = sorted(once.values(), key=lambda t: (t.values, t.number))
    return (front(by_value) if several else by_value)[:limit]


def cells(run: Any, trials: Sequence[Trial]) -> tuple[list[str], list[list[str]]]:
    """Columns and texts of trials that were trained to the end."""
    about = run.info["search"]
    headers = ["trial", *map(words.title, about["space"])]
    for split in ("valid", "test"):
        headers += [f"{split} {name}" for name in about["minimize"]]
    return headers, [
        [
            str(t.number),
            *(words.text(short(t.drawn[n])) for n in about["space"]),
            *(words.text(short(v)) for v in t.values),
            *(words.text(short(v)) for v in t.test or [None] * len(t.values)),
        ]
        for t in trials
    ]


def short(value: Any) -> Any:
    """A number to four digits: the others are of no use to a reader."""
    return float(f"{value:.4g}") if isinstance(value, float) else value
