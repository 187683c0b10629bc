"""A run's directory: its files, and the lock of the process that writes it."""

import contextlib
import csv
import fcntl
import io
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from aejax import config as configs


def checkpoints(dir: pathlib.Path, group: int) -> pathlib.Path:
    """Where the checkpoints of a group lie."""
    return dir / "checkpoints" / f"group-{group:02d}"


def read_info(dir: pathlib.Path) -> dict[str, Any]:
    """run.json.

    Raises:
      InputError: it is missing or damaged.
    """
    try:
        return json.loads((dir / "run.json").read_text())
    except FileNotFoundError:
        raise configs.InputError(f"'{dir}' holds no run (no run.json)") from None
    except (OSError, ValueError) as error:
        raise configs.InputError(f"'{dir / 'run.json'}' is damaged: {error}") from None


def read_configuration(info: Mapping[str, Any]) -> tuple[configs.Config, dict]:
    """Config and axes as run.json holds them."""
    axes = {n: [configs.plain(v) for v in vs] for n, vs in info["axes"].items()}
    return configs.Config.from_json(info["configuration"]), axes


def read_summary(dir: pathlib.Path) -> list[dict[str, Any]]:
    """Lines of summary.csv, or none."""
    path = dir / "summary.csv"
    lines = csv.DictReader(path.read_text().splitlines() if path.is_file() else ())
    return [{n: _cell(n, v) for n, v in line.items()} for line in lines]


def _cell(name: str, text: str) -> Any:
    """A cell of summary.csv as the value that was written."""
    if not text:
        return None
    field = configs.FIELDS.get(name)
    is_text = field is not None and isinstance(field.default, (str, tuple))
    return text if is_text else configs.parse_value(text)


def read_rows(dir: pathlib.Path) -> list[dict[str, Any]]:
    """Complete lines of results.jsonl; a line cut off by a kill is left out."""
    path, rows = dir / "results.jsonl", []
    for line in path.read_text().split("\n") if path.is_file() else ():
        with contextlib.suppress(ValueError):
            rows.append(json.loads(line))
    return rows


def write_atomically(path: pathlib.Path, text: str) -> None:
    """Replaces a file; after a crash it is the old one or the new one, whole."""
    part = path.with_name(path.name + ".tmp")
    with open(part, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


# What a process that was killed at once leaves: still an empty directory.
_TRACES = (".lock", "run.json.tmp")


def check(
    dir: pathlib.Path,
    config: configs.Config,
    axes: Mapping[str, Sequence[Any]],
    resume: bool,
    inputs: Mapping[str, Any],
) -> None:
    """Refuses a directory in which this run cannot be written. Changes nothing.

    Raises:
      InputError: it is a file, holds something else, another run, or this run and
        ``resume`` was not asked for; ``inputs``, beside the configuration, differ.
    """
    if dir.exists() and not dir.is_dir():
        raise configs.InputError(f"--out '{dir}' is a file; give a directory")
    inside = [p for p in dir.iterdir() if p.name not in _TRACES] if dir.is_dir() else []
    if not inside:
        return
    if not (dir / "run.json").is_file():
        raise configs.InputError(
            f"--out '{dir}' is not empty and holds no run; give another directory"
        )
    if not resume:
        raise configs.InputError(
            f"--out '{dir}' holds a run already; add --resume to go on with it; or "
            "give another directory"
        )

    def flat(config, axes, inputs):
        swept = {f"axis {n}": list(v) for n, v in axes.items()}
        return config.to_json() | swept | inputs

    info = read_info(dir)
    if "threads" not in info["inputs"]:
        raise configs.InputError(
            f"--resume: the run in '{dir}' was begun by an earlier aejax, whose digits "
            "were others and which did not write down by what; give another --out"
        )
    old = flat(*read_configuration(info), info["inputs"])
    new = flat(config, axes, inputs)
    pairs = {n: (old.get(n), new.get(n)) for n in sorted(old.keys() | new.keys())}
    changed = [f"{n}: {a} there, {b} here" for n, (a, b) in pairs.items() if a != b]
    if changed:
        raise configs.InputError(
            f"--resume: the run in '{dir}' has another configuration: "
            f"{'; '.join(changed)}; repeat its settings (threads are PJRT_NPROC), or "
            "give another --out"
        )


class Directory:
    """A run directory being written, locked against a second process."""

    def __init__(self, dir: pathlib.Path):
        self.dir = dir
        dir.mkdir(parents=True, exist_ok=True)
        self._lock = open(dir / ".lock", "a")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise configs.InputError(
                f"another process is writing to '{dir}'; wait for it, or give another "
                "--out"
            ) from None

    def close(self) -> None:
        """Gives the lock back."""
        self._lock.close()

    def write_info(self, info: Mapping[str, Any]) -> None:
        write_atomically(self.dir / "run.json", json.dumps(info, indent=2) + "\n")

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Adds rows and waits until they are on the disk."""
        with open(self.dir / "results.jsonl", "a") as file:
            file.write(_json_lines(rows))
            file.flush()
            os.fsync(file.fileno())

    def rewrite(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Replaces all rows by these."""
        write_atomically(self.dir / "results.jsonl", _json_lines(rows))

    def write_summary(self, lines: Sequence[Mapping[str, Any]]) -> None:
        names = list(dict.fromkeys(n for line in lines for n in line))
        text = io.StringIO()
        writer = csv.DictWriter(text, names)
        writer.writeheader()
        writer.writerows(lines)
        write_atomically(self.dir / "summary.csv", text.getvalue())


def _json_lines(rows: Sequence[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(r, allow_nan=False) + "\n" for r in rows)
