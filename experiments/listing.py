"""``--list`` and ``--dry-run``: what there is, and what a sweep would take."""

from collections.abc import Sequence
from typing import Any

import rich.console

from aejax import data, networks, objectives
from experiments import presets, progress, tables


def show_all(console: rich.console.Console, markdown: bool) -> None:
    """Data sets, objectives, networks and presets."""
    parts = (
        ("Data sets", ("name", "shape", "likelihood", "train / valid / test", "note")),
        ("Objectives", ("name", "hyperparameter = default, range, kind", "paper")),
        ("Networks", ("name", "option = default (program)", "what")),
        ("Presets", ("name", "what")),
    )
    nets, papers = networks.NETWORKS, objectives.OBJECTIVES
    rows = (
        [(n, "×".join(map(str, s)), *rest) for n, s, *rest in data.describe()],
        [(n, _hyperparameters(papers[n]), papers.title(n)) for n in papers],
        [(n, _options(nets[n]), nets.title(n)) for n in nets],
        [(n, p.about) for n, p in presets.PRESETS.items()],
    )
    for (title, headers), lines in zip(parts, rows, strict=True):
        if markdown:
            print(f"## {title}\n\n{tables.markdown(headers, lines)}\n")
        else:
            tables.show(console, headers, lines, title)


def _options(network: Any) -> str:
    return "; ".join(f"{n}={v}" for n, v in network.options.items()) or "–"


def _hyperparameters(entry: Any) -> str:
    """``beta=4.0 in [0, inf] (lane)``; a lane is traced, a program compiles anew."""
    texts = []
    ranges = entry.bounds(entry.defaults)
    for name, default in entry.defaults.items():
        text = f"{name}={default}"
        if name in ranges:
            text += f" in [{ranges[name][0]}, {ranges[name][1]}]"
        if name in entry.choices:
            text += f" of {', '.join(entry.choices[name])}"
        kind = "lane" if entry.is_traced(name) else "program"
        texts.append(f"{text} ({kind})")
    return "; ".join(texts) or "–"


def show_plan(
    planned: Sequence[Any], devices: Sequence[Any], lane_batch: int | None
) -> None:
    """Each group's lanes, parameters, steps and memory, and the totals."""
    names, peak, steps = progress.labels(planned), 0, 0
    for name, group in zip(names, planned, strict=True):
        configs = [lane.config for lane in group.lanes]
        count = len(configs)
        used = min(len(devices), count)
        local = -(-count // used)
        # Without the flag a CPU takes one lane at a time, others all that fit.
        batch = min(local, lane_batch or (1 if devices[0].platform == "cpu" else local))
        state, held, step = group.state_bytes(), group.data_bytes(), group.step_bytes()
        total = count * state + used * (held + batch * step)
        peak, steps = max(peak, total), steps + count * group.recipe.steps
        sizes = " ".join(map(str, sorted({c.latent_dim for c in configs})))
        parameters = [lane.parameters for lane in group.lanes]
        ends = sorted({min(parameters), max(parameters)})
        print(
            f"{name} on {group.dataset.name}: {progress.count(count, 'lane')}, latent "
            f"{sizes}\n"
            f"  {' to '.join(f'{n:,}' for n in ends)} effective parameters, "
            f"{group.recipe.steps:,} steps of {group.recipe.batch_size} examples\n"
            f"  memory at most {_bytes(total)}: {count} × {_bytes(state)} state, "
            f"{used} × ({_bytes(held)} data + {batch} × {_bytes(step)} step)"
        )
    lanes = progress.count(sum(len(g.lanes) for g in planned), "lane")
    print(
        f"total: {lanes} in {progress.count(len(planned), 'program')}, "
        f"{steps:,} lane-steps, at most {_bytes(peak)} at a time on "
        f"{len(devices)} × {devices[0].device_kind}; nothing was trained or written"
    )


def _bytes(number: float) -> str:
    return f"{progress.short(number)}B"
