"""Where a trained model is from: what an export says of it, in JSON's types."""

import math
from collections.abc import Mapping
from typing import Any

from aejax import config as configs
from aejax import data as datasets
from aejax import registry
from aejax.exports import code

# Of info, as in run.json.
_FACTS = ("command", "started", "finished", "device", "versions")
# Of a row, beside its member's columns and its metrics.
_PLACES = ("member", "epoch", "step", "split", "diverged", "stopped_at")


def of_run(run: Any, member: Any) -> dict[str, Any]:
    """What a ``runs.Run`` knows of the training of one of its members.

    ``data`` is the SHA-256 of its data set, ``code`` those of its objective and network
    where these are files, ``number`` and ``metrics`` the member's own, of the test
    split, ``valid`` its last ones of the validation split with the ``epoch`` they are
    of, ``diverged`` whether it did, ``stopped`` the epoch at which it was. ``setting``
    are metrics of all ``seeds`` of its setting, with intervals. None where a run has no
    such thing (yet).
    """
    known = {n: run.info.get(n) for n in _FACTS}
    rows = [r for r in run.rows if r["member"] == member.index]
    last = {r["split"]: r for r in rows}
    test, valid = last.get("test"), last.get("valid")
    shared = {n: v for n, v in member.columns.items() if n != "seed"}
    lines = [s for s in run.summary if all(s.get(n) == v for n, v in shared.items())]
    line = lines[0] if lines and lines[0]["n_seeds"] else None  # none left of diverged
    names = [n.removesuffix("_mean") for n in line or () if n.endswith("_mean")]
    inputs = run.info.get("inputs", {})
    files = code.files(vars(member.config))
    return known | {
        "data": _digest(run, member.config.dataset),
        "code": {kind: inputs.get(f"file {name}") for kind, name in files.items()},
        "seeds": line and line["n_seeds"],
        "number": member.index,
        "diverged": bool(rows and rows[-1].get("diverged")),
        "stopped": run.stopped.get(member.index),
        "epoch": valid and valid["epoch"],
        "metrics": test and _metrics(test, member),
        "valid": valid and _metrics(valid, member),
        "setting": line and {n: _interval(line, n) for n in names},
    }


def _metrics(row: Mapping[str, Any], member: Any) -> dict[str, float | None]:
    beside = {*member.columns, *_PLACES}
    return {n: _finite(v) for n, v in row.items() if n not in beside}


def _interval(line: Mapping[str, Any], metric: str) -> list[float | None]:
    return [_finite(line.get(f"{metric}_{end}")) for end in ("mean", "low", "high")]


def _finite(value: float | None) -> float | None:
    """JSON has no other numbers."""
    return value if value is not None and math.isfinite(value) else None


def _digest(run: Any, dataset: str) -> str | None:
    """As run.json has it; a run in memory has its data at hand."""
    digest = run.info.get("inputs", {}).get(f"data {dataset}")
    if digest:
        return digest
    try:
        return datasets.fingerprint(run.dataset(registry.label(dataset)))
    except configs.InputError:
        return None
