"""``--list`` and ``--dry-run``: what there is, and what a sweep would take."""

import functools
from collections.abc import Sequence
from typing import Any

import humanize

from aejax import data, networks, objectives, progress
from experiments import presets, tables


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
    """``beta=4.0 in [0, inf] (member)``: members differ in it, or else programs."""
    texts = []
    ranges = objective.bounds(objective.defaults)
    for name, default in objective.defaults.items():
        ends, choices = ranges.get(name), objective.choices.get(name)
        within = f" in [{ends[0]}, {ends[1]}]" if ends else ""
        within += f" of {', '.join(choices)}" if choices else ""
        kind = "member" if objective.is_traced(name) else "program"
        texts.append(f"{name}={default}{within} ({kind})")
    return "; ".join(texts) or "–"


def show_plan(planned: Any, devices: Sequence[Any], vmap: int | None) -> None:
    """Each population's members, parameters, steps and memory, and the totals."""
    size = functools.partial(humanize.naturalsize, format="%.3g")
    from aejax.training import program  # jax

    names, peak, steps = progress.labels(planned), 0, 0
    for name, population in zip(names, planned.populations, strict=True):
        count, spec = len(population.members), population.spec
        slots = min(program.slots(population, devices), count)
        used, local = slots * spec.config.data_parallel, -(-count // slots)
        # Without the flag a CPU takes one member at a time, others all that fit.
        batch = min(local, vmap or (1 if devices[0].platform == "cpu" else local))
        state, step = population.state_bytes(), population.step_bytes()
        total = population.total_bytes(used, batch)
        peak, steps = max(peak, total), steps + count * spec.steps
        members = population.members
        sizes = " ".join(map(str, sorted({m.config.latent_dim for m in members})))
        parameters = sorted({m.parameters for m in members})
        ends = dict.fromkeys((parameters[0], parameters[-1]))
        print(
            f"{name} on {spec.data.name}: {progress.count(count, 'member')}, latent "
            f"{sizes}\n"
            f"  {' to '.join(f'{n:,}' for n in ends)} effective parameters, "
            f"{spec.steps:,} steps of {spec.config.batch_size} examples\n"
            f"  memory at most {size(total)}: {count} × {size(state)} state, "
            f"{used} × ({size(population.data_bytes())} data + {batch} × "
            f"{size(step)} step)"
        )
    members = progress.count(planned.count, "member")
    programs = progress.count(len(planned.populations), "program")
    print(
        f"total: {members} in {programs}, "
        f"{steps:,} member-steps, at most {size(peak)} at a time on "
        f"{len(devices)} × {devices[0].device_kind}; nothing was trained or written"
    )
