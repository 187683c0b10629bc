"""A folder that is written whole or not at all, and known again by its contents."""

import contextlib
import hashlib
import json
import os
import pathlib
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

from aejax import config as configs

FACTS, CARD = "model.json", "README.md"


@contextlib.contextmanager
def replaced(target: pathlib.Path, kind: str) -> Iterator[pathlib.Path]:
    """A new folder to write into, which takes the target's place at the end.

    Raises:
      InputError: the target is a file, or holds anything but an export of this kind;
        it cannot be written.
    """
    target = target.resolve()
    _check(target, kind)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        hidden = dict(prefix=f".{target.name}.", dir=target.parent)
        with tempfile.TemporaryDirectory(**hidden) as beside:
            new, old = pathlib.Path(beside, "new"), pathlib.Path(beside, "old")
            new.mkdir()
            yield new
            if target.exists():
                os.rename(target, old)
            try:
                os.rename(new, target)
            except OSError:
                if old.exists():
                    os.rename(old, target)
                raise
    except OSError as error:
        raise configs.InputError(
            f"'{target}' cannot be written: {error}; give another folder"
        ) from error


def _check(target: pathlib.Path, kind: str) -> None:
    """Whether what is there may be replaced."""
    if target.exists() and not target.is_dir():
        raise configs.InputError(f"'{target}' is a file; export to a folder")
    try:
        names = {entry.name for entry in target.iterdir()} if target.exists() else set()
    except OSError as error:
        raise configs.InputError(f"'{target}' cannot be read: {error}") from error
    if not names:
        return
    facts = {}
    with contextlib.suppress(configs.InputError):
        facts = json_of(target, FACTS)
    files = facts.get("files") if isinstance(facts.get("files"), dict) else {}
    known = {FACTS, CARD, *files} if files else set()
    if others := sorted(names - known):
        raise configs.InputError(
            f"'{target}' holds other things: {configs.listed(others, 5)}; export to a "
            "folder that is new or empty, or to an export of the same format, which is "
            "replaced"
        )
    if facts.get("kind") != kind:
        raise configs.InputError(
            f"'{target}' holds an export of format '{facts.get('kind')}', which one of "
            f"'{kind}' does not replace; give another folder"
        )


def digests(folder: pathlib.Path) -> dict[str, str]:
    """{file: SHA-256} of all files in a folder."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
    }


def facts(folder: pathlib.Path) -> dict[str, Any]:
    """What model.json holds.

    Raises:
      InputError: there is no such folder, it is no export, or one that is damaged.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise configs.InputError(f"'{folder}' {what}; give the folder of an export")
    if not (folder / FACTS).is_file():
        run = "; it is a run: aejax.open_run reads it, and its export(DIR) writes one"
        raise configs.InputError(
            f"'{folder}' is no export: it has no {FACTS}"
            + run * (folder / "run.json").is_file()
        )
    return json_of(folder, FACTS)


def json_of(folder: pathlib.Path, name: str) -> dict[str, Any]:
    """The object in a JSON file."""
    try:
        entry = json.loads((folder / name).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise damaged(folder, name, error) from error
    if not isinstance(entry, dict):
        raise damaged(folder, name, "it holds no object")
    return entry


def check_files(folder: pathlib.Path, known: Mapping[str, str]) -> None:
    """Whether all files are as they were written."""
    for name, digest in known.items():
        try:
            data = (folder / name).read_bytes()
        except OSError as error:
            raise damaged(folder, name, error) from error
        if hashlib.sha256(data).hexdigest() != digest:
            raise damaged(folder, name, "it is not as it was written")


def damaged(folder: pathlib.Path, name: str, why: Any) -> configs.InputError:
    """The error for a file of an export that cannot be used."""
    return configs.InputError(
        f"'{folder}' is a damaged export: {name}: {why}; export it again"
    )
