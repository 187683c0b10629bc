"""Where a trained model is from: what an export says of it, in JSON's types."""

from collections.abc import Mapping
from typing import Any

from aejax import config as configs
from aejax import data as datasets
from aejax import registry

# Of info, as in run.json.
_FACTS = ("command", "started", "finished", "device", "versions")


def of_run(run: Any, member: Any) -> dict[str, Any]:
    """What a ``runs.Run`` knows of the training of one of its members.

    ``data`` is the SHA-256 of its data set, ``number`` and ``metrics`` the member's
    own, of the test split, ``setting`` those of all ``seeds`` of its setting, with
    intervals; None where a run has no such thing (yet).
    """
    known = {n: run.info.get(n) for n in _FACTS}
    tests = [
        r for r in run.rows if r["split"] == "test" and r["member"] == member.index
    ]
    shared = {n: v for n, v in member.columns.items() if n != "seed"}
    lines = [s for s in run.summary if all(s.get(n) == v for n, v in shared.items())]
    names = run.summary[0] if run.summary else ()
    metrics = [n.removesuffix("_mean") for n in names if n.endswith("_mean")]
    return known | {
        "data": _digest(run, member.config.dataset),
        "seeds": lines[0]["n_seeds"] if lines else None,
        "number": member.index,
        "metrics": {n: tests[-1].get(n) for n in metrics} if tests else None,
        "setting": {n: _interval(lines[0], n) for n in metrics} if lines else None,
    }


def _interval(line: Mapping[str, Any], metric: str) -> list[float | None]:
    return [line.get(f"{metric}_{end}") for end in ("mean", "low", "high")]


def _digest(run: Any, dataset: str) -> str | None:
    """As run.json has it; a run in memory has its data at hand."""
    digest = run.info.get("inputs", {}).get(f"data {dataset}")
    if digest:
        return digest
    try:
        return datasets.fingerprint(run.dataset(registry.label(dataset)))
    except configs.InputError:
        return None
