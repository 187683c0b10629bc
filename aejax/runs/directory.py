"""A run's directory: its files, and the lock of the process that writes it."""

import collections
import contextlib
import csv
import json
import math
import os
import pathlib
import zlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from aejax import config as configs

# Of run.json, as far as anything here depends on them.
_INFO = {
    "configuration": dict,
    "axes": dict,
    "inputs": dict,
    "sealed": list,
    "plan": list,
    "finished": bool,
} | dict.fromkeys(
    "programs members summary plan_crc32 compile_s trace_s train_s steps_per_s "
    "images_per_s".split(),
    (int, float),
)


STOPPED = "stopped_at"  # the column of those that halving has stopped


def read_info(dir: pathlib.Path) -> dict[str, Any]:
    """run.json.

    Raises:
      InputError: it is missing, damaged, or of another aejax.
    """
    path = dir / "run.json"
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise OSError("it is no file")
        info = json.loads(path.read_text("utf-8"))
        wrong = {n for n in _INFO if n in info and not isinstance(info[n], _INFO[n])}
        wrong |= {n for n, v in info["axes"].items() if not v or type(v) is not list}
        if wrong or not all(map(_is_seal, info.get("sealed", ()))):
            raise ValueError(f"in it is no {', '.join(sorted(wrong)) or 'sealed'}")
        read_configuration(info)
    except FileNotFoundError:
        raise configs.InputError(f"'{dir}' holds no run (no run.json)") from None
    except Exception as error:  # whatever stands there instead
        why = f"{type(error).__name__}: {error}"[:300]
        raise configs.InputError(
            f"'{path}' is damaged, or was written by another aejax ({why})"
        ) from None
    if "plan" not in info:
        raise configs.InputError(
            f"the run in '{dir}' was made by aejax 0.1, whose rows counted lanes and "
            "which did not write down its plan: open it with that version, or train it "
            "again into another --out"
        )
    return info


def _is_seal(entry: Any) -> bool:
    return isinstance(entry, list) and [type(v) for v in entry] == [int] * 4


def read_configuration(info: Mapping[str, Any]) -> tuple[configs.Config, dict]:
    """Config and axes as run.json holds them."""
    axes = {n: [configs.plain(v) for v in vs] for n, vs in info["axes"].items()}
    return configs.Config.from_json(info["configuration"]), axes


def has_summary(dir: pathlib.Path, info: Mapping[str, Any]) -> bool:
    """Whether summary.csv is as a finished run wrote it."""
    path = dir / "summary.csv"
    if not info.get("finished") or not path.is_file():
        return False
    return info.get("summary") in (None, zlib.crc32(path.read_bytes()))


def read_summary(dir: pathlib.Path) -> list[dict[str, Any]]:
    """Lines of summary.csv; none where there is no such file, or one unreadable."""
    path = dir / "summary.csv"
    if not path.is_file():
        return []
    with open(path, encoding="utf-8", errors="replace", newline="") as file:
        try:
            lines = list(csv.DictReader(file))
        except csv.Error:  # ``problems`` says it
            return []
    # DictReader's None: cells beyond the columns, and columns without a cell.
    return [{n: _cell(n, v) for n, v in line.items() if n} for line in lines]


def _cell(name: str, text: str | None) -> Any:
    """A cell of summary.csv as the value that was written."""
    if not text:
        return None
    field = configs.FIELDS.get(name)
    is_text = field is not None and isinstance(field.default, (str, tuple))
    return text if is_text else configs.parse_value(text)


def read_rows(dir: pathlib.Path) -> list[dict[str, Any]]:
    """Whole rows of results.jsonl.

    A line cut off by a kill is left out, as is any that is no row; ``problems`` finds
    what is lacking then.
    """
    path, rows = dir / "results.jsonl", []
    text = path.read_text("utf-8", "replace") if path.is_file() else ""
    for line in text.split("\n"):
        with contextlib.suppress(ValueError, RecursionError):
            if _is_row(row := json.loads(line)):
                rows.append(row)
    columns = collections.Counter(map(tuple, rows)).most_common(1)
    return [r for r in rows if tuple(r) == columns[0][0]]


def _is_row(row: Any) -> bool:
    kinds = {"member": int, "epoch": int, "step": int, "split": str, "diverged": bool}
    if not isinstance(row, dict) or any(
        type(row.get(n)) is not kinds[n] for n in kinds
    ):
        return False
    names = list(row)
    numbers = [row[n] for n in names[names.index("split") + 1 :] if row[n] is not None]
    if not all(isinstance(v, (str, int, float, type(None))) for v in row.values()):
        return False
    if any(isinstance(v, float) and not math.isfinite(v) for v in row.values()):
        return False
    return not any(isinstance(v, str) or abs(v) > 1e308 for v in numbers)


def seal(
    rows: Sequence[Mapping[str, Any]], before: Sequence[int] = (0, 0)
) -> list[int]:
    """Number and crc32 of rows, by which to know them again; after those ``before``."""
    count, crc32 = before
    if rows and STOPPED in rows[0]:  # is told when all is decided
        rows = [{n: v for n, v in row.items() if n != STOPPED} for row in rows]
    return [count + len(rows), zlib.crc32(_json_lines(rows).encode(), crc32)]


def of_members(
    rows: Sequence[Mapping[str, Any]], numbers: Collection[int]
) -> list[Mapping[str, Any]]:
    """The rows of these members, in their order."""
    return [r for r in rows if r["member"] in numbers]


def problems(
    dir: pathlib.Path, info: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> list[str]:
    """What of a run's files is not as it was written, a sentence each."""
    sentences, bad, seals = [], [], info.get("sealed", ())
    for first, count, number, crc in seals:
        some = of_members(rows, range(first, first + count))
        sealed, rest = some[:number], some[number:]
        # Of a population in training others may follow.
        last = sealed[-1]["step"] if sealed else -1
        ended = any(r["split"] == "test" for r in sealed)
        later = all(r["step"] > last or r["split"] == "test" for r in rest)
        if seal(sealed) != [number, crc] or not later or (ended and rest):
            bad.append(first)
    if bad:
        sentences.append(
            f"'{dir / 'results.jsonl'}' is not as it was written: rows of {len(bad)} "
            f"of {len(seals)} populations are missing, doubled or changed; do not "
            "trust what is drawn from them. --resume computes them again"
        )
    known = info.get("finished") and info.get("summary") is not None
    if known and not has_summary(dir, info):
        text = "is not as it was written; --resume makes it anew"
        sentences.append(f"'{dir / 'summary.csv'}' {text}")
    return sentences


def write_atomically(path: pathlib.Path, text: str) -> None:
    """Replaces a file; after a crash it is the old one or the new one, whole."""
    part = path.with_name(path.name + ".tmp")
    with open(part, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


class Shard(NamedTuple):
    """Members low … high - 1 of a population: trained as a run of its own."""

    population: int
    low: int
    high: int


def shard_folder(dir: pathlib.Path, number: int) -> pathlib.Path:
    """The run directory of a shard."""
    return dir / "shards" / f"{number:05d}"


def shards(info: Mapping[str, Any]) -> list[Shard]:
    """The shards in a run.json; none if its run was trained whole."""
    return [Shard(*entry) for entry in info.get("shards", ())]


class Directory(contextlib.AbstractContextManager):
    """A run directory being written, locked against a second process.

    ``patience``: seconds to wait for one that holds it.
    """

    def __init__(self, dir: pathlib.Path, patience: float = 0.0):
        self.dir = dir
        dir.mkdir(parents=True, exist_ok=True)

        import filelock  # asyncio with it: --help can do without

        self._lock = filelock.FileLock(dir / ".lock", timeout=patience)
        try:
            self._lock.acquire()
        except filelock.Timeout:
            raise configs.InputError(
                f"another process is writing to '{dir}'; wait for it, or give another "
                "--out"
            ) from None
        except OSError as error:  # a file system without locks, NFS for example
            raise configs.InputError(
                f"'{dir}' cannot be locked ({error}); give an --out on another disk"
            ) from error

    def __exit__(self, *error: Any) -> None:
        """Gives the lock back."""
        self._lock.release()

    def write_info(self, info: Mapping[str, Any]) -> None:
        # The plan on a line of its own: it has a number per member.
        text = json.dumps({**info, "plan": None}, indent=2)
        text = text.replace('"plan": null', f'"plan": {json.dumps(info["plan"])}', 1)
        write_atomically(self.dir / "run.json", text + "\n")

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Adds rows and waits until they are on the disk."""
        with open(self.dir / "results.jsonl", "a") as file:
            file.write(_json_lines(rows))
            file.flush()
            os.fsync(file.fileno())

    def rewrite(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Replaces all rows by these."""
        write_atomically(self.dir / "results.jsonl", _json_lines(rows))

    def write_summary(self, lines: Sequence[Mapping[str, Any]]) -> int:
        """Writes summary.csv; its crc32, by which to know it again."""
        import pandas as pd  # a second, at a sweep's end; readers do without

        # Objects keep their digits, and integers beside None stay integers.
        table = pd.DataFrame(lines, dtype=object)
        path = self.dir / "summary.csv"
        write_atomically(path, table.to_csv(index=False, lineterminator="\r\n"))
        return zlib.crc32(path.read_bytes())


def _json_lines(rows: Sequence[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(r, allow_nan=False) + "\n" for r in rows)
