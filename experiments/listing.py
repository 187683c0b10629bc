"""``--list`` and ``--dry-run``: what there is, and what a sweep would take."""

from collections.abc import Sequence
from typing import Any

from aejax import data, networks, objectives
from experiments import presets, progress, tables


def show_all(markdown: bool) -> None:
    """Data sets, objectives, networks and presets."""
    nets, papers = networks.NETWORKS, objectives.OBJECTIVES
    parts = {
        "Data sets": [("name", "shape", "likelihood", "train / valid / test", "note")]
        + [(n, "×".join(map(str, s)), *rest) for n, s, *rest in data.describe()],
        "Objectives": [("name", "hyperparameter = default, range, kind", "paper")]
        + [(n, _hyperparameters(papers[n]), papers.title(n)) for n in papers],
        "Networks": [("name", "option = default (program)", "what")]
        + [(n, _options(nets[n]), nets.title(n)) for n in nets],
        "Presets": [("name", "what")]
        + [(n, p.about) for n, p in presets.PRESETS.items()],
    }
    for title, (headers, *rows) in parts.items():
        if markdown:
            print(f"## {title}\n\n{tables.markdown(headers, rows)}\n")
        else:
            tables.show(headers, rows, title)


def _options(network: Any) -> str:
    return "; ".join(f"{n}={v}" for n, v in network.options.items()) or "–"


def _hyperparameters(objective: Any) -> str:
    """``beta=4.0 in [0, inf] (lane)``; a lane is traced, a program compiles anew."""
    texts = []
    ranges = objective.bounds(objective.defaults)
    for name, default in objective.defaults.items():
        ends, choices = ranges.get(name), objective.choices.get(name)
        within = f" in [{ends[0]}, {ends[1]}]" if ends else ""
        within += f" of {', '.join(choices)}" if choices else ""
        kind = "lane" if objective.is_traced(name) else "program"
        texts.append(f"{name}={default}{within} ({kind})")
    return "; ".join(texts) or "–"


def show_plan(
    planned: Sequence[Any], devices: Sequence[Any], lane_batch: int | None
) -> None:
    """Each group's lanes, parameters, steps and memory, and the totals."""
    names, peak, steps = progress.labels(planned), 0, 0
    for name, group in zip(names, planned, strict=True):
        count, recipe = len(group.lanes), group.recipe
        used = min(len(devices), count)
        local = -(-count // used)
        # Without the flag a CPU takes one lane at a time, others all that fit.
        batch = min(local, lane_batch or (1 if devices[0].platform == "cpu" else local))
        state, held, step = group.state_bytes(), group.data_bytes(), group.step_bytes()
        total = group.total_bytes(used, batch)
        peak, steps = max(peak, total), steps + count * recipe.steps
        sizes = " ".join(map(str, sorted({m.config.latent_dim for m in group.lanes})))
        parameters = sorted({lane.parameters for lane in group.lanes})
        ends = dict.fromkeys((parameters[0], parameters[-1]))
        print(
            f"{name} on {group.dataset.name}: {progress.count(count, 'lane')}, latent "
            f"{sizes}\n"
            f"  {' to '.join(f'{n:,}' for n in ends)} effective parameters, "
            f"{recipe.steps:,} steps of {recipe.config.batch_size} examples\n"
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
