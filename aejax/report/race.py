"""Successive halving: who went on, what was saved, and what it has missed."""

from collections.abc import Iterator
from typing import Any

from aejax.report import page, words
from aejax.report import table as tables
from aejax.runs import halving


def saved(run: Any) -> tuple[int, int]:
    """Member-steps that were trained, and those of all members to the end."""
    last: dict[int, int] = {}
    for row in run.rows:
        last[row["member"]] = max(last.get(row["member"], 0), row["step"])
    whole = sum(len(p.members) * p.spec.steps for p in run.populations)
    return sum(last.values()), whole


def sentences(table: tables.Table) -> Iterator[str]:
    """What halving saved in each run, and what the audit found."""
    for run in table.runs:
        if rule := halving.of_info(run.info):
            done, whole = saved(run)
            share = len(run.stopped) / max(run.info["members"], 1)
            yield (
                f"Successive halving stopped {len(run.stopped):,} members "
                f"({share:.0%}) at rungs and trained {done:,} of {whole:,} "
                f"member-steps, {whole / max(done, 1):.1f} × fewer."
            )
            yield from _audit(run, rule)


def _audit(run: Any, rule: halving.Halving) -> Iterator[str]:
    """Of each set, what was chosen beside the best of those trained all the same."""
    last = {}
    for row in run.rows:
        if row["split"] in ("valid", "test"):
            last[row["member"], row["split"]] = row
    terms = halving.terms(rule, run.populations)
    for key, members in halving.sets(rule, run.populations).items():
        scores = {
            (m, split): halving.score(terms[m], last[m, split])
            for m in members
            for split in ("valid", "test")
            if (m, "test") in last
        }
        scores = {name: v for name, v in scores.items() if v is not None}
        tested = [m for m in members if (m, "test") in scores]
        stopped = [m for m in tested if m in run.stopped]
        others = [m for m in tested if m not in run.stopped]
        if not stopped or not others:
            continue
        best = min(others, key=lambda m: scores[m, "valid"])
        rival = min(stopped, key=lambda m: scores[m, "valid"])
        better = sum(scores[m, "valid"] < scores[best, "valid"] for m in stopped)
        gap = scores[best, "test"] - scores[rival, "test"]
        name = " ".join(str(value) for value in key)
        yield (
            f"Of {len(stopped)} members of `{name}` that were stopped and trained on "
            f"to check, {better} ended better than the one chosen; the test "
            f"{'+'.join(terms[best])} of the best of them is "
            f"{words.measured(abs(gap))} {'lower' if gap > 0 else 'higher'}."
        )


def section(table: tables.Table) -> page.Section | None:
    """The rungs of each run."""
    cells = []
    for run, name in zip(table.runs, table.names, strict=True):
        if rule := halving.of_info(run.info):
            rungs = list(halving.rungs(rule, rule.rungs, run.populations, run.rows))
            rows = []
            for epoch in rule.rungs:
                some = [r for r in rungs if r.epoch == epoch]
                kept = sum(len(r.kept) for r in some)
                stopped = sum(len(r.stopped) for r in some)
                counts = kept + stopped, kept, stopped
                rows.append([str(epoch), *(f"{n:,}" for n in counts)])
            headers = ["epoch", "members", "go on", "stopped"]
            cells.append(page.Cells(headers, rows, name * (len(table.runs) > 1)))
    if not cells:
        return None
    text = (
        "At these epochs members of one objective and data set, and of one latent size "
        "unless it says across, are compared by the validation split, and the best go "
        "on. Rows of those that go on are what they would be without. Settings of "
        "which nobody went on are in results.jsonl alone."
    )
    return page.Section("halving", "Successive halving", tables=cells, text=text)
