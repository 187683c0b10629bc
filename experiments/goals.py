"""What the benchmark's numbers are held to: ratios of one run, but for the sweep.

They are the CPU suite's; the accelerator's are its own.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Goal(NamedTuple):
    """A number of a workload, alone or over another's: at least, or at most, a bound.

    ``over`` is (workload, system), "" for the same workload. ``field`` is a row's.
    """

    workload: str
    what: str
    bound: float
    field: str = "steps_per_s"
    system: str = "aejax"
    over: tuple[str, str] | None = None
    at_most: bool = False


def _times(workload: str, system: str, bound: float) -> Goal:
    return Goal(workload, f"× {system}", bound, over=("", system))


def _limit(workload: str, bound: float) -> Goal:
    return Goal(workload, "of the largest matmul", bound, "gemm_fraction")


CPU = (
    _times("dense_vae_mnist", "torch", 2.2),
    _times("dense_vae_mnist", "pythae", 3.5),
    _limit("dense_vae_mnist", 0.8),
    _times("conv_vae_mnist", "torch", 1.0),
    _limit("conv_vae_mnist", 0.55),
    _times("digits_vae_members", "torch", 4.0),
    _times("digits_vae_members", "pythae", 10.0),
    Goal("default_sweep", "s, cold", 45, "seconds", "aejax (cold cache)", None, True),
    Goal("default_sweep", "s, warm", 38, "seconds", "aejax (warm cache)", None, True),
    _times("gru_ae_ecg5000", "torch", 1.1),
    Goal(
        "gru_ae_ecg5000_2", "× torch's one, two members", 2.0,
        over=("gru_ae_ecg5000", "torch"),
    ),
    Goal(
        "mnist_sweep_35", "× one model on all cores, per model", 1 / 1.05,
        over=("mnist_sweep_1", "aejax"),
    ),
    Goal("members_256", "× members_4", 0.95, over=("members_4", "aejax")),
    Goal("dense_members_96", "memory / estimate", 0.75, "memory_of_estimate"),
    Goal(
        "dense_members_96", "memory / estimate", 1.25, "memory_of_estimate",
        at_most=True,
    ),
    _limit("is_nll", 0.5),
)  # fmt: skip
ACCELERATOR = (
    Goal("dense_members_64", "× one member", 16.0, over=("dense_vae_mnist", "aejax")),
    Goal("dense_members_64", "× torch", 30.0, over=("dense_vae_mnist", "torch")),
    _times("dense_members_64", "torch_vmap", 2.0),
    _limit("dense_members_64", 0.5),
)  # fmt: skip


GOALS = {"cpu": CPU, "accelerator": ACCELERATOR, "quick": ()}


def table(
    rows: Sequence[Mapping[str, Any]], suite: str
) -> tuple[Sequence[str], list[list[str]]]:
    """Headers and a row for every goal of the suite whose workload was timed."""
    by = {(r["workload"], r["system"]): r for r in rows}
    timed = {r["workload"] for r in rows}
    lines = []
    for goal in GOALS[suite]:
        if goal.workload not in timed:
            continue
        bound = f"{'≤' if goal.at_most else '≥'} {goal.bound:.3g}"
        row = by.get((goal.workload, goal.system))
        other = goal.over and by.get((goal.over[0] or goal.workload, goal.over[1]))
        if row is None or row.get(goal.field) is None or (goal.over and other is None):
            lines.append([goal.workload, goal.what, "–", bound, "not measured"])
            continue
        got = row[goal.field] / (other[goal.field] if other else 1.0)
        good = got <= goal.bound if goal.at_most else got >= goal.bound
        verdict = "ok" if good else "MISS"
        lines.append([goal.workload, goal.what, f"{got:.3g}", bound, verdict])
    return ("workload", "what", "got", "goal", ""), lines
