"""Whether a sweep may write to a directory: a new one, or a run to go on with."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from aejax import config as configs
from aejax.runs import directory

# What a process that was killed at once leaves: still an empty directory.
_TRACES = (".lock", "run.json.tmp", "lease", "lease.tmp")


# What a run was begun as: the entry of run.json that says so, how to go on with it.
KINDS = {
    "as a search": ("search", "use experiments.search"),
    "in shards": ("shards", "add its --engine or --shard"),
    "whole": ("plan", "leave out --engine and --shard, and use experiments.sweep"),
}


def kind_of(info: Mapping[str, Any]) -> str:
    """What a run was begun as, by its run.json."""
    return next(kind for kind, (entry, _) in KINDS.items() if entry in info)


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What two runs were asked for, as far as they differ: a phrase each."""
    pairs = {n: (old.get(n), new.get(n)) for n in sorted(old.keys() | new.keys())}
    return [f"{n}: {a} there, {b} here" for n, (a, b) in pairs.items() if a != b]


def place(dir: pathlib.Path, resume: bool) -> bool:
    """Refuses a directory that no run can be written to. Changes nothing.

    Returns:
      Whether it holds a run.

    Raises:
      InputError: it is a file, holds something else, or a run and ``resume`` was not
        asked for.
    """
    try:
        str(dir).encode()
    except UnicodeEncodeError:
        raise configs.InputError(
            f"--out {str(dir)!r} holds bytes that are no UTF-8, which checkpoints "
            "cannot be written under; give another name"
        ) from None
    if (dir.exists() or dir.is_symlink()) and not dir.is_dir():
        what = "a file" if dir.exists() else "a link to nothing"
        raise configs.InputError(f"--out '{dir}' is {what}; give a directory")
    inside = [p for p in dir.iterdir() if p.name not in _TRACES] if dir.is_dir() else []
    if not inside:
        return False
    if not (dir / "run.json").is_file():
        raise configs.InputError(
            f"--out '{dir}' is not empty and holds no run; give another directory"
        )
    if not resume:
        raise configs.InputError(
            f"--out '{dir}' holds a run already; add --resume to go on with it; or "
            "give another directory"
        )
    return True


def check(
    dir: pathlib.Path,
    config: configs.Config,
    axes: Mapping[str, Sequence[Any]],
    resume: bool,
    inputs: Mapping[str, Any],
    halving: Mapping[str, Any] | None = None,
    kind: str = "whole",
) -> None:
    """Refuses a directory in which this run cannot be written. Changes nothing.

    Raises:
      InputError: as ``place``; or what it holds is another run, or of another kind;
        ``inputs``, beside the configuration, differ.
    """
    if not place(dir, resume):
        return

    def flat(config, axes, inputs, rule):
        swept = {f"axis {n}": list(v) for n, v in axes.items()}
        return config.to_json() | swept | inputs | {"--halving": rule}

    info = directory.read_info(dir)
    if (before := kind_of(info)) != kind:
        raise configs.InputError(
            f"--resume: the run in '{dir}' was begun {before}, and goes on so: "
            f"{KINDS[before][1]}"
        )
    rule = info.get("halving")
    old = flat(*directory.read_configuration(info), info.get("inputs", {}), rule)
    new = flat(config, axes, inputs, halving)
    if changed := differences(old, new):
        raise configs.InputError(
            f"--resume: the run in '{dir}' has another configuration: "
            f"{'; '.join(changed)}; repeat its settings (threads are PJRT_NPROC), or "
            "give another --out"
        )
